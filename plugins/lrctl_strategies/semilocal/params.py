"""Parameters of semi-local search and of local search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lrctl_strategies.grids import GEOMETRIC, check_grid, check_least
from lrctl_strategies.reference import WithReference


@dataclass(frozen=True)
class Local(WithReference):
    segments: Annotated[int, "K: segments the run is cut into"] = 10
    grid_size: Annotated[int, "n: 2n ratios 0, 1/2, 2/3, ..., 1, ..., 3/2, 2 to the segment's first LR"] = 10
    grid: Annotated[tuple[float, ...], "LRs tried where a segment starts at LR 0, as the first does"] = GEOMETRIC
    max_lr: Annotated[float | None, "candidates above this LR are not tried"] = None
    lean: Annotated[
        bool, "try only candidates around the lowest loss, and around the largest LR within eps: some 40 % of the cost"
    ] = False

    def __post_init__(self) -> None:
        check_least(self, segments=1, grid_size=1)
        check_grid(self.grid, max_lr=self.max_lr)


@dataclass(frozen=True)
class Eps:
    eps: Annotated[
        float,
        "how much worse than the best a candidate may be and still be chosen; always 0 in the first and last segment "
        "and where the LR starts at 0",
    ] = 0.48
    eps_unit: Annotated[
        Literal["nats", "progress"], "progress: share of what the segment can gain; nats: of mean loss"
    ] = "progress"
    decay: Annotated[bool, "let eps fall linearly: eps (K - k) / (K - 1) in segment k"] = False
    tune_eps: Annotated[bool, "double and halve eps, constant and decaying, while validation loss improves"] = False


@dataclass(frozen=True)
class SemiLocal(Local, Eps):  # in --help the flags of Eps come first: a dataclass begins with its last base
    def __post_init__(self) -> None:
        if self.eps < 0:
            raise ValueError(f"eps: must be at least 0, got {self.eps}")
        if self.tune_eps and self.eps == 0:
            raise ValueError("eps: must be greater than 0 with tune_eps, which doubles and halves it")
        super().__post_init__()
