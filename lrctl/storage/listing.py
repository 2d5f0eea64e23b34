"""The runs of a store, a row each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lrctl.storage.gc import KINDS, job_files
from lrctl.storage.run_result import LOSSES
from lrctl.storage.runs import FinishedRun, defects
from lrctl.storage.store import Store


def runs(store: Store) -> list[dict[str, Any]]:
    """A row per run, the oldest first.

    `bytes` is what the run's folder, the jobs recorded for it and the checkpoints it hands over take on disk; files
    that two runs hand over count for both. `defects` are its files that are missing or are not what was written.
    """
    sizes, own = sizes_of_jobs(store), defaultdict(set)
    for key in sizes:
        own[run_of(store, key)].add(key)
    rows = (row(store, name, own[name], sizes) for name in store.runs.names())
    return sorted(rows, key=lambda each: (str(each["date"]), str(each["run"])))


def sizes_of_jobs(store: Store) -> dict[str, int]:
    """By key, the bytes of all files of a job."""
    sizes: dict[str, int] = defaultdict(int)
    for kind, suffix in KINDS.items():
        for each in job_files(store, kind):
            sizes[each.name.removesuffix(suffix)] += each.size
    return sizes


def run_of(store: Store, key: str) -> str:
    """The run that a job is recorded for; empty where nothing is recorded."""
    facts = (store.read_json(f"{kind}/{key}.json") for kind in ("jobs", "stopped"))
    return str(next((fact.get("run") for fact in facts if fact), ""))


def row(store: Store, name: str, own: set[str], sizes: Mapping[str, int]) -> dict[str, Any]:
    """What a run is: from its result if it is finished, else from its identity."""
    folder, result, identity = store.runs.folder(name), store.runs.result(name), store.runs.identity(name)
    handed_over = result.handed_over if result else frozenset()
    wrong = defects(FinishedRun(store, name, result)) if result else damaged_files(store, name)
    return {
        "run": name,
        "status": "damaged" if wrong else "finished" if result else "unfinished",
        "command": identity and identity.command,
        "workload": Path(result.workload).name if result else identity and identity.workload["name"],
        "seed": result.seed if result else identity and identity.seed,
        "steps": identity and identity.steps,
        **{loss: result and getattr(result, loss) for loss in LOSSES},
        "full_runs": result and result.cost.full_runs,
        "date": changed(store, name, "result.json" if result else "identity.json"),
        "bytes": store.objects.size(folder) + sum(sizes.get(key, 0) for key in own | handed_over),
        "defects": wrong,
    }


def damaged_files(store: Store, name: str) -> list[str]:
    """The files of a run without a usable result that are there and cannot be used."""
    known = store.runs.identity(name) is not None
    whole = {
        "result.json": False,
        "identity.json": known,
        "recipe.toml": not known or store.runs.recipe(name) is not None,
        "environment.json": store.runs.environment(name) is not None,
    }
    return [
        file for file, fine in whole.items() if not fine and store.objects.about(f"{store.runs.folder(name)}/{file}")
    ]


def changed(store: Store, name: str, *facts: str) -> str:
    """When the first of these files of a run was written that is there; else its folder, or what lies in it."""
    folder, objects = store.runs.folder(name), store.objects
    found = next(filter(None, map(objects.about, (*(f"{folder}/{fact}" for fact in facts), folder))), None)
    times = [found.modified] if found else [each.modified for each in objects.entries(folder)]
    return datetime.fromtimestamp(max(times, default=0.0)).astimezone().isoformat()
