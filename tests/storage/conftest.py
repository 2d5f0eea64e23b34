from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storages import fresh, s3_served


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


@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path | str:
    """A place for a store, where nothing is, in each kind of storage. Of S3 the whole suite is tried with `-m s3`."""
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    return str(request.getfixturevalue("s3")) if request.param == "s3" else fresh(request.param, tmp_path)
