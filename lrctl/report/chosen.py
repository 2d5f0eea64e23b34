"""Which finished runs are compared: those that are asked for, else all of a store that can be compared."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from lrctl.contracts.canonical import canonical_json
from lrctl.errors import LrctlError, UsageError
from lrctl.report.runs import Run, open_run
from lrctl.storage.named import all_runs, newest_first
from lrctl.storage.runs import existing, finished
from lrctl.storage.store import Store


def chosen(store: str | Path, given: Sequence[str]) -> list[str]:
    """The names of the runs that are asked for; where none is, those of the experiment that was finished last.

    Raises:
        UsageError: there are none.
    """
    place = existing(store)
    return all_runs(place, given, finished=True) if given else comparable(place)


def comparable(place: Store) -> list[str]:
    """The finished runs of the workload, data and steps of the newest, by name; of the others there is a warning.

    Runs in which nothing was trained stand for themselves, where there are no others.
    """
    found: list[Run] = []
    left_out = {}
    for name in newest_first(place, place.runs.names()):
        try:
            found.append(open_run(finished(place.address, name)))
        except LrctlError:
            left_out[name] = "not finished" if place.runs.result(name) is None else "cannot be read"
    trained = [run for run in found if run.result.trained]
    kept = [run for run in trained if canonical_json(run.fixed) == canonical_json(trained[0].fixed)] or [
        run for run in found if run.result.tables
    ]
    if not kept:
        raise UsageError(f"{place.shown}: there is no finished run to compare; `lrctl runs` lists what is there")
    other = "another workload, data or steps"
    left_out |= {run.name: other if run in trained else "nothing was trained" for run in found if run not in kept}
    if left_out:
        warnings.warn(f"left out: {', '.join(f'{name} ({why})' for name, why in left_out.items())}", stacklevel=2)
    return sorted(run.name for run in kept)
