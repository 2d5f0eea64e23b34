"""Parameters of semi-local search and of local search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from lrctl_strategies.grids import GEOMETRIC

Unit = Literal["nats", "progress"]

Segments = Annotated[int, "K: segments the run is cut into"]

GridSize = Annotated[int, "n: 2n ratios 0, 1/2, 2/3, ..., 1, ..., 3/2, 2 to the segment's first LR"]

Grid = Annotated[tuple[float, ...], "LRs tried where a segment starts at LR 0, as the first does"]

MaxLr = Annotated[float | None, "candidates above this LR are not tried"]

Lean = Annotated[
    bool, "try only candidates around the lowest loss, and around the largest LR within eps: some 40 % of the cost"
]


@dataclass(frozen=True, slots=True)
class SemiLocal:
    eps: Annotated[
        float,
        "how much worse than the best a candidate may be and still be chosen; always 0 in the first and last segment "
        "and where the LR starts at 0",
    ] = 0.48
    eps_unit: Annotated[Unit, "progress: share of what the segment can gain; nats: of mean loss"] = "progress"
    decay: Annotated[bool, "let eps fall linearly: eps (K - k) / (K - 1) in segment k"] = False
    tune_eps: Annotated[bool, "double and halve eps, constant and decaying, while validation loss improves"] = False
    segments: Segments = 10
    grid_size: GridSize = 10
    grid: Grid = GEOMETRIC
    max_lr: MaxLr = None
    lean: Lean = False

    def __post_init__(self) -> None:
        if self.eps < 0:
            raise ValueError(f"eps: must be at least 0, got {self.eps}")
        if self.tune_eps and self.eps == 0:
            raise ValueError("eps: must be greater than 0 with tune_eps, which doubles and halves it")
        check_candidates(self)


@dataclass(frozen=True, slots=True)
class Local:
    segments: Segments = 10
    grid_size: GridSize = 10
    grid: Grid = GEOMETRIC
    max_lr: MaxLr = None
    lean: Lean = False

    def __post_init__(self) -> None:
        check_candidates(self)


def check_candidates(p: SemiLocal | Local) -> None:
    """Refuse parameters that leave a segment without candidates."""
    for name in ("segments", "grid_size"):
        if getattr(p, name) < 1:
            raise ValueError(f"{name}: must be at least 1, got {getattr(p, name)}")
    if not p.grid or not all(lr > 0 for lr in p.grid):
        raise ValueError(f"grid: must hold LRs greater than 0, got {list(p.grid)}")
    if not allowed(p.grid, p.max_lr):
        raise ValueError(f"max_lr: no LR of the grid is at most {p.max_lr:g}; raise it above {min(p.grid):g}")


def allowed(lrs: Sequence[float], max_lr: float | None) -> list[float]:
    return [lr for lr in lrs if max_lr is None or lr <= max_lr]
