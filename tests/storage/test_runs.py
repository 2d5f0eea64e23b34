"""`lrctl runs` and `lrctl gc`: what they print of a store, and what they ask."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import searches
from command_line import Lrctl
from lrctl.engine.job_runner import JobRunner
from lrctl.storage import listing
from lrctl.storage.labels import label, labels
from lrctl.storage.places import local
from lrctl.storage.store import Store
from searches import small
from storages import beside, raw, undeletable
from stored import KEYS, all_of_yesterday, begin, left, one_removed, young_beside_an_unfinished_one


def test_gc_tells_what_it_frees(lrctl: Lrctl, place: Path | str) -> None:
    store = Store(place)
    one_removed(store)
    told = lrctl("gc", "--dry-run")
    assert (told.code, told.err) == (0, "")
    assert told.out.splitlines()[-1].startswith("would free 6 files, ")
    assert left(store) == dict.fromkeys(("jobs", "losses", "checkpoints"), "ab")
    done = lrctl("gc", "--json").document
    assert (done["files"], done["freed"]["checkpoints"], done["dry_run"]) == (6, {"files": 2, "bytes": 14}, False)
    assert lrctl("gc").out.splitlines()[-1] == "freed 0 files, 0 B"


def test_gc_says_what_it_leaves_for_now(lrctl: Lrctl, place: Path | str) -> None:
    young_beside_an_unfinished_one(Store(place))
    assert lrctl("gc").error == (
        "3 files stay for now: they are younger than an hour, and unfinished runs (r) may be at work"
    )


def interrupted(place: Path | str, monkeypatch: pytest.MonkeyPatch, **overrides: Any) -> None:
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


def test_runs_are_listed_with_what_they_reached(
    lrctl: Lrctl, place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = searches.search(place, name="done")
    all_of_yesterday(place)  # S3 dates by the second
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


def test_the_disk_of_the_runs_is_that_of_the_store(place: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    searches.search(place, name="done")
    interrupted(place, monkeypatch, training__seed=3)
    lying = [path for path in raw(place).rglob("*") if path.is_file() and path.name != "store.json"]
    assert sum(row["bytes"] for row in listing.runs(Store(place))) == sum(path.stat().st_size for path in lying)


RECIPES = {"missing": None, "not TOML": "a = ", "no tables": "", "a list": "strategy = [1]", "not text": "\udc80"}


@pytest.mark.parametrize("text", RECIPES.values(), ids=RECIPES)
def test_a_run_with_a_damaged_recipe_is_listed_without_it(text: str | None, lrctl: Lrctl, place: Path | str) -> None:
    store = Store(place)
    store.objects.make_folder("runs/half")
    store.objects.put("runs/half/notes", b"")
    if text is not None:
        store.objects.put("runs/half/recipe.toml", text.encode("utf-8", "surrogateescape"))
    (row,) = lrctl("runs", "--json").document["runs"]
    assert (row["run"], row["status"], row["command"], row["steps"]) == ("half", "unfinished", None, None)
    assert row["date"] > "2020"
    assert lrctl("runs").code == 0


def test_a_finished_run_is_shown_as_its_search_printed_it(lrctl: Lrctl, place: Path | str) -> None:
    document = searches.search(place, name="done")
    shown = lrctl("runs", "show", "done")
    assert (shown.code, shown.err) == (0, "")
    assert "semilocal on linear-regression, seed 0, 24 steps" in shown.out
    again = lrctl("runs", "show", "done", "--json").document
    assert {name: value for name, value in again.items() if name != "files"} == {
        name: value for name, value in document.items() if name != "files"
    }
    assert local(again["files"]["schedule"]).is_file()


def test_a_run_whose_folder_was_moved_is_shown_where_it_is(lrctl: Lrctl, place: Path | str) -> None:
    searches.search(place, name="done")
    (raw(place) / "runs" / "done").rename(raw(place) / "runs" / "moved")
    shown = lrctl("runs", "show", "moved", "--json").document
    assert shown["run"] == "moved"
    assert all(local(path).is_file() for path in shown["files"].values())


def test_the_command_that_an_unfinished_run_tells_finishes_it(
    lrctl: Lrctl, place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(place, monkeypatch)
    told = lrctl("runs", "show", "begun").out.splitlines()[0].partition(": lrctl ")[2]
    assert lrctl(*shlex.split(told), "--executor", "serial", "--quiet").code == 0
    assert lrctl("runs", "show", "begun", "--json").document["status"] == "done"


def test_an_unfinished_run_is_shown_as_what_it_is(
    lrctl: Lrctl, place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(place, monkeypatch)
    shown = lrctl("runs", "show", "begun")
    assert shown.code == 0
    first, _, *recipe = shown.out.splitlines()
    assert first.startswith("begun is not finished; its command continues it: lrctl semilocal --recipe ")
    assert recipe[0] == "[training]"
    document = lrctl("runs", "show", "begun", "--json").document
    assert (document["status"], document["command"], document["steps"]) == ("unfinished", "semilocal", 24)
    assert "[strategy.semilocal]" in document["recipe"]


def test_gc_goes_on_where_something_cannot_be_deleted(lrctl: Lrctl, place: Path | str) -> None:
    one_removed(Store(place))
    with undeletable(lambda path: path.stem == KEYS["a"]):
        done = lrctl("gc", "--json")
    assert (done.code, done.document["files"], len(done.document["stuck"])) == (1, 3, 3)
    assert done.error.startswith(f"error: 3 files are left; the first: cannot delete {place}/jobs/{KEYS['a']}.json: ")
    assert "Read-only file system" in done.error
    assert left(Store(place)) == dict.fromkeys(("jobs", "losses", "checkpoints"), "a")


def test_a_checkpoint_that_cannot_be_deleted_is_a_warning(place: Path | str, tmp_path: Path) -> None:
    expected = searches.found(searches.search(tmp_path / "elsewhere"))
    with (
        undeletable(lambda path: path.suffix == ".safetensors"),
        pytest.warns(
            UserWarning, match="cannot delete .*safetensors: Read-only file system.*; it is of no use any more"
        ),
    ):
        assert searches.found(searches.search(place)) == expected


def test_a_removed_run_is_gone_and_gc_frees_its_jobs(lrctl: Lrctl, place: Path | str) -> None:
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


def test_a_run_that_was_removed_gets_no_labels(place: Path | str) -> None:
    store = Store(place)
    begin(store, "r")
    label(store, "r", ["first"])
    assert labels(store, "r") == ["first"]
    store.runs.take_away("r")
    label(store, "r", ["second"])
    assert store.runs.names() == []


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "stays"), [("y\n", False), ("n\n", True), ("\n", True), ("", True)])
def test_whoever_sits_at_a_terminal_is_asked(
    answer: str, stays: bool, lrctl: Lrctl, place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(Store(place), "r")
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    done = lrctl("runs", "remove", "r")
    assert (done.code, Store(place).runs.names()) == (0, ["r"] if stays else [])
    assert ("nothing was deleted" in done.err) is stays


def test_a_group_given_a_store_hands_it_to_its_commands(lrctl: Lrctl, place: Path | str) -> None:
    other = beside(place, "other")
    searches.search(other, name="elsewhere")
    for command in (
        ("runs", "--store", other, "show", "elsewhere"),
        ("runs", "show", "elsewhere", "--store", other),
    ):
        assert lrctl(*command).code == 0
    assert lrctl("runs", "--store", other, "--json", "show", "elsewhere").document["run"] == "elsewhere"
    Store(place)
    assert lrctl("runs").err == lrctl("runs", "list").err == f"no runs in {place}\n"


NOWHERE = "error: --store PLACE-nowhere: there is no store; "
BAD: dict[str, tuple[str, str]] = {  # where PLACE stands for the store
    "unknown run": ("runs show begum", "error: PLACE: begum: unknown run; did you mean 'begun'?"),
    "unknown among known": (
        "runs remove begun begum --yes",
        "error: PLACE: begum: unknown run; did you mean 'begun'?",
    ),
    "out of the store": ("runs remove ../runs --yes", "error: PLACE: ../runs: unknown run; choose from: begun"),
    "nobody to ask": (
        "runs remove begun",
        "error: lrctl runs remove: there is no terminal to ask on; give --yes to delete without being asked",
    ),
    "no store": ("runs --store PLACE-nowhere", NOWHERE),
    "no store to show from": (
        "runs show begun --store PLACE-nowhere",
        NOWHERE,
    ),
    "no store to tidy": ("gc --store PLACE-nowhere", NOWHERE),
}


@pytest.mark.parametrize(("command", "message"), BAD.values(), ids=BAD)
def test_a_bad_command_changes_nothing_and_says_what_to_do(
    command: str, message: str, lrctl: Lrctl, place: Path | str
) -> None:
    begin(Store(place), "begun")
    done = lrctl(*command.replace("PLACE", str(place)).split())
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith(message.replace("PLACE", str(place)))
    assert Store(place).runs.names() == ["begun"]
