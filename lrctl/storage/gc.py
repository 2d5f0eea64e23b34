"""`lrctl gc`: the files of a store that nothing needs any more."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lrctl.errors import StoreError
from lrctl.storage.objects import Entry
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
    unfinished. One of which only marks of what it trained ahead are left is none, and they go. What cannot be deleted
    stays, and does not keep the rest from being deleted.
    """
    # In this order: a search opens its run before it writes the first file of a job, or a mark, and what it was given
    # is a job before it is noted.
    notes = [each for each in store.objects.entries("imported") if each.name.endswith(".json")]
    files = {kind: job_files(store, kind) for kind in KINDS}
    marks = store.objects.entries("handed_over")
    jobs = facts(store, files)
    results = {name: store.runs.result(name) for name in store.runs.names()}
    ahead = {name: left_ahead(store, name) for name, result in results.items() if result is None}
    results = {name: result for name, result in results.items() if not ahead.get(name)}
    unfinished = [name for name, result in results.items() if result is None]
    partial = [result for name in unfinished if (result := store.runs.partial(name))]
    told = [result for result in results.values() if result] + partial
    handed_over = {key for result in told for key in result.handed_over}
    if damaged := [name for name in unfinished if store.objects.about(f"{store.runs.folder(name)}/result.json")]:
        # What these hand over is not known, so no mark goes.
        handed_over |= {mark.name for mark in marks}

    running = {key for key, job in jobs.items() if job.get("run") in unfinished}
    recorded = {key for key, job in jobs.items() if job.get("run") in results}
    named = texts([result.to_json() for result in told])
    begun = {str(known.start.get("job")) for name in unfinished if (known := store.runs.identity(name))}
    needed = dict.fromkeys(KINDS, lineages(recorded.union(named, begun), jobs))
    needed["checkpoints"] = running | handed_over | begun

    unneeded = {kind: [each for each in files[kind] if key_of(each) not in needed[kind]] for kind in KINDS}
    freed = {kind: [each for each in found if not (unfinished and young(each))] for kind, found in unneeded.items()}
    sizes = {kind: {f"{kind}/{each.name}": each.size for each in found} for kind, found in freed.items()}
    stuck: list[str] = []
    if not dry_run:
        for note in notes:
            noted = store.read_json(f"imported/{note.name}") or {}
            if noted.get("job") not in needed["jobs"] and not (unfinished and young(note)):
                store.remove(f"imported/{note.name}")
        for mark in marks:
            if mark.name not in handed_over and not (unfinished and young(mark)):
                store.remove(f"handed_over/{mark.name}")
        for name, left in ahead.items():
            for mark in left:
                store.remove(f"{store.runs.folder(name)}/ahead/{mark.name}")
        stuck = [error for each in sizes.values() for name in [*each] if (error := refusal(store, name, each))]
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


def left_ahead(store: Store, run: str) -> list[Entry]:
    """The marks of what was trained ahead for a run that was removed meanwhile: they are all that is left of it.

    None where one is young, since its search may be at work.
    """
    folder = store.runs.folder(run)
    others = {each.name for each in store.objects.entries(folder)} - {"ahead"}
    marks = [] if others else store.objects.entries(f"{folder}/ahead")
    return [] if any(map(young, marks)) else marks


def refusal(store: Store, name: str, sizes: dict[str, int]) -> str | None:
    """Delete a file; why it cannot be deleted, in which case it is taken out of `sizes`."""
    try:
        store.objects.delete(name)
    except StoreError as error:
        del sizes[name]
        return str(error)
    return None


def job_files(store: Store, kind: str) -> list[Entry]:
    return [each for each in store.objects.entries(kind) if each.name.endswith(KINDS[kind])]


def key_of(file: Entry) -> str:
    return file.name.rpartition(".")[0]


def facts(store: Store, files: Mapping[str, Sequence[Entry]]) -> dict[str, Mapping[str, Any]]:
    """What is recorded of each job, whether it was stopped or trained to its end."""
    kinds = ("stopped", "jobs")
    return {key_of(each): store.read_json(f"{kind}/{each.name}") or {} for kind in kinds for each in files[kind]}


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


def young(file: Entry) -> bool:
    """Whether a file may still belong to something that is under way."""
    return time.time() - file.modified < STALE
