"""The runs of a store, a row each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from lrctl.storage.gc import KINDS, facts, job_files, size
from lrctl.storage.store import Store, handed_over

SHOWN = ("command", "workload", "seed", "steps", "train_loss", "validation_loss", "test_loss")


def runs(store: Store) -> list[dict[str, Any]]:
    """A row per run, the oldest first.

    `bytes` is what the run's folder, the jobs recorded for it and the checkpoints it hands over take on disk; files
    that two runs hand over count for both.
    """
    jobs = facts({kind: job_files(store, kind) for kind in KINDS})
    return sorted((row(store, name, jobs) for name in store.runs()), key=lambda each: str(each["date"]))


def row(store: Store, name: str, jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a run is: from its result if it is finished, else from its recipe."""
    folder, document = store.run(name), store.document(name)
    known = document or recipe_of(folder / "recipe.toml")
    own = {key for key, job in jobs.items() if job.get("run") == name} | handed_over(document or {})
    paths = [*folder.rglob("*"), *(store.path / kind / f"{key}{KINDS[kind]}" for key in own for kind in KINDS)]
    fact = folder / ("result.json" if document else "recipe.toml")
    return {
        "run": name,
        "status": "finished" if document else "unfinished",
        **{key: known.get(key) for key in SHOWN},
        "full_runs": (known.get("cost") or {}).get("full_runs"),
        "date": datetime.fromtimestamp((fact if fact.exists() else folder).stat().st_mtime).astimezone().isoformat(),
        "bytes": sum(map(size, paths)),
    }


def recipe_of(path: Path) -> dict[str, Any]:
    """What a frozen recipe says of its run; nothing if it is missing or damaged."""
    try:
        tables: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        (command,) = tables["strategy"]
        training = tables["training"]
        return {
            "command": command,
            "workload": tables["workload"]["name"],
            "seed": training["seed"],
            "steps": training["steps"],
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
