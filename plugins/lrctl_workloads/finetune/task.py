"""Contract: what a task adds to fine-tuning: how its rows become samples, batches and metrics; and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from lrctl.errors import UsageError
from lrctl_workloads.network import Tensor

if TYPE_CHECKING:
    import numpy as np
    import torch

Row = Mapping[str, Any]
Sample = Mapping[str, Any]
"""A sample's columns: token ids and other whole numbers of 32 bits as a list, or the bytes of a file."""
Batch: TypeAlias = "dict[str, Tensor]"
Counts: TypeAlias = "dict[str, Tensor]"
Random: TypeAlias = "np.random.RandomState"
Generator: TypeAlias = "torch.Generator"


@dataclass(slots=True)
class Labels:
    """Turns the labels that rows have into numbers from 0."""

    where: str
    """The parameter that names the column and what it says, for errors."""
    limit: int = 0
    """How many labels there may be; 0 is any number."""
    names: list[str] = field(default_factory=list)
    """Those that the data set declares, and then those that are met, in the order of the rows."""
    declared: int = 0
    highest: int = -1

    def number(self, label: Any) -> int:
        if isinstance(label, str):
            if label not in self.names:
                self.names.append(label)
            number = self.names.index(label)
        elif isinstance(label, int) and label >= 0:
            number = int(label)
        else:
            raise UsageError(
                f"{self.where}: a label must be a name or a number from 0, got {label!r}; take another split"
            )
        limit = self.limit or self.declared
        if limit and number >= limit:
            raise UsageError(
                f"{self.where}: label {label!r} is more than the {limit} labels there are; set workload.labels higher"
            )
        self.highest = max(self.highest, number)
        return number

    def listed(self) -> list[str]:
        """Every label's name; those that have none are called by their number."""
        n = max(self.limit, len(self.names), self.highest + 1)
        return [self.names[i] if i < len(self.names) else str(i) for i in range(n)]


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
