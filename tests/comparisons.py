"""Small finished runs to compare: two searches and tuned baselines on three seeds, and runs made of them by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lrctl.contracts.result import JobRecord
from lrctl.engine import run
from lrctl.storage.run_facts import schedule_document
from lrctl.storage.run_result import RunResult
from lrctl.storage.store import Store
from searches import small
from signed import read_signed, write_signed

SEEDS = (0, 1, 2)
SEARCHES = [f"semilocal-{seed}" for seed in SEEDS]
LOCALS = [f"local-{seed}" for seed in SEEDS]
BASELINES = [f"baseline-{seed}" for seed in SEEDS]
ALL = [*SEARCHES, *LOCALS, *BASELINES]


def fill(store: Path, seeds: Sequence[int] = SEEDS) -> Path:
    """Train the runs `semilocal-0`, ..., `baseline-2`, and give back the store."""
    for seed in seeds:
        recipe = small(
            training__seed=seed,
            strategy__semilocal__eps=0.05,
            strategy__baseline__family=["wsd", "linear"],
            strategy__baseline__grid=[0.3, 0.1],
        )
        for command in ("semilocal", "local", "baseline"):
            run.search(command, recipe, store=store, name=f"{command}-{seed}")
    return store


def a_result(**changes: Any) -> RunResult:
    """A result without a search."""
    told = {"command": "semilocal", "run": "mine", "workload": "linear-regression", "seed": 3, "steps": 10}
    return RunResult(**{**told, "schedule": None, **changes})


def result_of(store: Path, name: str) -> RunResult:
    """The result of a run."""
    found = Store(store).runs.result(name)
    assert found is not None
    return found


def document(store: Path, name: str) -> dict[str, Any]:
    """The result document of a run."""
    return result_of(store, name).to_json()


def made_by_hand(store: Path, source: str, name: str, identity: dict[str, Any] | None = None, **changes: Any) -> str:
    """A copy of a run under another name, with these changes to its result document, and to what decided it.

    A change such as `training={"seed": 1}` is laid over that table of the identity.
    """
    folder = store / "runs" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(store / "runs" / source, folder, ignore=shutil.ignore_patterns("report"))
    write_signed(folder / "result.json", document(store, source) | {"run": name} | changes)
    known = read_signed(folder / "identity.json")
    assert known is not None
    for key, value in (identity or {}).items():
        known[key] = known[key] | value if isinstance(value, dict) else value
    write_signed(folder / "identity.json", known)
    place, result = Store(store), result_of(store, name)
    if result.schedule:
        write_signed(folder / "schedule.json", schedule_document(result))
    if result.checkpoint and not place.has_checkpoint(result.checkpoint):
        stand_in(place, result.checkpoint)
    return name


def stand_in(place: Store, key: str) -> None:
    """A checkpoint that says it is the one that a job wrote, and record the job if need be."""
    record = place.record(key) or JobRecord(key, "ok")
    header = json.dumps({"__metadata__": {"lrctl": f"\n{key}\n"}}).encode()
    place.checkpoint(key).write_bytes(len(header).to_bytes(8, "little") + header)
    place.put_record(replace(record, digests={**record.digests, "checkpoint": key}))


def diverged(store: Path, source: str, name: str, at: int = 12) -> str:
    """A copy of a run whose losses are not finite from a step on."""
    place = Store(store)
    whole = place.history(document(store, source)["checkpoint"])
    losses = np.where(np.arange(len(whole)) < at, whole["loss"], np.nan)
    key = "d" * 64
    digest = place.put_losses(key, losses, whole["lr"].tolist())
    place.put_record(JobRecord(key, "ok", digests={"losses": digest}))
    lost = {"train_loss": None, "validation_loss": None, "test_loss": None}
    return made_by_hand(store, source, name, checkpoint=key, **lost)


def untrained(store: Path, name: str = "fitted") -> str:
    """A run that found a schedule without training anything."""
    lost = {"train_loss": None, "validation_loss": None, "test_loss": None, "checkpoint": None}
    entry = {"name": "wsd", "schedule": {"family": "wsd", "params": {}}, "full_runs": 0} | lost
    return made_by_hand(
        store,
        "semilocal-0",
        name,
        identity={"command": "fit-closed-form"},
        command="fit-closed-form",
        results=[entry],
        **lost,
    )


def seeded(store: Path, source: str, name: str, seed: int, **changes: Any) -> str:
    """A copy of a run under another seed."""
    return made_by_hand(store, source, name, {"training": {"seed": seed}}, seed=seed, **changes)
