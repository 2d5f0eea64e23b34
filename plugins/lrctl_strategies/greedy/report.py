"""The runs of a comparison of GreedyLR, and what they come to: results, rows, data, the run that is handed over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import params_of
from lrctl.contracts.strategy import SearchResult, TrainedRun
from lrctl.contracts.table import DataFile
from lrctl.registry.schedules import recorded
from lrctl_strategies.greedy import tables
from lrctl_strategies.greedy.params import GREEDY
from lrctl_strategies.greedy.protocol import DELTAS, Row, label, summed_up

NEXT = "lrctl report RUN for the loss and LR histories; lrctl baseline for schedules whose LR is tuned"

OWN = "recipe"
"""What the recipe's own optimizer is called where none was named."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run: an optimizer, a schedule by the name it was asked for, a seed; and how it ended."""

    optimizer: str
    name: str
    schedule: Any
    seed: int
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


def answer(ran: Sequence[Entry], left_out: Sequence[str], margin: float, steps: int) -> SearchResult:
    compared = [(pair, row(*pair, margin)) for pair in pairs(ran)]
    rows = [each for _, each in compared]
    over_seeds = tables.by_pair(rows)
    lost = [each.name == GREEDY for each in ran if not math.isfinite(each.losses[-1])]
    diverged = {"greedy": sum(lost), "others": len(lost) - sum(lost)}
    summary = summed_up(rows, margin)
    best, notes = handed_over(ran)
    return SearchResult(
        best.schedule if best else None,
        best.result.key if best else None,
        results=tuple(result_of(each, steps) for each in sorted(ran, key=lambda each: each is not best)),
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


def pairs(ran: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    first = {(each.optimizer, each.seed): each for each in ran if each.name == GREEDY}
    return [(first[e.optimizer, e.seed], e) for e in ran if e.name != GREEDY]


def row(ours: Entry, other: Entry, margin: float) -> Row:
    deltas = differences(ours, other)
    about = {"optimizer": other.optimizer, "scheduler": other.name, "seed": other.seed}
    return Row(tuple(label(delta, margin) for delta in deltas), deltas[-1], about)


def differences(ours: Entry, other: Entry) -> list[float]:
    """The other's loss minus ours at each stage; NaN where one is not finite."""
    deltas = [theirs - mine for theirs, mine in zip(other.losses, ours.losses, strict=True)]
    return [delta if math.isfinite(delta) else math.nan for delta in deltas]


def json_of(row: Row, ours: Entry, other: Entry) -> dict[str, Any]:
    """A row as the result document has it, with the losses at each stage and the cost of the forward passes."""
    return {
        **row.about,
        "initial_lr": params_of(ours.schedule)["initial_lr"],
        "greedy_losses": list(ours.losses),
        "losses": list(other.losses),
        "beats": list(row.beats),
        "delta": row.delta,
        "forwards_per_step": 1 + other.result.extra_forwards / other.result.steps,
    }


def as_csv(compared: Sequence[tuple[tuple[Entry, Entry], Row]]) -> DataFile:
    """What was compared, and by how much the other's loss was higher at each stage, as `--from-csv` reads it."""
    columns = ("optimizer", "scheduler", "seed", "initial_lr", *DELTAS)
    rows = []
    for (ours, other), each in compared:
        deltas = ("" if math.isnan(delta) else repr(delta) for delta in differences(ours, other))
        about = (*each.about.values(), params_of(ours.schedule)["initial_lr"])
        rows.append((*map(str, about), *deltas))
    return DataFile("rows", columns, tuple(rows))


def result_of(ran: Entry, steps: int) -> TrainedRun:
    return TrainedRun(
        f"{ran.optimizer} {ran.name}",
        recorded(ran.schedule),
        ran.result.key,
        train_loss=ran.losses[-1],
        validation_loss=ran.result.metrics["validation"]["loss"],
        test_loss=ran.result.metrics["test"]["loss"],
        full_runs=ran.result.spent_steps / steps,
        seed=ran.seed,
        optimizer=None if ran.optimizer == OWN else ran.optimizer,
    )


def handed_over(ran: Sequence[Entry]) -> tuple[Entry | None, list[str]]:
    """The run of GreedyLR with the lowest validation loss, and what is to be said of it and of those that diverged."""
    ours = [each for each in ran if each.name == GREEDY]
    best = min(ours, key=lambda each: each.validation_loss)
    lost = [f"{e.optimizer} {e.name} (seed {e.seed})" for e in ran if not math.isfinite(e.losses[-1])]
    notes = [f"did not finish: {', '.join(lost)}; a lower --initial-lr may help"] if lost else []
    if not math.isfinite(best.validation_loss):
        return None, [*notes, "every run of GreedyLR diverged, so no schedule is handed over; lower --initial-lr"]
    schedule = best.schedule
    low, high = (f"{bound[0]:.3g}" for bound in schedule.bounds[1:])
    notes.append(
        f"GreedyLR began with LR {schedule.initial_lr:g} and was kept from {low} to {high} "
        f"with {best.optimizer}, whose run is handed over; --greedy relative_max_lr=... sets the bound"
    )
    return best, notes
