"""The runs of a comparison: GreedyLR and each other schedule, with every optimizer, from one initial LR and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import RunSpec
from lrctl.errors import UsageError, unknown
from lrctl_strategies.families import contender
from lrctl_strategies.greedy.params import GREEDY, GreedyComparison, own_lr
from lrctl_strategies.greedy.protocol import STAGES

OWN = "recipe"
"""What the recipe's own optimizer is called where none was named."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run: an optimizer, a schedule by the name it was asked for, a seed."""

    optimizer: str
    name: str
    seed: int
    schedule: Any
    job: SegmentJob


def entries(p: GreedyComparison, run: RunSpec) -> tuple[list[Entry], list[str]]:
    """All runs: for each seed and optimizer GreedyLR first, then the others; and what was left out."""
    for name in p.optimizer:
        if name not in run.optimizers:
            raise unknown("optimizer", name, run.optimizers, "--optimizer")
    lrs = initial_lrs(p.initial_lr, list(dict.fromkeys(p.optimizer)) or [OWN])
    schedules = {optimizer: contenders(p, lr, run.steps) for optimizer, lr in lrs.items()}
    left_out = []
    for optimizer, each in schedules.items():
        for name, reason in [(name, incompatible_with(schedule, run, optimizer)) for name, schedule in each.items()]:
            if reason:
                left_out.append(f"{name} is left out with {optimizer}: {reason}")
                del each[name]
    schedules = {optimizer: each for optimizer, each in schedules.items() if len(each) > 1}
    if not schedules:
        raise UsageError(f"--against: nothing is left to compare with: {'; '.join(left_out)}")
    made = [
        Entry(optimizer, name, seed, schedule, whole_run(schedule, run, seed, optimizer))
        for seed in dict.fromkeys(p.seeds or (run.seed,))
        for optimizer in schedules
        for name, schedule in schedules[optimizer].items()
    ]
    return made, left_out


def incompatible_with(schedule: Any, run: RunSpec, optimizer: str) -> str:
    """Why a schedule cannot work with an optimizer; empty if it can, or if only the workload knows its optimizer."""
    known = hasattr(schedule, "incompatible_with") and optimizer != OWN
    return str(schedule.incompatible_with(run.optimizers[optimizer])) if known else ""


def contenders(p: GreedyComparison, lr: float, steps: int) -> dict[str, Any]:
    settings = ",".join(p.greedy)
    others = {text: contender(text, f"--against {text}", lr, steps, p.warmup) for text in p.against}
    return {GREEDY: contender(f"{GREEDY}:{settings}", f"--greedy {settings}", lr, steps)} | others


def initial_lrs(texts: Sequence[str], optimizers: Sequence[str]) -> dict[str, float]:
    """The initial LR of each optimizer: its own if it has one, else the one for all."""
    given = dict(map(own_lr, texts))
    for name in given:
        if name and name not in optimizers:
            raise UsageError(f"--initial-lr {name}=...: {name} is not compared; add --optimizer {name}")
    for name in optimizers:
        if name not in given and "" not in given:
            raise UsageError(f"--initial-lr: {name} has none; add --initial-lr {name}=0.001, or a number for all")
    return {name: given.get(name, given.get("", 0.0)) for name in optimizers}


def whole_run(schedule: Any, run: RunSpec, seed: int, optimizer: str) -> SegmentJob:
    return SegmentJob(
        0,
        run.steps,
        schedule,
        evaluate=("validation", "test"),
        checkpoint=False,
        seed=None if seed == run.seed else seed,
        optimizer=None if optimizer == OWN else run.optimizers[optimizer],
        stages=tuple(max(1, round(share * run.steps)) for share in STAGES),
    )
