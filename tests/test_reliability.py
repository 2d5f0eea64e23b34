"""The scripts that try lrctl's promises by the thousand: a few of each, so that they never rot."""

from __future__ import annotations

import random
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks.reliability.commands import GIVEN, answer, differences
from benchmarks.reliability.failing_writes import Fault, failing_writes
from benchmarks.reliability.faults import watched
from benchmarks.reliability.flips import damages, flips, sound_store
from benchmarks.reliability.kills import kills
from benchmarks.reliability.sharing import share
from lrctl.errors import StoreError
from lrctl.storage.files import write_text
from storages import s3_here


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a script."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given.json").write_text(GIVEN)
    return tmp_path


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "unfinished"])
def test_a_few_flipped_bits_are_noticed_or_harmless(finished: bool, folder: Path) -> None:
    sound = sound_store(folder / "sound", finished=finished)
    del sound.commands["report"]  # which takes its time
    found, wrong = flips(sound, 1, random.Random(1))
    assert wrong == []
    assert len({kind for kind, _ in found}) == 9 + finished


def test_every_bit_of_a_small_file_is_flipped_and_some_of_a_large_one() -> None:
    small, large = (list(damages(bytes(size), None, random.Random(0))) for size in (100, 1_000))
    assert (len(small), len(large)) == (8 * 100 + 50, 2_000 + 50)
    flipped = {spoilt for _, spoilt in small if len(spoilt) == 100}
    assert all(spoilt.count(0) == 99 for spoilt in flipped)
    assert len(flipped) == 800


def test_each_operation_of_a_write_can_fail(tmp_path: Path) -> None:
    sound = Fault()
    with watched(tmp_path, sound):
        write_text(tmp_path / "a", "text")
        Path("/dev/null").write_text("elsewhere")
    operations = [operation for operation, _ in sound.seen]
    assert operations == ["open", "write", "fsync", "rename", "fsync", "unlink"]
    for at in range(len(operations) - 1):
        with watched(tmp_path, Fault(at, 28)), pytest.raises(StoreError, match="No space left on device"):
            write_text(tmp_path / "a", "other")


def test_answers_differ_in_what_was_found_and_paid_only() -> None:
    one = {"run": "a", "test_loss": 1.0, "cost": {"jobs": 3, "seconds": 1.0}, "files": {}, "digest": "x"}
    assert answer(one) == answer({**one, "run": "b", "cost": {"jobs": 3, "seconds": 2.0}, "digest": "y"})
    assert "test_loss: 1.0 is not 2.0" in differences(answer(one), answer({**one, "test_loss": 2.0}))


@pytest.mark.slow
def test_a_few_failing_writes_are_one_sentence(folder: Path) -> None:
    tried, wrong = failing_writes(folder, 3, random.Random(0))
    assert wrong == []
    assert tried.total() == 3 * 12


@pytest.mark.slow
def test_a_few_kills_change_nothing(folder: Path) -> None:
    assert kills(14, 0, folder)[1] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "memory", "s3"])
def test_searches_share_a_store_for_a_while(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRCTL_CACHE", "")  # each machine of states sets its own
    with s3_here() if kind == "s3" else nullcontext():
        assert share(150, kind)["searches that ended"] > 0
