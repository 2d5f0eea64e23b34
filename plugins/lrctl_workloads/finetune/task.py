"""Contract: what a task adds to fine-tuning: how its rows become samples, batches and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from lrctl_workloads.finetune.labels import Labels

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

Row = Mapping[str, Any]
Sample = Mapping[str, Any]
"""A sample's columns: token ids and other whole numbers of 32 bits as a list, or the bytes of a file."""
Batch: TypeAlias = "dict[str, Tensor]"
Counts: TypeAlias = "dict[str, Tensor]"
Random: TypeAlias = "np.random.RandomState"
Generator: TypeAlias = "torch.Generator"


class Task(Protocol):
    """A task. It has the parameters and the model's name, and loads its tokenizer or processor when it needs it."""

    auto_class: str
    """The class of transformers that builds a model for the task."""
    model_types: str
    """The table of transformers that names the models that can do the task."""
    outputs: int
    """How many labels the model has whatever the data; 0: those of the data, or as many as it has."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The parameters that name a column which rows must have."""

    def key(self, row: Row) -> bytes:
        """What two rows have in common that must not be in two parts of the data."""

    def encode(self, rows: list[Row], labels: Labels) -> Iterable[list[Sample]]:
        """The samples of each row; none for one that cannot be learned from."""

    def batch(self, samples: list[Sample], random: Random | None) -> Batch:
        """Samples as tensors of shapes that are always the same; augmented where there are random numbers."""

    def stand_in(self, config: Any, labels: int, random: Generator) -> Batch:
        """A batch of made-up values."""

    def inputs(self, model: Any, batch: Batch) -> Mapping[str, Any]:
        """What the model is called with."""

    def counts(self, output: Any, batch: Batch, names: tuple[str, ...]) -> Counts:
        """What is added up over an evaluation; `n` is what the batch's mean loss is the mean of."""

    def metrics(self, counts: Counts) -> dict[str, float]:
        """Metrics of what was added up."""
