"""Parameters of the comparison of GreedyLR with other schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.schedule import LRS, is_lr
from lrctl.contracts.strategy import GivenFile

GREEDY = "greedy"


@dataclass(frozen=True, slots=True)
class GreedyComparison:
    optimizer: Annotated[
        tuple[str, ...], "adamw, adam, sgd, adagrad or adafactor; repeatable. Default: the recipe's"
    ] = ()
    against: Annotated[
        tuple[str, ...], "schedule to compare with, or one with settings: hypergradient:scope=group; repeatable"
    ] = ("linear", "cosine", "polynomial", "constant-with-warmup")
    seeds: Annotated[tuple[int, ...], "such as 0,1,2: a run of everything with each. Default: the recipe's"] = ()
    initial_lr: Annotated[
        tuple[str, ...], "LR that all schedules begin with; sgd=0.1 is for one optimizer; repeatable"
    ] = ("0.001",)
    warmup: Annotated[float, "linear warmup of the schedules that take one, as a fraction of the run"] = 0.0
    greedy: Annotated[tuple[str, ...], "setting of GreedyLR, such as patience=5; repeatable"] = ()
    margin: Annotated[float, "differences of the loss below this are starred: about equal"] = 0.1
    from_csv: Annotated[
        str | None,
        "summarise recorded rows instead of training: a file with columns beat10, beat50, beat100, delta or delta10, "
        "delta50, delta100",
        GivenFile(),
    ] = None

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1:
            raise ValueError(
                f"warmup: must be at least 0 and less than 1, the whole run, got {self.warmup}; "
                "a schedule that warms up to the last step has nothing left to do"
            )
        if not self.against:
            raise ValueError("against: at least one schedule is needed")
        if GREEDY in self.against:
            raise ValueError(
                f"against: {GREEDY} is compared with the others; for another one name its settings, as in "
                f"{GREEDY}:patience=5"
            )
        if any(seed < 0 for seed in self.seeds):
            raise ValueError(f"seeds: must be at least 0, got {list(self.seeds)}")
        if not self.margin > 0:
            raise ValueError(f"margin: must be greater than 0, got {self.margin}")
        named = [own_lr(text)[0] for text in self.initial_lr]
        if len(set(named)) < len(named):
            raise ValueError(f"initial_lr: one for all and one for each optimizer at most, got {list(self.initial_lr)}")


def own_lr(text: str) -> tuple[str, float]:
    """The optimizer, or an empty string for all, and the LR of `--initial-lr`.

    >>> own_lr("0.001"), own_lr("sgd=0.1")
    (('', 0.001), ('sgd', 0.1))
    """
    name, _, value = text.rpartition("=")
    try:
        lr = float(value)
    except ValueError:
        lr = math.nan
    if not is_lr(lr):
        raise ValueError(f"initial_lr: must be an LR {LRS}, or sgd=0.1 for one optimizer, got {text!r}")
    return name.strip(), lr
