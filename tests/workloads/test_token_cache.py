from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from lrctl.errors import UsageError
from lrctl_workloads.data.cache import cached, folder


class Writer:
    """Writes the same bytes each time and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, file: BinaryIO) -> None:
        self.calls += 1
        file.write(b"costly" * 1000)


def test_a_cached_file_is_made_once() -> None:
    write = Writer()
    first, second = cached("a", write), cached("a", write)
    assert first == second
    assert first[0].read_bytes() == b"costly" * 1000
    assert write.calls == 1


@pytest.mark.parametrize(
    "content",
    [b"costly" * 999, b"cosTly" + b"costly" * 999, b""],
    ids=["truncated", "a flipped bit", "empty"],
)
def test_a_damaged_file_is_made_again(content: bytes) -> None:
    write = Writer()
    path, digest = cached("a", write)
    path.write_bytes(content)
    assert cached("a", write) == (path, digest)
    assert path.read_bytes() == b"costly" * 1000
    assert write.calls == 2


@pytest.mark.parametrize("lost", ["a", "a.sha256"])
def test_a_lost_file_is_made_again(lost: str, cache_folder: Path) -> None:
    write = Writer()
    before = cached("a", write)
    (cache_folder / lost).unlink()
    assert cached("a", write) == before
    assert write.calls == 2


def test_a_failed_write_leaves_nothing(cache_folder: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("a", write)
    assert list(cache_folder.iterdir()) == []


def test_several_may_make_the_same_file_at_once(cache_folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cached("a", Writer()), range(32)))
    assert len(set(found)) == 1
    assert sorted(path.name for path in cache_folder.iterdir()) == ["a", "a.sha256"]


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRCTL_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert folder() == Path("/own")
    monkeypatch.delenv("LRCTL_CACHE")
    assert folder() == Path("/xdg/lrctl")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert folder() == Path("/home/me/.cache/lrctl")


def test_a_cache_folder_that_cannot_be_written_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"cache folder .*cannot be written .*; set LRCTL_CACHE"):
        cached("a", Writer())


@pytest.mark.parametrize(("age", "stays"), [(3500, True), (3700, False)], ids=["young", "old"])
def test_what_a_killed_process_left_aside_is_swept_after_an_hour(age: float, stays: bool, cache_folder: Path) -> None:
    cached("a", Writer())
    left, others = cache_folder / f".b.{'0' * 32}", [cache_folder / name for name in (".b.part", ".b.lock", "mine")]
    for path in (left, *others):
        path.write_bytes(b"half")
        os.utime(path, times=(time.time() - age,) * 2)
    cached("c", Writer())
    assert (left.exists(), all(path.exists() for path in others)) == (stays, True)


@pytest.mark.parametrize("name", ["a", "a.sha256"])
def test_a_pipe_in_the_place_of_a_cached_file_is_replaced(name: str, cache_folder: Path) -> None:
    before = cached("a", Writer())
    (cache_folder / name).unlink()
    os.mkfifo(cache_folder / name)
    assert cached("a", Writer()) == before
