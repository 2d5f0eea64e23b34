"""The most memory that tensors take in a block.

Imports torch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lrctl.engine.batches import tensors_in


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations make in a block, on any device.

    Attributes:
        live: bytes of those that exist now.
        peak: the most that existed at a time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, operation: Callable[..., Any], _types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation, and count what it makes."""
        given = {tensor.untyped_storage().data_ptr() for tensor in tensors_in([args, kwargs or {}])}
        result = operation(*args, **(kwargs or {}))
        for tensor in tensors_in(result):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in given | self._sizes.keys():  # a view takes no memory of its own
                self._add(storage)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        self._sizes[storage.data_ptr()] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._remove, storage.data_ptr())

    def _remove(self, place: int) -> None:
        self.live -= self._sizes.pop(place)
