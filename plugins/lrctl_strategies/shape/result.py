"""What a search for the best shape came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lrctl.contracts.axes import with_peak
from lrctl_strategies.shape.space import Space
from lrctl_strategies.shape.sweep import Sweep
from lrctl_strategies.shape.trials import Bench, Setting


@dataclass(frozen=True)
class Ranked:
    """A family's best shape, by the losses with fresh seeds.

    Attributes:
        score: by which the shape was picked, from the seeds of the search.
        loss: median with fresh seeds at the same base LR.
        drawn: how many shapes of the family were scored.
    """

    space: Space
    shape: Any
    base_lr: float
    score: float
    loss: float
    drawn: int
    edge: bool = False

    @property
    def name(self) -> str:
        """Of the family."""
        return self.space.name

    @property
    def schedule(self) -> Any:
        """The shape at its base LR."""
        return with_peak(self.shape, self.base_lr)


@dataclass
class Searched:
    """What the search came to in one setting: the families, best first, and all that was measured."""

    bench: Bench
    spaces: dict[str, Space]
    shapes: dict[str, list[Any]]
    seeds: tuple[int, ...]
    fresh: tuple[int, ...]
    ranked: list[Ranked]
    sweeps: list[Sweep] = field(default_factory=list)

    @property
    def best(self) -> Ranked:
        """The best of the families that were searched; those to compare with do not count."""
        return next(each for each in self.ranked if not each.space.reference)

    @property
    def references(self) -> list[Ranked]:
        """The families to compare with, the best first."""
        return [each for each in self.ranked if each.space.reference]

    @property
    def unseen(self) -> tuple[int, ...]:
        """As many seeds again, which neither picked nor ranked a shape: for the comparison with tuned ones."""
        return tuple(seed + len(self.fresh) for seed in self.fresh)

    @property
    def setting(self) -> Setting:
        """What was searched in."""
        return self.bench.setting


@dataclass(frozen=True)
class Best:
    """A family's best shape.

    Attributes:
        drawn_loss: of the best of the shapes that were drawn, at the best base LR of the grid.
        loss: after the refinement.
    """

    name: str
    space: Space
    shape: Any
    base_lr: float
    loss: float
    drawn_loss: float

    @property
    def schedule(self) -> Any:
        """The shape at its base LR."""
        return with_peak(self.shape, self.base_lr)
