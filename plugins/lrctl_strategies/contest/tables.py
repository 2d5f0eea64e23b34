"""A contest as tables and charts for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrctl.contracts.canonical import finite
from lrctl.contracts.chart import Chart, Series
from lrctl.contracts.table import Table, interval, number, signed
from lrctl_strategies.contest.contenders import YOURS, Contender
from lrctl_strategies.contest.outcome import Difference, Outcome

STATE = {"adamw": 2, "adam": 2, "sgd": 0, "adagrad": 1, "adafactor": 0, "muon": 1, "schedule-free": 2}
"""Numbers that an optimizer keeps for a weight, where that is known; rows and columns of a matrix count as none."""


def worth(found: Outcome, order: Sequence[Contender]) -> Table:
    columns = (
        "contender",
        "judged after",
        "LR",
        "test loss",
        "against yours",
        "full runs",
        "time a step",
        "in equal time",
        "state",
    )
    rows = tuple(row(found, each) for each in order)
    told = (
        f"It holds for runs of {found.trials.steps} steps: longer and shorter ones may have another winner.",
        "Test loss: of the best and yours the mean over fresh seeds, of others that of the recipe's seed.",
        "Against yours: less is better. With fresh seeds the mean and, of two or more, its 95 % interval.",
        "One seed: the recipe's, by which the contenders were chosen; against the best where yours had no run with it.",
        "Short: of short runs, by their scores.",
        "Time a step: over yours, each in its fastest run. Times are noisy; nothing is decided by them.",
        "In equal time: about the difference, did yours gain in the time left as from short runs to whole ones.",
        "State: numbers kept for a weight, beside itself and its gradient.",
        "* is handed over.",
    )
    return Table("What each contender is worth", columns, rows, told)


def row(found: Outcome, contender: Contender) -> tuple[str, ...]:
    run, time, loss = found.longest(contender), found.step_time(contender), found.test_loss(contender)
    state, equal = STATE.get(contender.optimizer), found.at_equal_time(contender)
    return (
        contender.name + " *" * (contender == found.winner),
        f"{run.trial.steps} steps" if run else "diverged",
        f"{run.trial.lr:.3g}" if run else "none",
        "not measured" if loss is None else number(loss),
        "" if contender.yours else against(found.difference(contender)),
        f"{found.full_runs(contender):.2f}",
        "not known" if time is None else f"{time:.2f}",
        "" if equal is None else signed(equal),
        "not known" if state is None else str(state),
    )


def against(difference: Difference | None) -> str:
    """A difference in a cell."""
    if difference is None:
        return "none"
    if difference.interval:
        return f"{signed(difference.mean)} ({interval(difference.interval)})"
    return f"{signed(difference.mean)}, {('short', 'one seed', f'{difference.seeds} seeds')[min(2, difference.seeds)]}"


def told_of_fresh(found: Outcome) -> list[Table]:
    """The test losses with each fresh seed."""
    if not found.seeds:
        return []
    best, yours = found.rivals
    rows = []
    for seed, a, b in zip(found.seeds, found.fresh(best), found.fresh(yours), strict=True):
        rows.append((str(seed), number(a.test_loss), number(b.test_loss), signed(a.test_loss - b.test_loss)))
    notes = ("These seeds had no part in any choice but the last: whether the best contender or yours is handed over.",)
    return [Table("Test loss on fresh seeds", ("seed", best.name, YOURS, "difference"), tuple(rows), notes)]


def charts(found: Outcome, order: Sequence[Contender]) -> tuple[Chart, ...]:
    """The scores of short runs by LR and, where there is any, the differences to yours."""
    told = (found.difference(each) for each in order)
    ends = {each.name: d for each, d in zip(order, told, strict=True) if d and d.seeds and math.isfinite(d.mean)}
    lines = tuple(line for each in order if (line := short_runs(found, each)).x)
    caption = f"Scores of runs of {found.short} steps by their LR. They find LRs, and drop who is far behind."
    drawn = [Chart("contest-lrs", "Short runs", "lines", "LR", "score", caption, lines, log_x=True)]
    if ends:
        low = tuple(d.interval[0] if d.interval else d.mean for d in ends.values())
        high = tuple(d.interval[1] if d.interval else d.mean for d in ends.values())
        at, y = tuple(map(float, range(len(ends)))), tuple(d.mean for d in ends.values())
        caption = "Test loss minus that of yours on whole runs; a bar is the 95 % interval over fresh seeds."
        series = (Series("against yours", at, y, low, high),)
        shown = Chart(
            "contest", "Against yours", "points", "", "test loss less that of yours", caption, series, ticks=tuple(ends)
        )
        drawn.insert(0, shown)
    return tuple(drawn)


def short_runs(found: Outcome, contender: Contender) -> Series:
    runs = sorted(found.trials.of(contender, found.short).items())
    scores = tuple(finite(run.score.mean) for _, run in runs)
    return Series(contender.name, tuple(lr for lr, _ in runs), scores)
