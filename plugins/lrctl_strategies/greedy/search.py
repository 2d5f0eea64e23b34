"""GreedyLR against other schedules with the same initial weights, data, optimizer and initial LR.

Source: Subramanian & Ganapathiraman, Zeroth Order GreedyLR, section III. There each optimizer meets one scheduler only;
here every optimizer meets every schedule.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import params_of
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult, TrainedRun
from lrctl.contracts.table import DataFile
from lrctl.errors import UsageError, unknown
from lrctl.registry.schedules import recorded
from lrctl_strategies.contenders import contender
from lrctl_strategies.greedy import tables as tables
from lrctl_strategies.greedy.params import GREEDY, GreedyComparison, own_lr
from lrctl_strategies.greedy.protocol import STAGES, Row, label, minus, summed_up
from lrctl_strategies.greedy.recorded import DELTAS, parse

OWN = "recipe"
"""What the recipe's own optimizer is called where none was named."""

NEXT = "lrctl report RUN for the loss and LR histories; lrctl baseline for schedules whose LR is tuned"


@dataclass(frozen=True, slots=True)
class Entry:
    """One run: an optimizer, a schedule by the name it was asked for, a seed."""

    optimizer: str
    name: str
    seed: int
    schedule: Any
    job: SegmentJob


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that was trained. `losses` are the smoothed training losses at each stage."""

    entry: Entry
    result: JobResult

    @property
    def losses(self) -> tuple[float, ...]:
        """The smoothed training losses at each stage."""
        return self.result.stage_losses

    @property
    def validation_loss(self) -> float:
        """What may be chosen by; +inf for a run whose training loss is not finite."""
        loss = self.result.metrics["validation"]["loss"]
        return loss if math.isfinite(loss) and math.isfinite(self.losses[-1]) else math.inf


def greedy(p: GreedyComparison, run: RunSpec) -> Search:
    """Run the comparison, or sum up rows that were recorded elsewhere."""
    if p.from_csv is not None:
        rows = parse(p.from_csv, p.margin)
        summary = summed_up(rows, p.margin)
        shown = tuple(tables.summary(summary))
        return SearchResult(None, None, summary={"summary": summary}, tables=shown, charts=tables.histogram(summary))
    wanted, left_out = entries(p, run)
    ran = yield from train(wanted)
    compared = [(pair, row(*pair, p.margin)) for pair in pairs(ran)]
    rows = [each for _, each in compared]
    over_seeds = tables.by_pair(rows)
    lost = [each.entry.name == GREEDY for each in ran if not math.isfinite(each.losses[-1])]
    diverged = {"greedy": sum(lost), "others": len(lost) - sum(lost)}
    summary = summed_up(rows, p.margin)
    found, notes = handed_over(ran)
    return SearchResult(
        found.entry.schedule if found else None,
        found.result.key if found else None,
        results=tuple(result_of(each) for each in sorted(ran, key=lambda each: each is not found)),
        chosen_by="validation loss, among the runs of GreedyLR",
        next=NEXT,
        summary={
            "rows": [json_of(each, *pair) for pair, each in compared],
            "pairs": over_seeds,
            "summary": summary,
            "runs_diverged": diverged,
        },
        data=(as_csv(compared),),
        tables=(tables.compared(over_seeds), *tables.summary(summary, diverged)),
        notes=(*left_out, *notes),
        charts=tables.histogram(summary),
    )


def entries(p: GreedyComparison, run: RunSpec) -> tuple[list[Entry], list[str]]:
    """All runs: for each seed and optimizer GreedyLR first, then the others; and what was left out.

    Raises:
        UsageError: an optimizer, schedule or setting is not known, or nothing fits the optimizers.
    """
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
    """GreedyLR and what it is compared with, by name, from one initial LR."""
    settings = ",".join(p.greedy)
    others = {text: contender(text, f"--against {text}", lr, steps, p.warmup) for text in p.against}
    return {GREEDY: contender(f"{GREEDY}:{settings}", f"--greedy {settings}", lr, steps)} | others


def whole_run(schedule: Any, run: RunSpec, seed: int, optimizer: str) -> SegmentJob:
    """The job that trains a schedule from the first step to the last, with its loss at every stage."""
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


def train(entries: Sequence[Entry]) -> Generator[Batch, list[JobResult], list[Ran]]:
    """Train all runs, seed by seed."""
    ran: list[Ran] = []
    for seed in dict.fromkeys(entry.seed for entry in entries):
        these = [entry for entry in entries if entry.seed == seed]
        results = yield Batch(f"seed {seed}", [entry.job for entry in these], judge=False)
        ran += [Ran(entry, result) for entry, result in zip(these, results, strict=True)]
    return ran


def pairs(ran: Sequence[Ran]) -> list[tuple[Ran, Ran]]:
    """GreedyLR and another schedule, with the same optimizer and seed."""
    first = {(each.entry.optimizer, each.entry.seed): each for each in ran if each.entry.name == GREEDY}
    return [(first[e.entry.optimizer, e.entry.seed], e) for e in ran if e.entry.name != GREEDY]


def row(ours: Ran, other: Ran, margin: float) -> Row:
    """GreedyLR and another schedule as a row of the protocol."""
    deltas = [minus(theirs, mine) for theirs, mine in zip(other.losses, ours.losses, strict=True)]
    about = {"optimizer": other.entry.optimizer, "scheduler": other.entry.name, "seed": other.entry.seed}
    return Row(tuple(label(delta, margin) for delta in deltas), deltas[-1], about)


def json_of(row: Row, ours: Ran, other: Ran) -> dict[str, Any]:
    """A row as the result document has it, with the losses at each stage and the cost of the forward passes."""
    return {
        **row.about,
        "initial_lr": params_of(ours.entry.schedule)["initial_lr"],
        "greedy_losses": list(ours.losses),
        "losses": list(other.losses),
        "beats": list(row.beats),
        "delta": row.delta,
        "forwards_per_step": 1 + other.result.extra_forwards / other.result.steps,
    }


def as_csv(compared: Sequence[tuple[tuple[Ran, Ran], Row]]) -> DataFile:
    """What was compared, and by how much the other's loss was higher at each stage, as `--from-csv` reads it."""
    columns = ("optimizer", "scheduler", "seed", "initial_lr", *DELTAS)
    rows = []
    for (ours, other), each in compared:
        deltas = (minus(theirs, mine) for theirs, mine in zip(other.losses, ours.losses, strict=True))
        about = (*each.about.values(), params_of(ours.entry.schedule)["initial_lr"])
        rows.append((*map(str, about), *("" if math.isnan(delta) else repr(delta) for delta in deltas)))
    return DataFile("rows", columns, tuple(rows))


def result_of(ran: Ran) -> TrainedRun:
    """A run's entry in the results."""
    return TrainedRun(
        f"{ran.entry.optimizer} {ran.entry.name}",
        recorded(ran.entry.schedule),
        ran.result.key,
        train_loss=ran.losses[-1],
        validation_loss=ran.result.metrics["validation"]["loss"],
        test_loss=ran.result.metrics["test"]["loss"],
        full_runs=1,
        seed=ran.entry.seed,
        optimizer=None if ran.entry.optimizer == OWN else ran.entry.optimizer,
    )


def handed_over(ran: Sequence[Ran]) -> tuple[Ran | None, list[str]]:
    """The run of GreedyLR with the lowest validation loss, and what is to be said of it and of those that diverged."""
    ours = [each for each in ran if each.entry.name == GREEDY]
    best = min(ours, key=lambda each: each.validation_loss)
    lost = [f"{e.entry.optimizer} {e.entry.name} (seed {e.entry.seed})" for e in ran if not math.isfinite(e.losses[-1])]
    notes = [f"did not finish: {', '.join(lost)}; a lower --initial-lr may help"] if lost else []
    if not math.isfinite(best.validation_loss):
        return None, [*notes, "every run of GreedyLR diverged, so no schedule is handed over; lower --initial-lr"]
    schedule = best.entry.schedule
    low, high = (f"{bound[0]:.3g}" for bound in schedule.bounds[1:])
    notes.append(
        f"GreedyLR began with LR {schedule.initial_lr:g} and was kept from {low} to {high} "
        f"with {best.entry.optimizer}, whose run is handed over; --greedy relative_max_lr=... sets the bound"
    )
    return best, notes


def initial_lrs(texts: Sequence[str], optimizers: Sequence[str]) -> dict[str, float]:
    """The initial LR of each optimizer: its own if it has one, else the one for all.

    Raises:
        UsageError: an optimizer is named that is not compared, or one has no LR.
    """
    given = dict(map(own_lr, texts))
    for name in given:
        if name and name not in optimizers:
            raise UsageError(f"--initial-lr {name}=...: {name} is not compared; add --optimizer {name}")
    for name in optimizers:
        if name not in given and "" not in given:
            raise UsageError(f"--initial-lr: {name} has none; add --initial-lr {name}=0.001, or a number for all")
    return {name: given.get(name, given.get("", 0.0)) for name in optimizers}
