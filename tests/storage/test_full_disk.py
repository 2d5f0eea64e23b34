"""A disk that fills up is one clear error, and the store stays good."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl.storage.store import Store
from searches import facts, found, search, smoke

Mount = Callable[[str], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Mount]]:
    """A small disk of the test's own, and how to set its size."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")

    def resize(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)

    yield place, resize
    subprocess.run(["umount", place], check=True)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the smoke search where there is room."""
    return search(tmp_path_factory.mktemp("reference") / "store", smoke())


COMMAND = ("semilocal", "--recipe", "smoke", "--executor", "serial", "--quiet", "--store")
SIZES = ["12k", "24k", "40k", "100k", "160k", "200k"]


@pytest.mark.parametrize("size", SIZES)
def test_a_full_disk_is_one_sentence_and_the_search_goes_on(
    size: str, disk: tuple[Path, Mount], lrctl: Lrctl, reference: dict[str, Any]
) -> None:
    place, resize = disk
    resize(f"size={size}")
    full = lrctl(*COMMAND, place / "store")
    assert full.code == 1
    assert full.out == ""
    assert full.error.startswith("error: ")
    assert "No space left on device" in full.error
    assert "choose" in full.error
    assert [path for path in place.rglob(".*") if path.is_file()] == []
    before = facts(place / "store") if (place / "store" / "jobs").is_dir() else {}
    assert all(Store(place / "store").record(name.removesuffix(".json")) for name in before)
    resize("size=4m")
    document = lrctl(*COMMAND, place / "store", "--json").document
    assert found(document) == found(reference)
    assert document["cost"]["steps_trained"] == reference["cost"]["steps_trained"]
    assert {name: facts(place / "store")[name] for name in before} == before


def test_no_room_for_another_name_is_the_same_error(disk: tuple[Path, Mount], lrctl: Lrctl) -> None:
    place, resize = disk
    resize("nr_inodes=20")
    full = lrctl(*COMMAND, place / "store")
    assert full.code == 1
    assert "No space left on device" in full.error
    resize("nr_inodes=1000")
    assert lrctl(*COMMAND, place / "store").code == 0
