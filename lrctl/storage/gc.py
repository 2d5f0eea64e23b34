"""`lrctl gc`: the files of a store that nothing needs any more."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrctl.errors import StoreError
from lrctl.storage.files import ASIDE, delete, read_json, remove, size
from lrctl.storage.opening import STALE
from lrctl.storage.store import Store

KINDS = {"jobs": ".json", "stopped": ".json", "losses": ".npy", "checkpoints": ".safetensors", "logs": ".log"}
"""The files of a job in the order in which they are deleted: its result, which is the fact, comes first."""


def collect(store: Store, *, dry_run: bool = False) -> dict[str, Any]:
    """Delete the files of jobs that no run needs; tells how many there were and how large.

    Needed are the checkpoints that runs hand over, finished or not, those of unfinished runs' jobs, and those that
    unfinished runs went on from at first; and the results and losses of jobs that are recorded for a run in the store,
    or that a run's result names, with all that led to them. What was noted of a `--from` goes with its job.

    An unfinished run may be at work: while there is one, nothing younger than an hour goes, for it may be new and not
    yet named. A search that misses something in spite of that trains it again. A run whose result is damaged counts as
    unfinished. What cannot be deleted stays, and does not keep the rest from being deleted.
    """
    # In this order: a search opens its run before it writes the first file of a job, or a mark, and what it was given
    # is a job before it is noted.
    notes = list((store.path / "imported").glob("[!.]*.json"))
    files = {kind: job_files(store, kind) for kind in KINDS}
    marks = list((store.path / "handed_over").iterdir())
    jobs = facts(files)
    results = {name: store.run_result(name) for name in store.runs()}
    unfinished = [name for name, result in results.items() if result is None]
    partial = [result for name in unfinished if (result := store.partial_result(name))]
    told = [result for result in results.values() if result] + partial
    handed_over = {key for result in told for key in result.handed_over}
    if damaged := [name for name in unfinished if os.path.lexists(store.run(name) / "result.json")]:
        # What these hand over is not known, so no mark goes.
        handed_over |= {mark.name for mark in marks}

    running = {key for key, job in jobs.items() if job.get("run") in unfinished}
    recorded = {key for key, job in jobs.items() if job.get("run") in results}
    named = texts([result.to_json() for result in told])
    begun = {str(known.start.get("job")) for name in unfinished if (known := store.identity(name))}
    needed = dict.fromkeys(KINDS, lineages(recorded.union(named, begun), jobs))
    needed["checkpoints"] = running | handed_over | begun

    unneeded = {kind: [path for path in files[kind] if path.stem not in needed[kind]] for kind in KINDS}
    freed = {kind: [path for path in paths if not (unfinished and young(path))] for kind, paths in unneeded.items()}
    sizes = {kind: {path: size(path) for path in paths} for kind, paths in freed.items()}
    stuck: list[str] = []
    if not dry_run:
        for note in notes:
            if (read_json(note) or {}).get("job") not in needed["jobs"] and not (unfinished and young(note)):
                remove(note)
        for mark in marks:
            if mark.name not in handed_over and not (unfinished and young(mark)):
                remove(mark)
        stuck = [error for kind in KINDS for path in freed[kind] if (error := refusal(path, sizes[kind]))]
    counts = {kind: {"files": len(each), "bytes": sum(each.values())} for kind, each in sizes.items()}
    return {
        "dry_run": dry_run,
        "files": sum(count["files"] for count in counts.values()),
        "bytes": sum(count["bytes"] for count in counts.values()),
        "freed": counts,
        "spared": sum(map(len, unneeded.values())) - sum(map(len, freed.values())),
        "unfinished": unfinished,
        "damaged": damaged,
        "stuck": stuck,
    }


def refusal(path: Path, sizes: dict[Path, int]) -> str | None:
    """Delete a file; why it cannot be deleted, in which case it is taken out of `sizes`."""
    try:
        delete(path)
    except StoreError as error:
        del sizes[path]
        return str(error)
    return None


def job_files(store: Store, kind: str) -> list[Path]:
    return sorted(path for path in (store.path / kind).glob(f"*{KINDS[kind]}") if not path.name.startswith(ASIDE))


def facts(files: Mapping[str, Sequence[Path]]) -> dict[str, Mapping[str, Any]]:
    """What is recorded of each job, whether it was stopped or trained to its end."""
    return {path.stem: read_json(path) or {} for kind in ("stopped", "jobs") for path in files[kind]}


def lineages(keys: Iterable[str], jobs: Mapping[str, Mapping[str, Any]]) -> set[str]:
    found: set[str] = set()
    for each in keys:
        key: Any = each
        while key in jobs and key not in found:
            found.add(key)
            key = jobs[key].get("parent")
    return found


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from texts(item)


def young(path: Path) -> bool:
    """Whether a file may still belong to something that is under way."""
    try:
        return time.time() - path.lstat().st_mtime < STALE
    except OSError:
        return False
