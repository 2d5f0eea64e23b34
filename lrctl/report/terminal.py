"""Results and estimates for a person at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import table as rich_table
from rich.console import Console
from rich.text import Text

from lrctl.plugins import registry
from lrctl.report.curves import told_seeds
from lrctl.report.tables import of_document
from lrctl.schedule import AdaptiveSchedule, build_schedule
from lrctl.table import Table, number

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "  ...:::#"
"""Columns of 0 to 8 eighths, where the terminal can show them and where it cannot."""


def stdout() -> Console:
    """Stdout, for text that is printed as it is."""
    # A table is fitted to a terminal, but not on its way into a file.
    width = None if sys.stdout.isatty() else 10_000
    return Console(width=width, highlight=False, soft_wrap=True, markup=False)


def print_summary(document: Mapping[str, Any]) -> None:
    """A search's result for a person, on stdout."""
    console = stdout()
    blocks = BLOCKS if console.encoding.startswith("utf") else ASCII_BLOCKS
    family = (document["schedule"] or {}).get("family", "no schedule")
    trained = f" on {document['workload']}, {told_seeds(document)}" if document["cost"]["jobs"] else f": {family}"
    console.print(Text.assemble((document["command"], "bold"), f"{trained}, {document['steps']} steps\n"))
    if document["schedule"]:
        schedule = build_schedule(registry().get("schedule", family).target, document["schedule"]["params"])
        if not isinstance(schedule, AdaptiveSchedule):
            console.print("\n".join(plot(schedule, document["steps"], blocks)) + "\n")
    for each in of_document(document):
        console.print(Text(each.caption, "bold"), drawn(each), *each.notes, "", sep="\n")
    cost, files = document["cost"], document["files"]
    if document["checkpoint"]:
        console.print(
            f"train loss {number(document['train_loss'])} (smoothed), "
            f"validation loss {number(document['validation_loss'])}, test loss {number(document['eval_loss'])}"
        )
    if cost["jobs"]:
        console.print(
            f"cost: {cost['jobs']} jobs ({cost['jobs_reused']} reused), {cost['steps_trained']} steps trained = "
            f"{cost['baseline_runs']:.1f} plain runs, {cost['seconds']:.0f} s"
        )
    for name in ("schedule", "checkpoint"):
        if files[name]:
            console.print(f"{name + ':':11} {files[name]}")
    console.print(f"all of it:  {files['result']}")
    if "next" in document:
        console.print(f"next: {document['next']}")


def plot(
    schedule: Callable[[float], float], steps: int, blocks: str = BLOCKS, width: int = 60, height: int = 6
) -> list[str]:
    """The LR over the run as lines of text: a column is a step in the middle of its share of the run."""
    lrs = [schedule((column + 0.5) * steps / width) for column in range(width)]
    top = max(lrs) or 1.0
    levels = [round(lr / top * height * 8) for lr in lrs]
    rows = [
        "".join(blocks[min(8, max(0, level - 8 * row))] for level in levels).rstrip() for row in reversed(range(height))
    ]
    labels = [f"{top:8.2e}", *[""] * (height - 2), f"{0:8.2e}"]
    return [f"{label:>8} |{row}" for label, row in zip(labels, rows, strict=True)] + [
        " " * 9 + "0" + f"{steps} steps".rjust(width)
    ]


def print_estimate(estimate: Mapping[str, Any]) -> None:
    """What a search would take, for a person, on stdout."""
    stdout().print(
        f"{estimate['command']} on {estimate['workload']}: about {estimate['jobs']} jobs "
        f"({estimate['jobs_known']} of them known already), {estimate['steps']} steps = "
        f"{estimate['baseline_runs']:.1f} plain runs\n"
        f"training: about {estimate['seconds']:.0f} s on {estimate['workers']} workers "
        f"({estimate['seconds_per_step'] * 1e3:.2f} ms a step)\n"
        f"peak disk: about {estimate['peak_disk_bytes'] / 1e6:.2g} MB "
        f"({estimate['checkpoint_bytes'] / 1e6:.2g} MB a checkpoint)\n"
        "nothing was trained; a search that takes another path, or extends a grid, takes somewhat more or less"
    )


def print_tables(tables: Sequence[Table]) -> None:
    """Tables with their captions and notes, on stdout."""
    console = stdout()
    for i, table in enumerate(tables):
        console.print(*[""][:i], Text(table.caption, "bold"), "", drawn(table), "", *table.notes, sep="\n")


def drawn(table: Table) -> rich_table.Table:
    """A table without lines."""
    columns = [rich_table.Column(name, overflow="fold") for name in table.columns]
    found = rich_table.Table(*columns, box=None, pad_edge=False)
    for row in table.rows:
        found.add_row(*row)
    return found
