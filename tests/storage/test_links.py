"""No link is followed out of a store: nothing outside it is read, written or deleted."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

import searches
from command_line import Lrctl
from lrctl.errors import StoreError, UsageError
from lrctl.storage import gc
from lrctl.storage.files import delete
from lrctl.storage.opening import FOLDERS, STALE
from lrctl.storage.store import Store

MINE = ("notes.txt", "a" * 64 + ".json", "a" * 64 + ".npy", "a" * 64 + ".safetensors", "b" * 64, ".lrctl-x.json")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside the store, with files as a store has them, old enough to be deleted."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in MINE:
        (folder / name).write_text(name)
        os.utime(folder / name, times=(time.time() - 2 * STALE,) * 2)
    return folder


@pytest.mark.parametrize(
    "command", ["runs", "gc", "gc --dry-run", "runs remove r --yes", "compare r", "export r --to csv"]
)
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_store_with_a_folder_that_is_a_link_is_refused(
    folder: str, command: str, lrctl: Lrctl, tmp_path: Path, elsewhere: Path
) -> None:
    store = Store(tmp_path / ".lrctl")
    (store.path / folder).rmdir()
    (store.path / folder).symlink_to(elsewhere)
    done = lrctl(*command.split())
    assert (done.code, done.out) == (1, "")
    assert f"--store .lrctl: {folder} in it is a link, and no link is followed out of a store" in done.error
    assert sorted(os.listdir(elsewhere)) == sorted(MINE)


def test_a_store_that_is_itself_behind_a_link_is_a_store(tmp_path: Path) -> None:
    searches.search(tmp_path / "real", name="r")
    (tmp_path / "link").symlink_to("real")
    assert searches.search(tmp_path / "link", name="r")["files"]["result"] == str(tmp_path / "link/runs/r/result.json")


@pytest.fixture
def linked(lrctl: Lrctl, tmp_path: Path, elsewhere: Path) -> Store:
    """A store with a run, and a link `out` among the runs that leads out of it."""
    del lrctl  # it is in tmp_path by now
    searches.search(tmp_path / ".lrctl", name="mine")
    store = Store(tmp_path / ".lrctl")
    (store.path / "runs" / "out").symlink_to(elsewhere)
    return store


def test_a_run_that_is_a_link_is_left_out_and_told(lrctl: Lrctl, linked: Store) -> None:
    done = lrctl("runs", "--json")
    assert [row["run"] for row in done.document["runs"]] == ["mine"]
    assert done.error == "warning: run out: left out, it is a link; `lrctl runs remove out` deletes the link"
    assert linked.runs.names() == ["mine"]
    for command in ("runs show out", "compare out", "report out", "export out --to csv"):
        refused = lrctl(*command.split())
        assert (refused.code, refused.out) == (2, "")
        assert "unknown run" in refused.error


def test_of_a_run_that_is_a_link_only_the_link_is_removed(lrctl: Lrctl, linked: Store, elsewhere: Path) -> None:
    assert lrctl("runs", "remove", "out", "--yes").code == 0
    assert not os.path.lexists(linked.path / "runs" / "out")
    assert sorted(os.listdir(elsewhere)) == sorted(MINE)


def test_a_search_writes_through_no_link(lrctl: Lrctl, linked: Store, elsewhere: Path) -> None:
    for fresh in ([], ["--fresh"]):
        done = lrctl("semilocal", "--recipe", "smoke", "--executor", "serial", "--name", "out", "--quiet", *fresh)
        assert (done.code, done.out) == (2, "")
        assert "run out: it is a link, and no link is followed out of a store" in done.error
    assert sorted(os.listdir(elsewhere)) == sorted(MINE)
    with pytest.raises(UsageError, match="it is a link"):
        linked.runs.result("out")


def test_gc_and_the_sweep_of_leftovers_follow_no_link(linked: Store, elsewhere: Path) -> None:
    (linked.path / "runs" / "mine" / "report").symlink_to(elsewhere)
    for kind, suffix in gc.KINDS.items():
        (linked.path / kind / f"{'c' * 64}{suffix}").symlink_to(elsewhere / "notes.txt")
        (linked.path / kind / f"{'d' * 64}{suffix}").symlink_to(elsewhere)
    gc.collect(Store(linked.path))
    assert sorted(os.listdir(elsewhere)) == sorted(MINE)
    assert not [path for kind in gc.KINDS for path in (linked.path / kind).iterdir() if path.is_symlink()]


@pytest.mark.parametrize("file", ["result.json", "identity.json", "schedule.json", "recipe.toml", "environment.json"])
def test_a_file_of_a_run_that_is_a_link_is_damaged(file: str, lrctl: Lrctl, linked: Store, tmp_path: Path) -> None:
    path = linked.path / "runs" / "mine" / file
    path.rename(tmp_path / file)
    path.symlink_to(tmp_path / file)
    assert lrctl("runs", "--json").document["runs"][0]["defects"] == [file]
    before = (tmp_path / file).read_bytes()
    searches.search(linked.path, name="mine")
    assert not path.is_symlink()
    assert (tmp_path / file).read_bytes() == before


@pytest.mark.parametrize("kind", ["jobs", "losses", "checkpoints"])
def test_a_file_of_a_job_that_is_a_link_is_made_again(kind: str, tmp_path: Path) -> None:
    first = searches.search(tmp_path / "store")
    for path in [*(tmp_path / "store" / kind).iterdir()]:
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    assert searches.found(searches.search(tmp_path / "store")) == searches.found(first)
    assert not (tmp_path / "store" / kind / Path(first["files"]["checkpoint"]).name).is_symlink()


def test_a_report_is_written_through_no_link(lrctl: Lrctl, linked: Store, elsewhere: Path) -> None:
    (linked.path / "runs" / "mine" / "report").symlink_to(elsewhere)
    done = lrctl("report", "mine")
    assert (done.code, done.out) == (1, "")
    assert "report in it is a link, and no link is followed out of a store" in done.error
    assert sorted(os.listdir(elsewhere)) == sorted(MINE)


def test_marks_are_made_behind_no_link(linked: Store, tmp_path: Path) -> None:
    shutil.rmtree(linked.path / "runs" / "mine")
    for mark in (linked.path / "handed_over").iterdir():
        mark.unlink()
        mark.symlink_to(tmp_path / "made")
    with pytest.raises(StoreError, match=r"cannot write .*handed_over"):
        searches.search(linked.path, name="mine")
    assert not (tmp_path / "made").exists()


def test_a_link_is_deleted_and_not_what_it_leads_to(tmp_path: Path, elsewhere: Path) -> None:
    for target in (elsewhere, elsewhere / "notes.txt", tmp_path / "nowhere"):
        (tmp_path / "link").symlink_to(target)
        delete(tmp_path / "link")
        assert not os.path.lexists(tmp_path / "link")
    assert sorted(os.listdir(elsewhere)) == sorted(MINE)
