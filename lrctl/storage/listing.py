"""The runs of a store, a row each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lrctl.storage.gc import KINDS, facts, job_files, size
from lrctl.storage.run_result import LOSSES
from lrctl.storage.store import Store


def runs(store: Store) -> list[dict[str, Any]]:
    """A row per run, the oldest first.

    `bytes` is what the run's folder, the jobs recorded for it and the checkpoints it hands over take on disk; files
    that two runs hand over count for both.
    """
    jobs = facts({kind: job_files(store, kind) for kind in KINDS})
    return sorted((row(store, name, jobs) for name in store.runs()), key=lambda each: str(each["date"]))


def row(store: Store, name: str, jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a run is: from its result if it is finished, else from its identity."""
    folder, result, identity = store.run(name), store.run_result(name), store.identity(name)
    handed_over = result.handed_over if result else frozenset()
    own = {key for key, job in jobs.items() if job.get("run") == name} | handed_over
    paths = [*folder.rglob("*"), *(store.path / kind / f"{key}{KINDS[kind]}" for key in own for kind in KINDS)]
    fact = folder / ("result.json" if result else "identity.json")
    return {
        "run": name,
        "status": "finished" if result else "unfinished",
        "command": identity and identity.command,
        "workload": identity and identity.workload["name"],
        "seed": result.seed if result else identity and identity.seed,
        "steps": identity and identity.steps,
        **{loss: result and getattr(result, loss) for loss in LOSSES},
        "full_runs": result and result.cost.full_runs,
        "date": datetime.fromtimestamp((fact if fact.exists() else folder).stat().st_mtime).astimezone().isoformat(),
        "bytes": sum(map(size, paths)),
    }
