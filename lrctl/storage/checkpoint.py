"""Training state <-> safetensors: written at once or not at all, checked by digest, never pickle.

Imports torch.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lrctl.contracts.canonical import canonical_json
from lrctl.errors import CheckpointError
from lrctl.storage.files import aside

FORMAT = "lrctl-checkpoint/2"

ENTRY = "lrctl"
"""The one entry of a file's metadata: several would stand in any order, and equal states are equal files."""


def save(path: Path, state: dict[str, Any]) -> str:
    """Write a state: nested dicts, lists and tuples of tensors and JSON values. Returns its digest.

    Raises:
        StoreError: the file cannot be written.
        TypeError: the state holds something else; names it.
    """
    with aside(path) as temporary:
        return write(temporary, state)


def write(path: Path, state: dict[str, Any]) -> str:
    """The same into a path where nobody looks yet. An OSError says that it cannot be written."""
    tensors: dict[str, torch.Tensor] = {}
    skeleton = canonical_json(pack(state, "", tensors, {}))
    digest = digest_of(skeleton, tensors)
    try:
        save_file(tensors, path, {ENTRY: f"{FORMAT}\n{digest}\n{skeleton}"})
    except SafetensorError as error:
        raise OSError(str(error)) from error
    return digest


def digest_of_state(state: dict[str, Any]) -> str:
    """The digest that `save` would return.

    Raises:
        TypeError: as `save`.
    """
    tensors: dict[str, torch.Tensor] = {}
    return digest_of(canonical_json(pack(state, "", tensors, {})), tensors)


def load(path: Path, digest: str | None = None, where: str | None = None) -> Any:
    """Read a state on the CPU; each call gives tensors of its own. Errors call it `where`, or by its path.

    Raises:
        CheckpointError: the file is missing, damaged, or its digest is not the expected one.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        form, _, rest = metadata.get(ENTRY, "").partition("\n")
        if form != FORMAT:
            raise CheckpointError(
                f"checkpoint {where or path} cannot be read: it was not written by this lrctl; give one that it wrote"
            )
        written, skeleton = rest.split("\n", 1)
        found = digest_of(skeleton, tensors)
        if found != written or found != (digest or found):
            raise CheckpointError(f"checkpoint {where or path} is damaged: its digest does not match")
        return unpack(json.loads(skeleton), tensors)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"checkpoint {where or path} cannot be read: {error}") from error


def round_trip(state: dict[str, Any]) -> Any:
    """A state as `load` would give it after `save`, without a file."""
    tensors: dict[str, torch.Tensor] = {}
    packed = canonical_json(pack(state, "", tensors, {}))
    return unpack(json.loads(packed), tensors)


def pack(value: Any, name: str, tensors: dict[str, torch.Tensor], seen: dict[Any, dict[str, Any]]) -> Any:
    """`value` as JSON, its tensors moved to `tensors` under their dotted names.

    A dict becomes a list of pairs, since JSON would turn the optimizer's integer keys into strings. A tensor met
    twice (tied weights) is stored once.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, torch.Tensor):
        return pack_tensor(value.detach(), name, tensors, seen)
    if isinstance(value, dict):
        return {"dict": [[k, pack(v, f"{name}.{k}".lstrip("."), tensors, seen)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [pack(v, f"{name}.{i}", tensors, seen) for i, v in enumerate(value)]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}  # an optimizer's growth rate may be infinite
    if value is None or isinstance(value, bool | int | float | str):
        return {"json": value}
    raise TypeError(
        f"checkpoint: {name} is a {type(value).__name__}; only tensors, numbers, text and None can be saved"
    )


def pack_tensor(
    value: torch.Tensor, name: str, tensors: dict[str, torch.Tensor], seen: dict[Any, dict[str, Any]]
) -> dict[str, Any]:
    if value.layout == torch.sparse_coo:
        whole = value.coalesce()
        return {"sparse": pack([whole.indices(), whole.values(), list(whole.shape)], name, tensors, seen)}
    if value.layout != torch.strided:
        raise TypeError(f"checkpoint: {name} is a tensor of layout {value.layout}; dense and sparse_coo can be saved")
    storage = value.untyped_storage().data_ptr()
    identity = (storage, value.storage_offset(), value.stride(), value.shape, value.dtype)
    if value.numel() and identity in seen:
        return seen[identity]
    while name in tensors:  # keys may hold dots, or differ in their type only
        name += "'"
    # A view of a larger storage would be saved whole, and two views of one storage refused.
    own = value.cpu().contiguous()
    view = storage in seen or own.untyped_storage().nbytes() != own.nbytes
    tensors[name] = own.clone() if view else own
    # An optimizer's kernel walks weights and moments in the order of memory, which must be the same for both.
    order = torch.empty_like(value).stride()
    packed = {"tensor": name} if order == own.stride() else {"tensor": name, "stride": list(order)}
    seen[identity] = seen[storage] = packed
    return packed


def unpack(packed: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    """The inverse of `pack`."""
    if "tensor" in packed:
        return in_order(tensors, packed["tensor"], packed.get("stride"))
    ((kind, value),) = packed.items()
    if kind == "sparse":
        indices, values, shape = unpack(value, tensors)
        return torch.sparse_coo_tensor(indices, values, shape, is_coalesced=True, check_invariants=True)
    if kind == "dict":
        return {key: unpack(item, tensors) for key, item in value}
    if kind in ("list", "tuple"):
        items = [unpack(item, tensors) for item in value]
        return tuple(items) if kind == "tuple" else items
    return float(value) if kind == "float" else value


def in_order(tensors: dict[str, torch.Tensor], name: str, stride: list[int] | None) -> torch.Tensor:
    """A tensor with its elements in the order of memory that these strides tell; the same one each time."""
    tensor = tensors[name]
    if stride is not None and list(tensor.stride()) != stride:
        tensors[name] = torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype).copy_(tensor)
    return tensors[name]


def digest_of(skeleton: str, tensors: dict[str, torch.Tensor]) -> str:
    """The sha256 of everything in a checkpoint: structure, names, types, shapes and bytes."""
    total = hashlib.sha256(skeleton.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
