"""What a search for the best shape came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lrctl.contracts.axes import with_peak
from lrctl_strategies.shape.settings import Setting
from lrctl_strategies.shape.space import Space
from lrctl_strategies.shape.sweep import Sweep
from lrctl_strategies.shape.trials import Trials


@dataclass(frozen=True, kw_only=True)
class FamilyBest:
    """The best shape of a family, at its best base LR, and the loss there."""

    space: Space
    shape: Any
    base_lr: float
    loss: float

    @property
    def name(self) -> str:
        return self.space.name

    @property
    def schedule(self) -> Any:
        return with_peak(self.shape, self.base_lr)


@dataclass(frozen=True, kw_only=True)
class RankedFamily(FamilyBest):
    """A family's best shape, by the median loss with fresh seeds.

    Attributes:
        score: by which the shape was picked, from the seeds of the search at the same base LR.
        drawn: how many shapes of the family were scored.
        edge: the base LR is the lowest or highest that was tried.
    """

    score: float
    drawn: int
    edge: bool


@dataclass(frozen=True, kw_only=True)
class RefinedFamily(FamilyBest):
    """A family's best shape, once no small change makes it better.

    Attributes:
        drawn_loss: of the best of the shapes that were drawn, at the best base LR of the grid.
    """

    drawn_loss: float


@dataclass
class SettingResult:
    """What the search came to in one setting: the families, best first, and all that was measured."""

    trials: Trials
    spaces: dict[str, Space]
    shapes: dict[str, list[Any]]
    seeds: tuple[int, ...]
    fresh: tuple[int, ...]
    ranked: list[RankedFamily]
    sweeps: list[Sweep] = field(default_factory=list)

    @property
    def best(self) -> RankedFamily:
        """The best of the families that were searched; those to compare with do not count."""
        return next(each for each in self.ranked if not each.space.reference)

    @property
    def references(self) -> list[RankedFamily]:
        return [each for each in self.ranked if each.space.reference]

    @property
    def unseen(self) -> tuple[int, ...]:
        """As many seeds again, which neither picked nor ranked a shape: for the comparison with tuned ones."""
        return tuple(seed + len(self.fresh) for seed in self.fresh)

    @property
    def setting(self) -> Setting:
        return self.trials.setting
