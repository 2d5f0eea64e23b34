"""`lrctl runs` and `lrctl gc`: what lies in a store, and what of it goes."""

from __future__ import annotations

import errno
import io
import os
import shlex
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import searches
import signed
from command_line import Lrctl
from comparisons import a_result
from lrctl.contracts.result import JobRecord
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Candidate, Segment, TrainedRun
from lrctl.engine import session
from lrctl.engine.job_runner import JobRunner
from lrctl.errors import StoreError, UsageError
from lrctl.storage import files, gc, listing
from lrctl.storage.identity import RunIdentity
from lrctl.storage.opening import STALE
from lrctl.storage.store import Store
from lrctl.training import trainer
from searches import facts, small
from storages import make_old as date_back
from storages import raw

KEYS = {name: name * 64 for name in "abcdef"}


@pytest.fixture
def place(lrctl: Lrctl, tmp_path: Path) -> Path:
    """The default store of the test's working directory."""
    del lrctl  # it is in tmp_path by now
    return tmp_path / ".lrctl"


def put(store: Store, name: str, run: str, parent: str | None = None, age: float = 2 * STALE) -> None:
    """Record a job with all its files, as old as told."""
    key, before = KEYS[name], KEYS[parent] if parent else None
    digests = {"losses": store.put_losses(key, np.ones(2), [0.1] * 2)}
    store.objects.put(f"checkpoints/{key}.safetensors", b"weights")
    store.put_record(JobRecord(key, "ok", 1.0, steps=2, parent=before, digests=digests, run=run))
    for kind in ("jobs", "losses", "checkpoints"):
        date_back(raw(store) / kind / f"{key}{gc.KINDS[kind]}", age)


def left(store: Store) -> dict[str, str]:
    """The jobs whose files are there, by kind."""
    kinds = {kind: "".join(each.name[0] for each in gc.job_files(store, kind)) for kind in gc.KINDS}
    return {kind: jobs for kind, jobs in kinds.items() if jobs or kind not in ("stopped", "logs")}


# What goes


IDENTITY = RunIdentity("semilocal", 1, None, None, {"steps": 10}, {}, {}, {"name": "linear-regression"}, {})


def begin(store: Store, run: str) -> None:
    store.begin(run, IDENTITY, "", {})


def finish(store: Store, run: str, **result: Any) -> None:
    begin(store, run)
    store.finish(a_result(run=run, **result))


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


def one_removed(store: Store) -> None:
    put(store, "a", "gone")
    put(store, "b", "gone", "a")


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


def young_beside_an_unfinished_one(store: Store) -> None:
    begin(store, "r")
    put(store, "a", "gone", age=0)
    put(store, "b", "gone")


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
    build: Callable[[Store], None], jobs: str, checkpoints: str, address: Path | str
) -> None:
    store = Store(address)
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


def test_whatever_is_being_written_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for kind, suffix in gc.KINDS.items():
        (store.path / kind / f".lrctl-1{suffix}").write_bytes(b"half")
    (store.path / "jobs" / "notes.txt").write_text("mine")
    assert gc.collect(store)["files"] == 0
    assert len(list(store.path.glob("*/.lrctl-1*"))) == len(gc.KINDS)


def test_what_stopped_jobs_left_goes_as_results_do(address: Path | str) -> None:
    store = Store(address)
    finish(store, "r", checkpoint=None, segments=naming(KEYS["c"]))
    for name, run in (("a", "r"), ("b", "gone"), ("c", "gone")):
        store.put_record(JobRecord(KEYS[name], "stopped", steps=1, at_least=2.0, run=run))
    assert gc.collect(store)["freed"]["stopped"]["files"] == 1
    assert left(store)["stopped"] == "ac"
    (row,) = listing.runs(store)
    with_result = row["bytes"]
    store.objects.delete(f"stopped/{KEYS['a']}.json")
    assert listing.runs(store)[0]["bytes"] < with_result


def test_what_a_removed_run_trained_ahead_goes_once_its_marks_are_old(address: Path | str) -> None:
    store = Store(address)
    begin(store, "r")
    store.objects.make_folder("runs/gone")  # as its removal, between two marks, leaves it in a storage without folders
    for name, run in (("a", "r"), ("b", "gone")):
        put(store, name, run)
        store.begin_ahead(run, KEYS[name])
    assert gc.collect(store)["unfinished"] == ["gone", "r"]
    for name, run in (("a", "r"), ("b", "gone")):
        date_back(raw(store) / "runs" / run / "ahead" / KEYS[name], 2 * STALE)
    assert gc.collect(store, dry_run=True)["unfinished"] == ["r"]
    assert not store.given_up("gone", KEYS["b"])
    gc.collect(store)
    assert (store.given_up("r", KEYS["a"]), store.given_up("gone", KEYS["b"])) == (False, True)
    assert left(store)["jobs"] == "a"


def test_the_log_of_a_program_goes_with_its_job(address: Path | str) -> None:
    store = Store(address)
    finish(store, "r", checkpoint=None)
    for name, run in (("a", "r"), ("b", "gone")):
        put(store, name, run)
        with store.logged(KEYS[name]) as log:
            log.write_text("step 1")
    assert gc.collect(store)["freed"]["logs"] == {"files": 1, "bytes": 6}
    assert store.objects.read(f"logs/{KEYS['a']}.log") == b"step 1"


def test_a_finished_search_returns_its_result_after_gc(place: Path) -> None:
    first = searches.search(place)
    shutil.copy(first["files"]["checkpoint"], place / "checkpoints" / f"{KEYS['a']}.safetensors")
    jobs = facts(place)
    assert gc.collect(Store(place))["freed"] == {
        "jobs": {"files": 0, "bytes": 0},
        "stopped": {"files": 0, "bytes": 0},
        "losses": {"files": 0, "bytes": 0},
        "checkpoints": {"files": 1, "bytes": Path(first["files"]["checkpoint"]).stat().st_size},
        "logs": {"files": 0, "bytes": 0},
    }
    assert searches.search(place) == first
    assert facts(place) == jobs


@pytest.mark.parametrize("batches", range(1, 5))
@pytest.mark.parametrize("moment", ["run_batch", "judged"])
@pytest.mark.parametrize("eps", [0.48, 0.0], ids=["all reused", "some reused"])
def test_gc_beside_a_running_search_takes_nothing_that_is_not_made_again(
    eps: float, moment: str, batches: int, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where both runs were removed: the one that had trained what the search reuses, and its own."""
    expected = searches.search(tmp_path / "other")
    searches.search(place, small(strategy__semilocal__eps=eps), name="shared")
    answer, train, count, paid = getattr(session.Session, moment), trainer.train, 0, 0

    def collected_before(self: session.Session, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == batches:
            for name in Store(place).runs():
                Store(place).remove_run(name)
            make_old(place)
            gc.collect(Store(place))
            assert left(Store(place)) == dict.fromkeys(("jobs", "losses", "checkpoints"), "")
        return answer(self, *arguments)

    def counting(workload: Any, spec: Any, job: Any, *others: Any) -> Any:
        nonlocal paid
        paid += job.steps
        return train(workload, spec, job, *others)

    monkeypatch.setattr(session.Session, moment, collected_before)
    monkeypatch.setattr(trainer, "train", counting)
    document = searches.search(place, name="mine")
    monkeypatch.undo()
    assert searches.found(document) == searches.found(expected)
    cost = document["cost"]
    assert cost["jobs"] == expected["cost"]["jobs"]
    assert 8 * (cost["jobs"] - cost["jobs_reused"]) <= cost["steps_trained"] == paid
    assert searches.search(place, name="mine") == document
    assert list(facts(place, "checkpoints")) == [f"{document['checkpoint']}.safetensors"]


@pytest.mark.parametrize("batches", range(1, 5))
@pytest.mark.parametrize("what", ["the same search anew", "runs remove"])
def test_a_search_does_not_mind_what_is_done_to_its_run_meanwhile(
    what: str, batches: int, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = searches.search(tmp_path / "other", name="r")
    run_batch, count = session.Session.run_batch, 0

    def disturbed(self: session.Session, batch: Any) -> Any:
        nonlocal count
        results = run_batch(self, batch)
        count += 1
        if count == batches and what == "runs remove":
            Store(place).remove_run("r")
        elif count == batches:
            again = searches.search(place, name="r", fresh=True)
            assert searches.settled(again) == searches.settled(expected)
        return results

    monkeypatch.setattr(session.Session, "run_batch", disturbed)
    found = searches.search(place, name="r")
    monkeypatch.undo()
    assert searches.found(found) == searches.found(expected)
    assert [row["status"] for row in listing.runs(Store(place))] == ["finished"]
    assert searches.found(searches.search(place, name="r")) == searches.found(expected)


BESIDE = {
    "alone": lambda _: None,
    "another makes its folder": lambda store: (store.path / "runs" / "r").mkdir(),
    "another begins it": lambda store: begin_again(store),
}


def begin_again(store: Store) -> None:
    """Begin the run as the same search does."""
    known = store.path / "known"
    identity = RunIdentity.from_json(signed.read_signed(known / "identity.json") or {})
    store.begin("r", identity, (known / "recipe.toml").read_text(), {})


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("fresh", [False, True], ids=["again", "fresh"])
def test_a_run_may_be_removed_before_any_write_into_its_folder(
    fresh: bool, beside: Callable[[Store], None], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, write, at = searches.search(place, name="r"), files.write, 0
    shutil.copytree(place / "runs" / "r", place / "known")
    (place / "runs" / "r" / "result.json").unlink()

    def removed_before(path: Path, *others: Any, **options: Any) -> None:
        nonlocal at
        at -= path.parent.name == "r"
        if at == 0 and path.parent.name == "r":
            at -= 1
            Store(place).restart_run("r")
            beside(Store(place))
        write(path, *others, **options)

    monkeypatch.setattr(files, "write", removed_before)
    for count in range(1, 6):  # the recipe, what it runs on, the identity, the schedule, the result
        at = count
        found = searches.search(place, name="r", fresh=fresh)
        assert at < 0
        assert searches.found(found) == searches.found(expected)
        assert [(row["status"], row["defects"]) for row in listing.runs(Store(place))] == [("finished", [])]
        (place / "runs" / "r" / "result.json").unlink()


@pytest.mark.parametrize("at", range(1, 6))
def test_a_search_may_end_while_its_run_is_deleted(at: int, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of it is deleted by then, and whether or not whoever deletes it is killed at that moment."""
    document = searches.search(place, name="r")
    result, unlink, count = Store(place).run_result("r"), os.unlink, 0
    assert result
    shutil.copytree(place / "runs" / "r", place / "known")

    def ended_before(*arguments: Any, **options: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            monkeypatch.undo()
            begin_again(Store(place))
            Store(place).finish(result)
            if at % 2:
                raise KeyboardInterrupt
        unlink(*arguments, **options)

    monkeypatch.setattr(os, "unlink", ended_before)
    with suppress(KeyboardInterrupt):
        Store(place).restart_run("r")
    monkeypatch.undo()
    assert [(row["status"], row["defects"]) for row in listing.runs(Store(place))] == [("finished", [])]
    assert searches.search(place, name="r") == document


def test_a_run_that_another_search_has_taken_the_name_of_is_not_its_result(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_batch, others = session.Session.run_batch, small(strategy__semilocal__eps=0.0)

    def taken(self: session.Session, batch: Any) -> Any:
        monkeypatch.undo()
        searches.search(place, others, name="r", fresh=True)
        return run_batch(self, batch)

    monkeypatch.setattr(session.Session, "run_batch", taken)
    with pytest.raises(UsageError, match="--name r: this run was made with other settings"):
        searches.search(place, name="r")
    alone = searches.search(place.parent / "alone", others, name="r")
    assert searches.found(searches.search(place, others, name="r")) == searches.found(alone)


def test_gc_leaves_a_mark_of_a_search_that_is_ending(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, key = Store(place), KEYS["a"]
    put(store, "a", "r")
    begin(store, "r")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write_signed", stop_after(0))
        with pytest.raises(KeyboardInterrupt):
            store.finish(a_result(run="r", checkpoint=key, schedule=None))
    assert store.is_handed_over(key)
    gc.collect(store)
    assert store.is_handed_over(key)
    make_old(place)
    gc.collect(store)
    assert not store.is_handed_over(key)


def test_a_fresh_search_takes_no_fact_away_before_it_has_another(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searches.search(place, name="r")
    known, facts_of = {}, Store.put_record

    def watched(self: Store, record: JobRecord) -> None:
        known[record.key] = self.record(record.key) is not None
        facts_of(self, record)

    monkeypatch.setattr(Store, "put_record", watched)
    again = searches.search(place, name="r", fresh=True)
    assert again["cost"]["steps_trained"] == 24 * 11 / 3
    assert list(known.values()) == [True] * len(known)


def make_old(place: Path) -> None:
    """Date everything back by a day."""
    for path in place.rglob("*"):
        os.utime(path, times=(time.time() - 86400,) * 2)


def test_gc_tells_what_it_frees(lrctl: Lrctl, place: Path) -> None:
    store = Store(place)
    one_removed(store)
    told = lrctl("gc", "--dry-run")
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[-1].startswith("would free 6 files, ")
    assert left(store) == dict.fromkeys(("jobs", "losses", "checkpoints"), "ab")
    done = lrctl("gc", "--json").document
    assert (done["files"], done["freed"]["checkpoints"], done["dry_run"]) == (6, {"files": 2, "bytes": 14}, False)
    assert lrctl("gc").out.splitlines()[-1] == "freed 0 files, 0 B"


def test_gc_says_what_it_leaves_for_now(lrctl: Lrctl, place: Path) -> None:
    young_beside_an_unfinished_one(Store(place))
    assert lrctl("gc").error == (
        "3 files stay for now: they are younger than an hour, and unfinished runs (r) may be at work"
    )


# The runs


def interrupted(place: Path, monkeypatch: pytest.MonkeyPatch, **overrides: Any) -> None:
    """Leave a search after its first batch."""
    with monkeypatch.context() as patch:
        patch.setattr(JobRunner, "clean_up", stop_after(1))
        with pytest.raises(KeyboardInterrupt):
            searches.search(place, small(**overrides), name="begun")


def stop_after(batches: int) -> Callable[..., None]:
    count = 0

    def clean_up(*_: Any) -> None:
        nonlocal count
        count += 1
        if count > batches:
            raise KeyboardInterrupt

    return clean_up


def test_runs_are_listed_with_what_they_reached(lrctl: Lrctl, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = searches.search(place, name="done")
    interrupted(place, monkeypatch, training__seed=3)
    done, begun = lrctl("runs", "--json").document["runs"]
    assert lrctl("runs", "list", "--json").document["runs"] == [done, begun]
    names = ("command", "workload", "seed", "steps", "train_loss", "validation_loss", "test_loss")
    assert {name: done[name] for name in names} == {name: document[name] for name in names}
    assert (done["run"], done["status"], done["full_runs"]) == (
        "done",
        "finished",
        document["cost"]["full_runs"],
    )
    assert [begun[name] for name in names] == ["semilocal", "linear-regression", 3, 24, None, None, None]
    assert (begun["run"], begun["status"], begun["full_runs"]) == ("begun", "unfinished", None)
    header, first, second = lrctl("runs").out.splitlines()
    assert lrctl("runs", "list").out.splitlines() == [header, first, second]
    assert header.split()[:6] == ["run", "state", "command", "workload", "seed", "steps"]
    assert first.split()[:6] == ["done", "finished", "semilocal", "linear-regression", "0", "24"]
    assert second.split()[:6] == ["begun", "unfinished", "semilocal", "linear-regression", "3", "24"]
    assert f"{document['test_loss']:.4f}" in first


def test_the_disk_of_the_runs_is_that_of_the_store(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searches.search(place, name="done")
    interrupted(place, monkeypatch, training__seed=3)
    total = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    assert sum(row["bytes"] for row in listing.runs(Store(place))) == total - (place / "store.json").stat().st_size


RECIPES = {"missing": None, "not TOML": "a = ", "no tables": "", "a list": "strategy = [1]", "not text": "\udc80"}


@pytest.mark.parametrize("text", RECIPES.values(), ids=RECIPES)
def test_a_run_with_a_damaged_recipe_is_listed_without_it(text: str | None, lrctl: Lrctl, place: Path) -> None:
    folder = Store(place).path / "runs" / "half"
    folder.mkdir()
    if text is not None:
        (folder / "recipe.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    (row,) = lrctl("runs", "--json").document["runs"]
    assert (row["run"], row["status"], row["command"], row["steps"]) == ("half", "unfinished", None, None)
    assert lrctl("runs").code == 0


def test_a_finished_run_is_shown_as_its_search_printed_it(lrctl: Lrctl, place: Path) -> None:
    document = searches.search(place, name="done")
    shown = lrctl("runs", "show", "done")
    assert (shown.code, shown.err) == (0, "")
    assert "semilocal on linear-regression, seed 0, 24 steps" in shown.out
    again = lrctl("runs", "show", "done", "--json").document
    assert {name: value for name, value in again.items() if name != "files"} == {
        name: value for name, value in document.items() if name != "files"
    }
    assert Path(again["files"]["schedule"]).is_file()


def test_a_run_whose_folder_was_moved_is_shown_where_it_is(lrctl: Lrctl, place: Path) -> None:
    searches.search(place, name="done")
    (place / "runs" / "done").rename(place / "runs" / "moved")
    shown = lrctl("runs", "show", "moved", "--json").document
    assert shown["run"] == "moved"
    assert all(Path(path).is_file() for path in shown["files"].values())


def test_the_command_that_an_unfinished_run_tells_finishes_it(
    lrctl: Lrctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(place, monkeypatch)
    monkeypatch.undo()
    monkeypatch.chdir(place.parent)
    told = lrctl("runs", "show", "begun").out.splitlines()[0].partition(": lrctl ")[2]
    assert lrctl(*shlex.split(told), "--executor", "serial", "--quiet").code == 0
    assert lrctl("runs", "show", "begun", "--json").document["status"] == "done"


def test_an_unfinished_run_is_shown_as_what_it_is(lrctl: Lrctl, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(place, monkeypatch)
    shown = lrctl("runs", "show", "begun")
    assert shown.code == 0
    first, _, *recipe = shown.out.splitlines()
    assert first.startswith("begun is not finished; its command continues it: lrctl semilocal --recipe ")
    assert recipe[0] == "[training]"
    document = lrctl("runs", "show", "begun", "--json").document
    assert (document["status"], document["command"], document["steps"]) == ("unfinished", "semilocal", 24)
    assert "[strategy.semilocal]" in document["recipe"]


def refusing(*_: object, **__: object) -> None:
    """As a file system that can only be read answers."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_run_that_cannot_be_deleted_is_told(lrctl: Lrctl, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searches.search(place, name="one")
    monkeypatch.setattr(Path, "rename", refusing)
    done = lrctl("runs", "remove", "one", "--yes")
    assert (done.code, done.out) == (1, "")
    assert done.error == f"error: cannot delete {place / 'runs' / 'one'}: Read-only file system"


def test_gc_goes_on_where_a_file_cannot_be_deleted(lrctl: Lrctl, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_removed(Store(place))
    unlink = Path.unlink

    def sticky(path: Path, *arguments: Any, **options: Any) -> None:
        refusing() if path.stem == KEYS["a"] else unlink(path, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", sticky)
    done = lrctl("gc", "--json")
    assert (done.code, done.document["files"], len(done.document["stuck"])) == (1, 3, 3)
    assert done.error.startswith(f"error: 3 files are left; the first: cannot delete {place}")
    assert done.error.endswith("Read-only file system")
    assert left(Store(place)) == dict.fromkeys(("jobs", "losses", "checkpoints"), "a")


def test_a_checkpoint_that_cannot_be_deleted_is_a_warning(
    lrctl: Lrctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = searches.found(searches.search(place.parent / "elsewhere"))
    unlink = Path.unlink

    def sticky(path: Path, *arguments: Any, **options: Any) -> None:
        refusing() if path.suffix == ".safetensors" else unlink(path, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", sticky)
    with pytest.warns(
        UserWarning, match="cannot delete .*safetensors: Read-only file system; it is of no use any more"
    ):
        assert searches.found(searches.search(place)) == expected
    del lrctl


def test_the_first_error_of_a_write_is_the_one_that_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(place)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    monkeypatch.setattr(Path, "unlink", refusing)
    with pytest.raises(StoreError, match="No space left on device; free some space or choose another --store"):
        files.write_json(store.path / "x.json", {})


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_flushed_is_no_error_but_a_file_is(
    number: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, opened = Store(place), os.fsync

    def flush(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == folders:
            raise OSError(number, os.strerror(number))
        opened(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    folders = True
    files.write_json(store.path / "x.json", {"a": 1})
    assert files.decoded(files.read(store.path / "x.json")) == {"a": 1}
    folders = False
    with pytest.raises(StoreError, match="cannot write"):
        files.write_json(store.path / "y.json", {})


@pytest.fixture
def nobody(place: Path) -> Iterator[Callable[[int], None]]:
    """Sets the rights of a store that is searched, and becomes one whom they bind."""
    searches.search(place, name="one")
    root = os.geteuid() == 0

    def become(mode: int) -> None:
        for path in (place, *place.rglob("*")):
            if path.is_dir():
                path.chmod(mode)
        if root:
            for folder in place.parents[:-2]:
                folder.chmod(0o755)
            os.seteuid(65534)

    yield become
    if root:
        os.seteuid(0)
    place.chmod(0o755)
    for path in place.rglob("*"):
        path.chmod(0o755)


COMMANDS = ("runs", "runs show one", "runs remove one --yes", "gc", "gc --dry-run", "compare one")


@pytest.mark.parametrize("command", [*COMMANDS, "export one --to csv", "fit-closed-form one --quiet"])
def test_a_store_that_may_not_be_read_is_one_sentence(
    command: str, lrctl: Lrctl, nobody: Callable[[int], None]
) -> None:
    nobody(0o000)
    done = lrctl(*command.split())
    assert (done.code != 0, done.out) == (True, "")
    assert "a fault in lrctl" not in done.err
    assert "--store" in done.err


def test_of_a_store_that_can_only_be_read_nothing_is_said_to_be_deleted(
    lrctl: Lrctl, place: Path, nobody: Callable[[int], None]
) -> None:
    nobody(0o555)
    assert lrctl("runs").code == lrctl("compare", "one").code == lrctl("export", "one", "--to", "csv").code == 0
    done = lrctl("runs", "remove", "one", "--yes")
    assert (done.code, done.out) == (1, "")
    assert "deleted" not in done.err
    assert f"cannot delete {place / 'runs' / 'one'}: Permission denied" in done.error


def test_a_removed_run_is_gone_and_gc_frees_its_jobs(lrctl: Lrctl, place: Path) -> None:
    searches.search(place, name="one")
    kept = searches.search(place, small(strategy__semilocal__eps=0.0), name="two")
    done = lrctl("runs", "remove", "one", "--yes")
    assert (done.code, done.out, done.err) == (0, "", "deleted one; lrctl gc frees what nothing else needs\n")
    assert [row["run"] for row in lrctl("runs", "--json").document["runs"]] == ["two"]
    assert lrctl("gc", "--json").document["freed"]["jobs"]["files"] > 0
    assert searches.settled(searches.search(place, small(strategy__semilocal__eps=0.0), name="two")) == (
        searches.settled(kept)
    )
    assert lrctl("runs", "remove", "two", "-y").code == 0
    lrctl("gc")
    assert left(Store(place)) == dict.fromkeys(("jobs", "losses", "checkpoints"), "")


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "stays"), [("y\n", False), ("n\n", True), ("\n", True), ("", True)])
def test_whoever_sits_at_a_terminal_is_asked(
    answer: str, stays: bool, lrctl: Lrctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(Store(place), "r")
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    done = lrctl("runs", "remove", "r")
    assert (done.code, (place / "runs" / "r").exists()) == (0, stays)
    assert ("nothing was deleted" in done.err) is stays


def test_a_group_given_a_store_hands_it_to_its_commands(lrctl: Lrctl, place: Path, tmp_path: Path) -> None:
    searches.search(tmp_path / "other", name="elsewhere")
    for command in (
        ("runs", "--store", "other", "show", "elsewhere"),
        ("runs", "show", "elsewhere", "--store", "other"),
    ):
        assert lrctl(*command).code == 0
    assert lrctl("runs", "--store", "other", "--json", "show", "elsewhere").document["run"] == "elsewhere"
    Store(place)
    assert lrctl("runs").err == lrctl("runs", "list").err == "no runs in .lrctl\n"


BAD: dict[str, tuple[str, str]] = {
    "unknown run": ("runs show begum", "error: .lrctl: begum: unknown run; did you mean 'begun'?"),
    "unknown among known": (
        "runs remove begun begum --yes",
        "error: .lrctl: begum: unknown run; did you mean 'begun'?",
    ),
    "out of the store": ("runs remove ../runs --yes", "error: .lrctl: ../runs: unknown run; choose from: begun"),
    "nobody to ask": (
        "runs remove begun",
        "error: lrctl runs remove: there is no terminal to ask on; give --yes to delete without being asked",
    ),
    "no store": ("runs --store nowhere", "error: --store nowhere: there is no store; "),
    "no store to show from": ("runs show begun --store nowhere", "error: --store nowhere: there is no store; "),
    "no store to tidy": ("gc --store nowhere", "error: --store nowhere: there is no store; "),
}


@pytest.mark.parametrize(("command", "message"), BAD.values(), ids=BAD)
def test_a_bad_command_changes_nothing_and_says_what_to_do(
    command: str, message: str, lrctl: Lrctl, place: Path
) -> None:
    begin(Store(place), "begun")
    done = lrctl(*command.split())
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith(message)
    assert Store(place).runs() == ["begun"]
