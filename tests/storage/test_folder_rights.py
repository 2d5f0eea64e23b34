"""A store in a folder that may not be read or written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import searches
from command_line import Lrctl
from storages import read_only


def test_a_run_that_cannot_be_deleted_is_told(lrctl: Lrctl, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searches.search(folder, name="one")
    monkeypatch.setattr(Path, "rename", read_only)
    done = lrctl("runs", "remove", "one", "--yes")
    assert (done.code, done.out) == (1, "")
    assert done.error == f"error: cannot delete {folder / 'runs' / 'one'}: Read-only file system"


@pytest.fixture
def nobody(folder: Path) -> Iterator[Callable[[int], None]]:
    """Sets the rights of a store that is searched, and becomes one whom they bind."""
    searches.search(folder, name="one")
    root = os.geteuid() == 0

    def become(mode: int) -> None:
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                path.chmod(mode)
        if root:
            for outer in folder.parents[:-2]:
                outer.chmod(0o755)
            os.seteuid(65534)

    yield become
    if root:
        os.seteuid(0)
    folder.chmod(0o755)
    for path in folder.rglob("*"):
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
    lrctl: Lrctl, folder: Path, nobody: Callable[[int], None]
) -> None:
    nobody(0o555)
    assert lrctl("runs").code == lrctl("compare", "one").code == lrctl("export", "one", "--to", "csv").code == 0
    done = lrctl("runs", "remove", "one", "--yes")
    assert (done.code, done.out) == (1, "")
    assert "deleted" not in done.err
    assert f"cannot delete {folder / 'runs' / 'one'}: Permission denied" in done.error
