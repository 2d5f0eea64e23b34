from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import searches
from command_line import Lrctl
from damages import OTHER
from lrctl.storage.store import Store
from searches import small
from storages import STORAGES, copy_into, fresh, make_old, raw, s3_served


@pytest.fixture(scope="session")
def s3_settings() -> Iterator[dict[str, str]]:
    """What leads to an S3 of this process."""
    with s3_served() as settings:
        yield settings


@pytest.fixture
def s3(s3_settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a place in it where nothing is."""
    for name, value in {**s3_settings, "LRCTL_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    return str(fresh("s3", tmp_path))


@pytest.fixture(params=STORAGES)
def place(request: pytest.FixtureRequest, lrctl: Lrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path | str:
    """A place for a store, where nothing is, in each kind of storage: that of the command line too.

    S3 is tried with `-m s3`.
    """
    del lrctl  # it has left the process as a test wants it by now
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    found = str(request.getfixturevalue("s3")) if request.param == "s3" else fresh(request.param, tmp_path)
    monkeypatch.setenv("LRCTL_STORE", str(found))
    return found


@pytest.fixture
def folder(lrctl: Lrctl, tmp_path: Path) -> Path:
    """A folder for a store, where nothing is, for what only a file system has: the default of the command line."""
    del lrctl  # it is in tmp_path by now
    return tmp_path / ".lrctl"


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in a folder with the small search twice, of which the first follows the best loss alone."""
    folder = tmp_path_factory.mktemp("two") / "store"
    searches.search(folder, small(**OTHER), name="other")
    searches.search(folder, name="mine")
    return folder


@pytest.fixture
def searched(place: Path | str, two_runs: Path) -> Path | str:
    """A store in each kind of storage with the runs `other` and `mine`, on a machine that has fetched nothing yet."""
    return filled(place, two_runs)


@pytest.fixture
def searched_folder(folder: Path, two_runs: Path) -> Path:
    """The same in a folder."""
    return Path(filled(folder, two_runs))


def filled(place: Path | str, store: Path) -> Path | str:
    copy_into(place, store)
    for path in raw(Store(place)).joinpath("runs", "other").iterdir():
        make_old(path, 60)  # which of them is older can be told
    return place
