"""Results and estimates for a person at a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lrctl.analysis.scales import lowest_of_decades
from lrctl.analysis.units import duration, size
from lrctl.contracts.result import beside_loss
from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.contracts.table import Table, number
from lrctl.registry.schedules import rebuilt
from lrctl.report.console import drawn, plain, show, stdout
from lrctl.report.curves import seeds_in_words
from lrctl.report.tables import cost_in_words, result_tables, runs_in_words
from lrctl.storage.run_result import RunResult

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "  ...:::#"
"""Columns of 0 to 8 eighths, where the terminal can show them and where it cannot."""


PLOT_MARGIN, NARROWEST_PLOT = 12, 12
"""Columns beside a plot, for its labels, and the fewest that show a schedule, and how long it is below."""


def print_summary(result: RunResult, files: Mapping[str, str | None], *, notes: bool = False) -> None:
    """What was found; with its notes where they are not told otherwise."""
    console = stdout()
    blocks = BLOCKS if console.encoding.startswith("utf") else ASCII_BLOCKS
    family = result.schedule.family if result.schedule else "no schedule"
    trained = f" on {result.workload}, {seeds_in_words(result.seeds)}" if result.cost.jobs else f": {family}"
    show(console, plain(result.command, "bold") + plain(f"{trained}, {result.steps} steps"), "")
    if result.schedule:
        schedule = rebuilt(result.schedule, f"run {result.run}")
        width = min(60, console.width - PLOT_MARGIN)
        if width >= NARROWEST_PLOT and not isinstance(schedule, AdaptiveSchedule):
            show(console, *plot(schedule, result.steps, blocks, width), "")
    for each in result_tables(result):
        show(console, plain(each.caption, "bold"), drawn(each), *each.notes, "")
    if result.checkpoint:
        show(
            console,
            f"train loss {number(result.train_loss)} (smoothed), "
            f"validation loss {number(result.validation_loss)}, test loss {number(result.test_loss)}",
        )
        for name, values in by_metric(result.metrics).items():
            show(console, f"{name}: {', '.join(f'{split} {number(value)}' for split, value in values.items())}")
    if result.weights:
        show(console, f"weights:    {result.weights} (of the last and the averages of training.averaging)")
    if result.cost.jobs:
        show(console, f"cost: {cost_in_words(result.cost)}")
    for name in ("schedule", "checkpoint"):
        if files[name]:
            show(console, f"{name + ':':11} {files[name]}")
    show(console, f"all of it:  {files['result']}")
    for note in result.notes if notes else ():
        show(console, f"note: {note}")
    if result.next:
        show(console, f"next: {result.next}")


def by_metric(metrics: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """Metrics beside the loss: metric -> split -> value."""
    others = beside_loss(metrics)
    names = dict.fromkeys(name for of in others.values() for name in of)
    return {name: {split: of[name] for split, of in others.items() if name in of} for name in names}


def plot(
    schedule: Callable[[float], float], steps: int, blocks: str = BLOCKS, width: int = 60, height: int = 6
) -> list[str]:
    """The LR over the run as lines of text: a column is a step in the middle of its share of the run.

    LRs that span decades stand on a logarithmic axis, which begins at the lowest but for the last tenth of the columns.
    """
    lrs = [schedule((column + 0.5) * steps / width) for column in range(width)]
    top, floor = max(lrs) or 1.0, lowest_of_decades(lrs)
    levels = [round(share_of(lr, floor, top) * height * 8) for lr in lrs]
    rows = [
        "".join(blocks[min(8, max(0, level - 8 * row))] for level in levels).rstrip() for row in reversed(range(height))
    ]
    labels = [f"{top:.2e}", *[""] * (height - 2), f"{floor:.2e}"]
    lines = [f"{label:>8} |{row}" for label, row in zip(labels, rows, strict=True)]
    return [*lines, " " * 9 + "0" + f"{steps} steps".rjust(width), *["logarithmic".rjust(width + 10)][: bool(floor)]]


def share_of(lr: float, floor: float, top: float) -> float:
    """How high an LR stands: linear from 0, or by its logarithm from `floor`."""
    if not floor:
        return lr / top
    return math.log(lr / floor) / math.log(top / floor) if lr > floor else 0.0


def print_estimate(estimate: Mapping[str, Any]) -> None:
    jobs = f"about {estimate['jobs']} jobs ({estimate['jobs_known']} of them known already)"
    steps = f"{estimate['steps']} steps = {runs_in_words(estimate['full_runs'], estimate['reference_full_runs'])}"
    together = f", {seeds_in_words(estimate['seeds'])} together" if "seeds" in estimate else ""
    lines = [f"{estimate['command']} on {estimate['workload']}{together}: {jobs}, {steps}"]
    on = f"on {estimate['workers']} worker{'s' * (estimate['workers'] != 1)}"
    if estimate["seconds"] is None:
        lines.append(f"training: {on}; time, memory and disk are not known")
    else:
        step = f"{estimate['seconds_per_step'] * 1e3:.3g} ms a step"
        disk, checkpoint = size(estimate["peak_disk_bytes"]), size(estimate["checkpoint_bytes"])
        lines += [
            f"training: about {duration(estimate['seconds'])} {on} ({step})",
            f"memory: about {size(estimate['memory_bytes'])} a worker, beside torch and the data",
            f"peak disk: about {disk} ({checkpoint} a checkpoint)",
        ]
    if estimate["data_bytes"]:
        lines.append(f"data to make ready first: about {size(estimate['data_bytes'])}")
    lines += [f"note: {note}" for note in estimate["notes"]]
    lines += [budget_line(each) for each in estimate.get("budget", ())]
    lines.append(
        "nothing was trained; a search that takes another path, or extends a grid, takes somewhat more or less"
    )
    show(stdout(), *lines)


def budget_line(told: Mapping[str, Any]) -> str:
    """Whether a search fits into a limit."""
    units: dict[str, Callable[[float], str]] = {"--max-steps": str, "--max-time": duration, "--max-disk": size}
    unit = units[told["limit"]]
    limit = f"{told['limit']} {unit(told['allowed'])}"
    if told["fits"] is None:
        return f"{limit}: whether the search fits is not known"
    needed = f"about {unit(told['needed'])} of {limit}"
    return f"it fits: it takes {needed}" if told["fits"] else f"it does not fit: it would take {needed}"


def print_tables(tables: Sequence[Table]) -> None:
    console = stdout()
    for i, table in enumerate(tables):
        show(console, *[""][:i], plain(table.caption, "bold"), "", drawn(table), "", *table.notes)
