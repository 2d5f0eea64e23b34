"""Contract: what a task adds to fine-tuning: how its rows become samples, batches and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from lrctl.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from lrctl_workloads.finetune.labels import Labels
    from lrctl_workloads.finetune.packed import Array, Sample
    from lrctl_workloads.finetune.sources import Row

    Batch = dict[str, Tensor]
    Counts = dict[str, Tensor]
    Random = np.random.RandomState

IGNORED = -100
"""The label of what has none: transformers leaves it out of the loss."""

UNLABELLED = 255
"""The same in a segmentation, unless the model says otherwise."""


class Kind(Protocol):
    """A task. It has the parameters and the model's name, and loads its tokenizer or processor when it needs it."""

    @property
    def auto(self) -> str:
        """The class of transformers that builds a model for the task."""
        ...

    @property
    def known(self) -> str:
        """The table of transformers that names the models that can do the task."""
        ...

    def columns(self) -> dict[str, str]:
        """The columns that rows must have, by the parameter that names each."""
        ...

    def key(self, row: Row) -> bytes:
        """What two rows have in common that must not be in two parts of the data."""
        ...

    def encode(self, rows: list[Row], labels: Labels) -> Iterator[list[Sample]]:
        """The samples of each row; none for one that cannot be learned from."""
        ...

    def batch(self, samples: list[dict[str, Array]], random: Random | None) -> Batch:
        """Samples as tensors of shapes that are always the same; augmented where there are random numbers."""
        ...

    def stand_in(self, config: Any, labels: int, n: int, random: torch.Generator) -> Batch:
        """A batch of n samples of made-up values."""
        ...

    def labels(self, config: Any, listed: int) -> int | None:
        """How many labels the model is to have, given how many the data has, if 0 is not that; None: as it has."""
        ...

    def inputs(self, model: Any, batch: Batch) -> Mapping[str, Any]:
        """What the model is called with."""
        ...

    def counts(self, output: Any, batch: Batch, names: tuple[str, ...]) -> Counts:
        """What is added up over an evaluation; `n` is what the batch's mean loss is the mean of."""
        ...

    def metrics(self, counts: Counts) -> dict[str, float]:
        """Metrics of what was added up."""
        ...


def text_of(value: Any, where: str) -> str:
    """A text of a row; nothing is no text.

    Raises:
        UsageError: it is something else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"{where}: must be a column of texts, got {type(value).__name__} {str(value)[:40]!r}")
    return value


def padded(rows: list[Array], length: int, fill: int) -> Tensor:
    """Rows with `fill` after their ends: int64, shape (rows, length)."""
    import torch

    table = torch.full((len(rows), length), fill, dtype=torch.int64)
    for i, row in enumerate(rows):
        table[i, : len(row)] = torch.as_tensor(row.astype("int64"))
    return table


def mask(rows: list[Array], length: int) -> Tensor:
    """1 for tokens and 0 for padding: int64, shape (rows, length)."""
    return padded([row * 0 + 1 for row in rows], length, 0)


def padding(tokenizer: Any) -> int:
    """The token that fills up; any will do where there is none, as the mask hides it."""
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


def tokens_made_up(config: Any, shape: tuple[int, int], random: torch.Generator) -> Tensor:
    """Token ids at random."""
    import torch

    sizes = [getattr(config, name, None) for name in ("vocab_size", "src_vocab_size", "tgt_vocab_size")]
    return torch.randint(min(size for size in sizes if size), shape, generator=random)


def share(part: Tensor, whole: Tensor) -> float:
    """A share; 0 of nothing is 0."""
    return float(part) / float(whole) if float(whole) else 0.0
