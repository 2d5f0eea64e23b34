"""A store in a folder: files that are written aside and renamed, flushed, and swept away where a kill left them."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import searches
from comparisons import a_result
from lrctl.errors import StoreError
from lrctl.storage import files, gc, listing
from lrctl.storage.store import Store
from storages import make_old, read_only
from stored import KEYS, begin

# Files left aside by killed processes

LEFT = [
    "jobs/.lrctl-x.json",
    "losses/.lrctl-x.npy",
    "checkpoints/.lrctl-x.safetensors",
    "runs/r/.lrctl-x.json",
    ".lrctl-x.json",
]


@pytest.mark.parametrize("name", LEFT)
@pytest.mark.parametrize(("age", "stays"), [(3500, True), (3700, False)], ids=["young", "old"])
def test_what_was_left_aside_is_swept_after_an_hour(folder: Path, name: str, age: float, stays: bool) -> None:
    path = Store(folder).path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("half a fil")
    make_old(path, age)
    Store(folder)
    assert path.exists() is stays


def test_whatever_is_being_written_stays(folder: Path) -> None:
    store = Store(folder)
    for kind, suffix in gc.KINDS.items():
        (store.path / kind / f".lrctl-1{suffix}").write_bytes(b"half")
    (store.path / "jobs" / "notes.txt").write_text("mine")
    assert gc.collect(store)["files"] == 0
    assert len(list(store.path.glob("*/.lrctl-1*"))) == len(gc.KINDS)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "fact.json"
    files.write_json(path, {"loss": math.inf, "lr": 0.1})
    before = path.read_bytes()
    assert json.loads(before) == {"loss": None, "lr": 0.1}

    def interrupted() -> None:
        with files.aside(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == before


def test_a_mark_that_cannot_be_written_is_told(folder: Path) -> None:
    store, key = Store(folder), KEYS["a"]
    begin(store, "r")
    (store.path / "handed_over").rmdir()
    with pytest.raises(StoreError, match=rf"cannot write .*{key}.*choose another --store"):
        store.runs.finish(a_result(run="r", checkpoint=key))


@pytest.mark.parametrize("at", range(1, 6))
def test_a_search_may_end_while_its_run_is_deleted(at: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of it is deleted by then, and whether or not whoever deletes it is killed at that moment."""
    document = searches.search(folder, name="r")
    result, unlink, count = Store(folder).runs.result("r"), os.unlink, 0
    assert result
    identity, recipe = Store(folder).runs.identity("r"), Store(folder).runs.recipe("r")
    assert identity
    assert recipe is not None

    def ended_before(*arguments: Any, **options: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            patch.undo()
            Store(folder).runs.begin("r", identity, recipe, {})
            Store(folder).runs.finish(result)
            if at % 2:
                raise KeyboardInterrupt
        unlink(*arguments, **options)

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(os, "unlink", ended_before)
        Store(folder).runs.restart("r")
    assert [(row["status"], row["defects"]) for row in listing.runs(Store(folder))] == [("finished", [])]
    assert searches.search(folder, name="r") == document


def test_the_first_error_of_a_write_is_the_one_that_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(folder)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(StoreError, match="No space left on device; free some space or choose another --store"):
        files.write_json(store.path / "x.json", {})


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_flushed_is_no_error_but_a_file_is(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, opened = Store(folder), os.fsync

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


def a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file"


PATHS: dict[str, Callable[[Path], Path]] = {"a file": a_file, "under a file": lambda f: a_file(f) / "s"}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_that_cannot_be_a_store_is_a_clear_error(path: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="choose a folder that can be read and written"):
        Store(path(tmp_path))
