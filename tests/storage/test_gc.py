"""What of the jobs in a store no run needs any more, and `lrctl gc` deletes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import searches
from comparisons import a_result
from lrctl.contracts.result import JobRecord
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Candidate, Segment, TrainedRun
from lrctl.storage import gc, listing
from lrctl.storage.opening import STALE
from lrctl.storage.run_facts import RunFacts
from lrctl.storage.store import Store
from searches import facts
from storages import make_old, raw
from stored import KEYS, all_of_yesterday, begin, finish, left, one_removed, put, young_beside_an_unfinished_one


def naming(key: str) -> tuple[Segment, ...]:
    """Decisions that name a job as a candidate."""
    return (Segment(1, 0, 2, 0.0, 0.0, (Candidate(0.1, 1.0, "ok", key),), 0.1, 0.0),)


def result_of(key: str | None) -> TrainedRun:
    """What a search trained to the end of job `key`."""
    return TrainedRun("wsd", ScheduleRecord("wsd", {}), key, 1.0, 1.0, 1.0, 1.0)


def one_finished(store: Store) -> None:
    finish(store, "r", checkpoint=KEYS["b"])
    for name, parent in (("a", None), ("b", "a"), ("c", "a")):
        put(store, name, "r", parent)


def one_unfinished(store: Store) -> None:
    begin(store, "r")
    put(store, "a", "r")
    put(store, "b", "r", "a")


def reused_from_a_removed_one(store: Store) -> None:
    for name, parent in (("a", None), ("b", "a"), ("c", "a"), ("d", "b")):
        put(store, name, "gone", parent)
    finish(store, "r", checkpoint=KEYS["b"], segments=naming(KEYS["c"]))


def continued_by_an_unfinished_one(store: Store) -> None:
    put(store, "a", "gone")
    put(store, "b", "gone", "a")
    put(store, "c", "gone")
    begin(store, "r")
    put(store, "d", "r", "b")


def several_results(store: Store) -> None:
    for name in "abc":
        put(store, name, "gone")
    finish(store, "r", checkpoint=KEYS["a"], results=(result_of(KEYS["b"]), result_of(None)))


def nothing_trained(store: Store) -> None:
    put(store, "a", "r")
    finish(store, "r", checkpoint=None)


def young_alone(store: Store) -> None:
    finish(store, "r", checkpoint=KEYS["a"])
    put(store, "a", "r", age=0)
    put(store, "b", "gone", age=0)


def damaged(store: Store) -> None:
    finish(store, "r", checkpoint=KEYS["a"])
    put(store, "a", "r")
    put(store, "b", "r")
    store.objects.put(f"jobs/{KEYS['b']}.json", b"half a docu")
    store.objects.put(f"losses/{KEYS['c']}.npy", b"of no job")


STORES: dict[str, tuple[Callable[[Store], None], str, str]] = {
    "a finished run keeps its jobs and what it hands over": (one_finished, "abc", "b"),
    "an unfinished run keeps all": (one_unfinished, "ab", "ab"),
    "a removed run keeps nothing": (one_removed, "", ""),
    "jobs of a removed run that a finished one names stay": (reused_from_a_removed_one, "abc", "b"),
    "jobs of a removed run that an unfinished one continues stay": (continued_by_an_unfinished_one, "abd", "d"),
    "every result hands its checkpoint over": (several_results, "ab", "ab"),
    "a run that trained nothing hands nothing over": (nothing_trained, "a", ""),
    "what is young stays beside an unfinished run": (young_beside_an_unfinished_one, "a", "a"),
    "what is young goes where no search can be at work": (young_alone, "a", "a"),
    "what is damaged or of no job goes": (damaged, "a", "a"),
}


@pytest.mark.parametrize(("build", "jobs", "checkpoints"), STORES.values(), ids=STORES)
def test_only_what_no_run_needs_is_deleted(
    build: Callable[[Store], None], jobs: str, checkpoints: str, place: Path | str
) -> None:
    store = Store(place)
    build(store)
    before = {path: path.stat().st_size for path in raw(store).rglob("*") if path.is_file()}
    told = gc.collect(store, dry_run=True)
    assert {path for path in raw(store).rglob("*") if path.is_file()} == set(before)
    done = gc.collect(store)
    assert left(store) == {"jobs": jobs, "losses": jobs, "checkpoints": checkpoints}
    gone = {path for path in before if not path.exists()}
    assert (done["files"], done["bytes"]) == (len(gone), sum(before[path] for path in gone))
    assert told == done | {"dry_run": True}
    assert gc.collect(store)["files"] == 0


def test_what_stopped_jobs_left_goes_as_results_do(place: Path | str) -> None:
    store = Store(place)
    finish(store, "r", checkpoint=None, segments=naming(KEYS["c"]))
    for name, run in (("a", "r"), ("b", "gone"), ("c", "gone")):
        store.put_record(JobRecord(KEYS[name], "stopped", steps=1, at_least=2.0, run=run))
    assert gc.collect(store)["freed"]["stopped"]["files"] == 1
    assert left(store)["stopped"] == "ac"
    (row,) = listing.runs(store)
    with_result = row["bytes"]
    store.objects.delete(f"stopped/{KEYS['a']}.json")
    assert listing.runs(store)[0]["bytes"] < with_result


def test_what_a_removed_run_trained_ahead_goes_once_its_marks_are_old(place: Path | str) -> None:
    store = Store(place)
    begin(store, "r")
    store.objects.make_folder("runs/gone")  # as its removal, between two marks, leaves it in a storage without folders
    for name, run in (("a", "r"), ("b", "gone")):
        put(store, name, run)
        store.runs.begin_ahead(run, KEYS[name])
    assert gc.collect(store)["unfinished"] == ["gone", "r"]
    for name, run in (("a", "r"), ("b", "gone")):
        make_old(raw(store) / "runs" / run / "ahead" / KEYS[name], 2 * STALE)
    assert gc.collect(store, dry_run=True)["unfinished"] == ["r"]
    assert not store.runs.given_up("gone", KEYS["b"])
    gc.collect(store)
    assert (store.runs.given_up("r", KEYS["a"]), store.runs.given_up("gone", KEYS["b"])) == (False, True)
    assert left(store)["jobs"] == "a"


def test_the_log_of_a_program_goes_with_its_job(place: Path | str) -> None:
    store = Store(place)
    finish(store, "r", checkpoint=None)
    for name, run in (("a", "r"), ("b", "gone")):
        put(store, name, run)
        with store.logged(KEYS[name]) as log:
            log.write_text("step 1")
    assert gc.collect(store)["freed"]["logs"] == {"files": 1, "bytes": 6}
    assert store.objects.read(f"logs/{KEYS['a']}.log") == b"step 1"


def test_a_finished_search_returns_its_result_after_gc(place: Path | str) -> None:
    first, checkpoints = searches.search(place), raw(place) / "checkpoints"
    whole = (checkpoints / f"{first['checkpoint']}.safetensors").read_bytes()
    (checkpoints / f"{KEYS['a']}.safetensors").write_bytes(whole)
    jobs = facts(place)
    assert gc.collect(Store(place))["freed"] == {
        "jobs": {"files": 0, "bytes": 0},
        "stopped": {"files": 0, "bytes": 0},
        "losses": {"files": 0, "bytes": 0},
        "checkpoints": {"files": 1, "bytes": len(whole)},
        "logs": {"files": 0, "bytes": 0},
    }
    assert searches.search(place) == first
    assert facts(place) == jobs


def test_gc_leaves_a_mark_of_a_search_that_is_ending(place: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, key = Store(place), KEYS["a"]
    put(store, "a", "r")
    begin(store, "r")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFacts, "write_signed", killed)
        with pytest.raises(KeyboardInterrupt):
            store.runs.finish(a_result(run="r", checkpoint=key, schedule=None))
    assert store.runs.is_handed_over(key)
    gc.collect(store)
    assert store.runs.is_handed_over(key)
    all_of_yesterday(place)
    gc.collect(store)
    assert not store.runs.is_handed_over(key)
