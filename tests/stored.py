"""Jobs and runs that are put into a store by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from comparisons import a_result
from lrctl.contracts.result import JobRecord
from lrctl.storage import gc
from lrctl.storage.identity import RunIdentity
from lrctl.storage.opening import STALE
from lrctl.storage.store import Store
from storages import make_old, raw

KEYS = {name: name * 64 for name in "abcdef"}

IDENTITY = RunIdentity("semilocal", 1, None, None, {"steps": 10}, {}, {}, {"name": "linear-regression"}, {})


def put(store: Store, name: str, run: str, parent: str | None = None, age: float = 2 * STALE) -> None:
    """Record a job with all its files, as old as told."""
    key, before = KEYS[name], KEYS[parent] if parent else None
    digests = {"losses": store.put_losses(key, np.ones(2), [0.1] * 2)}
    store.objects.put(f"checkpoints/{key}.safetensors", b"weights")
    store.put_record(JobRecord(key, "ok", 1.0, steps=2, parent=before, digests=digests, run=run))
    for kind in ("jobs", "losses", "checkpoints"):
        make_old(raw(store) / kind / f"{key}{gc.KINDS[kind]}", age)


def left(store: Store) -> dict[str, str]:
    """The jobs whose files are there, by kind."""
    kinds = {kind: "".join(each.name[0] for each in gc.job_files(store, kind)) for kind in gc.KINDS}
    return {kind: jobs for kind, jobs in kinds.items() if jobs or kind not in ("stopped", "logs")}


def begin(store: Store, run: str) -> None:
    store.runs.begin(run, IDENTITY, "", {})


def finish(store: Store, run: str, **result: Any) -> None:
    begin(store, run)
    store.runs.finish(a_result(run=run, **result))


def one_removed(store: Store) -> None:
    """Two jobs of a run that is not there any more."""
    put(store, "a", "gone")
    put(store, "b", "gone", "a")


def young_beside_an_unfinished_one(store: Store) -> None:
    """A run that may be at work, and of two jobs of another that is gone one that may have been reused just now."""
    begin(store, "r")
    put(store, "a", "gone", age=0)
    put(store, "b", "gone")


def all_of_yesterday(place: Path | str) -> None:
    """Date everything in a store back by a day."""
    for path in raw(place).rglob("*"):
        make_old(path, 86400)
