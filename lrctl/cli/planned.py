"""What the experiments of a paper would take."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from lrctl.cli.options import print_json

COLUMNS = ("recipe", "cell", "command", "jobs", "full runs", "time")
SUMMED = ("jobs", "steps", "full_runs", "seconds")


def print_plan(wanted: list[Any], scale: Any, overrides: dict[str, Any], store: str | Path, *, as_json: bool) -> None:
    from lrctl.analysis.units import duration
    from lrctl.contracts.table import Table
    from lrctl.report import terminal

    planned = plan(wanted, scale, overrides, store)
    if as_json:
        print_json(planned)
        return
    rows = [
        (each["recipe"], each["cell"], each["command"], *([each["after"], "", ""] if "after" in each else told(each)))
        for each in planned
    ]
    known = [each for each in planned if "after" not in each]
    total: dict[str, Any] = {name: sum(each[name] or 0 for each in known) for name in SUMMED}
    rows.append((f"all {len(planned)} cells", "", "", *told(total)))
    notes = ["Work that cells have in common is done once; here each is counted as if it were alone."]
    if untimed := sum(not each["seconds"] for each in known):
        notes.append(f"The time of {untimed} cells is not known, and not in the sum of {duration(total['seconds'])}.")
    terminal.print_tables([Table("What it would take", COLUMNS, tuple(rows), tuple(notes))])


def told(estimate: dict[str, Any]) -> list[str]:
    from lrctl.analysis.units import duration

    seconds = estimate["seconds"]
    return [str(estimate["jobs"]), f"{estimate['full_runs']:.1f}", f"about {duration(seconds)}" if seconds else ""]


def plan(wanted: list[Any], scale: Any, overrides: dict[str, Any], store: str | Path) -> list[dict[str, Any]]:
    """An estimate for each cell. At scale tiny a step of each workload is timed, once."""
    from lrctl.papers import experiments as papers

    planned: list[dict[str, Any]] = []
    timed: dict[str, dict[str, Any]] = {}
    for each in wanted:
        for cell in each.cells:
            found: dict[str, Any] = {"command": cell.command, "after": cell.given}
            if not cell.given:
                with redirect_stdout(sys.stderr):
                    recipe = papers.recipe_of(each, cell, scale, overrides)
                    found = estimated(cell.command, recipe, store, timed if scale == "tiny" else None)
            planned.append({"recipe": each.recipe, "cell": cell.label, **found})
    return planned


def estimated(command: str, recipe: Any, store: str | Path, timed: dict[str, dict[str, Any]] | None) -> dict[str, Any]:
    """An estimate, whose time is that of its steps where a step of the same workload was timed before."""
    from lrctl.contracts.canonical import digest
    from lrctl.contracts.result import FORWARD
    from lrctl.planning.estimate import MEASURED, estimate

    key = digest([recipe.workload.name, recipe.workload.changed, recipe.optimizer.changed, recipe.training.device])
    known = None if timed is None else timed.get(key)
    passes = known["passes_per_evaluation"] if known else None
    found = estimate(command, recipe, store=store, measure=timed is not None and known is None, passes=passes)
    if timed is None:
        return found
    if known is None:
        timed[key] = {name: found[name] for name in (*MEASURED, "workers")}
        return found
    if known["seconds_per_step"] is not None:
        steps = found["steps"] + FORWARD * found["forwards"]
        found |= {name: known[name] for name in ("seconds_per_step", "seconds_per_evaluation", "memory_bytes")}
        found |= {"workers": known["workers"], "seconds": steps * known["seconds_per_step"] / max(1, known["workers"])}
    return found
