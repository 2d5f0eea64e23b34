"""What no object storage has in the place of a file: folders, pipes, links. They are never opened or followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import searches
from command_line import Lrctl
from damages import FILES, a_folder, check_it_stops_no_other
from lrctl.errors import StoreError
from lrctl.storage import listing
from lrctl.storage.files import write_text
from lrctl.storage.runs import FinishedRun
from lrctl.storage.store import Store


@pytest.mark.parametrize("kind", ["jobs", "losses", "checkpoints"])
def test_a_folder_in_the_place_of_a_fact_is_made_that_fact_again(kind: str, searched_folder: Path) -> None:
    first = searches.search(searched_folder, name="mine")
    for path in (searched_folder / kind).iterdir():
        a_folder(path, path)
    (searched_folder / "runs" / "mine" / "result.json").unlink()
    assert searches.found(searches.search(searched_folder, name="mine")) == searches.found(first)
    assert listing.runs(Store(searched_folder))[1]["defects"] == []
    result = Store(searched_folder).runs.result("mine")
    assert result
    assert FinishedRun(Store(searched_folder), "mine", result).whole


@pytest.mark.parametrize("file", ["recipe.toml", "environment.json", "identity.json"])
def test_a_folder_in_the_place_of_a_file_of_a_run_that_is_not_finished_is_damage(
    file: str, searched_folder: Path
) -> None:
    first, run = searches.search(searched_folder, name="mine"), searched_folder / "runs" / "mine"
    (run / "result.json").unlink()
    a_folder(run / file, None)
    assert listing.runs(Store(searched_folder))[1]["defects"] == [file]
    assert searches.found(searches.search(searched_folder, name="mine")) == searches.found(first)
    assert listing.runs(Store(searched_folder))[1]["status"] == "finished"


def test_a_folder_of_the_users_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(StoreError, match="Is a directory; choose another --out"):
        write_text(tmp_path / "out.csv", "text", "choose another --out")
    assert (tmp_path / "out.csv").is_dir()


def unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "deep").mkdir()


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def linked(path: Path) -> None:
    path.symlink_to(path.rename(path.with_suffix(".elsewhere")))


@pytest.mark.parametrize("spoil", [linked, piped])
def test_a_checkpoint_that_is_no_regular_file_is_never_opened_but_made_again(
    spoil: Callable[[Path], None], searched_folder: Path
) -> None:
    first = searches.search(searched_folder, name="mine")
    path = Path(first["files"]["checkpoint"])
    spoil(path)
    assert searches.search(searched_folder, name="mine")["test_loss"] == first["test_loss"]
    assert path.is_file()
    assert not path.is_symlink()


@pytest.mark.parametrize("spoil", [unreadable, endless, piped])
@pytest.mark.parametrize("file", FILES)
def test_one_run_that_cannot_be_read_stops_no_other(
    file: str, spoil: Callable[[Path], None], lrctl: Lrctl, searched_folder: Path
) -> None:
    spoil(searched_folder / "runs" / "mine" / file)
    check_it_stops_no_other(file, lrctl)
