"""Stored results -> documents and tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrctl import __version__
from lrctl.job import Task, finite
from lrctl.plugins import registry
from lrctl.results import SCHEDULE_FORMAT
from lrctl.schedule import AdaptiveSchedule, build_schedule
from lrctl.strategy import Found

if TYPE_CHECKING:
    import numpy as np

SMOOTHING = 10.0
"""Standard deviation, in steps, of the Gaussian filter behind a final train loss (paper, section 4.2)."""


def final_train_loss(losses: np.ndarray[Any, Any]) -> float:
    """The last value of the losses smoothed with a Gaussian filter of standard deviation 10 steps.

    As scipy.ndimage.gaussian_filter1d(losses, 10)[-1]: beyond its end the series is reflected (d c b a | a b c d),
    and the filter is cut off at 4 standard deviations. Losses that are not finite are left out; +inf if all are.
    """
    import numpy as np

    losses = losses[np.isfinite(losses)]
    if not len(losses):
        return math.inf
    radius = int(4 * SMOOTHING + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SMOOTHING) ** 2)
    padded = np.pad(losses.astype(np.float64), radius, mode="symmetric")
    return float(padded[-len(weights) :] @ (weights / weights.sum()))


def result_document(
    command: str,
    task: Task,
    steps: int,
    found: Found,
    *,
    train_loss: float,
    metrics: Mapping[str, Mapping[str, float]],
    cost: Mapping[str, Any],
    notes: Sequence[str],
    schedule: Mapping[str, Any],
) -> dict[str, Any]:
    """The result of a search as `--json` prints it and the store keeps it."""
    trace = [asdict(segment) for segment in found.trace]
    document = {
        "command": command,
        "run": task.run,
        "status": "done",
        "workload": task.workload,
        "seed": task.seed,
        "steps": steps,
        "schedule": schedule,
        "train_loss": train_loss,
        "validation_loss": metrics["validation"]["loss"],
        "eval_loss": metrics["test"]["loss"],
        "metrics": metrics,
        "segments": trace,
        "checkpoint": found.checkpoint,
        "cost": cost,
        "notes": [*notes, *(note for segment in found.trace for note in segment.notes)],
        **dict(found.summary),
    }
    strict: dict[str, Any] = finite(document)
    return strict


def schedule_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """The content of schedule.json: what a schedule is, for how many steps, and what made it."""
    return {
        "format": SCHEDULE_FORMAT,
        "steps": document["steps"],
        "schedule": document["schedule"],
        "made_by": {"lrctl": __version__, "command": document["command"], "run": document["run"]},
    }


BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "  ...:::#"
"""Columns of 0 to 8 eighths, where the terminal can show them and where it cannot."""


def print_summary(document: Mapping[str, Any]) -> None:
    """A search's result for a person, on stdout."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    blocks = BLOCKS if console.encoding.startswith("utf") else ASCII_BLOCKS
    family, params = document["schedule"]["family"], document["schedule"]["params"]
    console.print(
        Text.assemble((document["command"], "bold"), f" on {document['workload']}, seed {document['seed']}, "),
        f"{document['steps']} steps\n",
        sep="",
    )
    schedule = build_schedule(registry().get("schedule", family).target, params)
    if not isinstance(schedule, AdaptiveSchedule):
        console.print("\n".join(plot(schedule, document["steps"], blocks)) + "\n")
    if document["segments"]:
        console.print(segment_table(document), "", sep="\n")
    if document.get("eps_unit") == "progress":
        console.print("eps was a share of each segment's progress (--eps-unit progress); the table has it in nats")
    for tried in document.get("tried", []):
        policy = "decaying" if tried["decay"] else "constant"
        console.print(f"tried eps {tried['eps']:g} {policy}: validation loss {number(tried['validation_loss'])}")
    if "tried" in document:
        policy = "decaying" if document["decay"] else "constant"
        console.print(f"found eps {document['eps']:g} {policy}, chosen by {document['chosen_by']}\n")
    cost, files = document["cost"], document["files"]
    console.print(
        f"train loss {number(document['train_loss'])} (smoothed), "
        f"validation loss {number(document['validation_loss'])}, test loss {number(document['eval_loss'])}\n"
        f"cost: {cost['jobs']} jobs ({cost['jobs_reused']} reused), {cost['steps_trained']} steps trained = "
        f"{cost['baseline_runs']:.1f} plain runs, {cost['seconds']:.0f} s\n"
        f"schedule:   {files['schedule']}\n"
        f"checkpoint: {files['checkpoint']}\n"
        f"all of it:  {files['result']}"
    )
    if "next" in document:
        console.print(f"next: {document['next']}")


def number(loss: float | None) -> str:
    """A loss to four digits."""
    return "not finite" if loss is None else f"{loss:.4f}"


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


def segment_table(document: Mapping[str, Any]) -> Table:
    """The decisions of a search: a row per segment, with the margin of each choice."""
    table = Table(
        "k",
        "steps",
        "LR at start",
        "LR at end",
        "mean loss",
        "lowest",
        "eps (nats)",
        "margin",
        box=None,
        pad_edge=False,
    )
    for segment in document["segments"]:
        losses = {c["lr"]: c["mean_loss"] for c in segment["candidates"]}
        lowest = min(loss for loss in losses.values() if loss is not None)
        margin = math.inf if segment["margin"] is None else segment["margin"]
        table.add_row(
            str(segment["k"]),
            f"{segment['start']}-{segment['stop']}",
            f"{segment['lr_start']:.3g}",
            f"{segment['chosen']:.3g}",
            f"{losses[segment['chosen']]:.4f}",
            f"{lowest:.4f}",
            f"{segment['eps']:.3g}",
            f"{margin:.2g}",
        )
    return table


def print_estimate(estimate: Mapping[str, Any]) -> None:
    """What a search would take, for a person, on stdout."""
    Console(highlight=False, soft_wrap=True, markup=False).print(
        f"{estimate['command']} on {estimate['workload']}: about {estimate['jobs']} jobs "
        f"({estimate['jobs_known']} known), {estimate['steps']} steps = {estimate['baseline_runs']:.1f} plain runs\n"
        f"training: about {estimate['seconds']:.0f} s on {estimate['workers']} workers "
        f"({estimate['seconds_per_step'] * 1e3:.2f} ms a step)\n"
        f"peak disk: about {estimate['peak_disk_bytes'] / 1e6:.2g} MB "
        f"({estimate['checkpoint_bytes'] / 1e6:.2g} MB a checkpoint)\n"
        "nothing was trained"
    )
