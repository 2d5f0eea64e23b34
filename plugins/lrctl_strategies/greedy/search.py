"""GreedyLR against other schedules with the same initial weights, data, optimizer and initial LR.

Source: Subramanian & Ganapathiraman, Zeroth Order GreedyLR, section III. There each optimizer meets one scheduler only;
here every optimizer meets every schedule.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult
from lrctl.errors import UsageError, unknown
from lrctl_strategies.families import contender
from lrctl_strategies.greedy import tables
from lrctl_strategies.greedy.params import GREEDY, GreedyComparison, own_lr
from lrctl_strategies.greedy.protocol import STAGES, parse, summed_up
from lrctl_strategies.greedy.report import OWN, Entry, answer


def greedy(p: GreedyComparison, run: RunSpec) -> Search:
    if p.from_csv is not None:
        try:
            rows = parse(p.from_csv, p.margin)
        except csv.Error as error:  # such as a cell of more than 131,072 characters
            raise UsageError(f"--from-csv: not CSV: {error}") from error
        summary = summed_up(rows, p.margin)
        shown = tuple(tables.summary(summary))
        return SearchResult(None, None, summary={"summary": summary}, tables=shown, charts=tables.histogram(summary))
    schedules, left_out = compared(p, run)
    each = [(optimizer, name, of[name]) for optimizer, of in schedules.items() for name in of]
    ran: list[Entry] = []
    for seed in dict.fromkeys(p.seeds or (run.seed,)):
        jobs = [whole_run(schedule, run, seed, optimizer) for optimizer, _, schedule in each]
        so_far = partial(of_whole_seeds, tuple(ran), left_out, p.margin, run.steps)
        results = yield Batch(f"seed {seed}", jobs, judge=False, so_far=so_far)
        ran += [Entry(*named, seed, result) for named, result in zip(each, results, strict=True)]
    return answer(ran, left_out, p.margin, run.steps)


def of_whole_seeds(
    ran: Sequence[Entry], left_out: list[str], margin: float, steps: int, _: object
) -> SearchResult | None:
    """The comparison over the seeds that are done."""
    return answer([*ran], left_out, margin, steps) if ran else None


def compared(p: GreedyComparison, run: RunSpec) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The schedules by optimizer and name, of each optimizer GreedyLR first; and what was left out."""
    for name in p.optimizer:
        if name not in run.optimizers:
            raise unknown("optimizer", name, run.optimizers, "--optimizer")
    lrs = initial_lrs(p.initial_lr, list(dict.fromkeys(p.optimizer)) or [OWN])
    schedules: dict[str, dict[str, Any]] = {optimizer: {} for optimizer in lrs}
    left_out = []
    for optimizer, lr in lrs.items():
        for name, schedule in contenders(p, lr, run.steps).items():
            if reason := incompatible_with(schedule, run, optimizer):
                left_out.append(f"{name} is left out with {optimizer}: {reason}")
            else:
                schedules[optimizer][name] = schedule
    schedules = {optimizer: each for optimizer, each in schedules.items() if len(each) > 1}
    if not schedules:
        raise UsageError(f"--against: nothing is left to compare with: {'; '.join(left_out)}")
    return schedules, left_out


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
