"""What was changed, cut, swapped or taken away is noticed by every command that reads it, and made again by its own."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lrctl as package
import searches
from cases import case
from command_line import Lrctl
from lrctl.errors import StoreError
from lrctl.storage import listing
from lrctl.storage.files import write_text
from lrctl.storage.runs import FinishedRun, defects
from lrctl.storage.store import Store
from searches import small
from signed import read_signed, write_signed

OTHER = {"strategy__semilocal__eps": 0.0}
FILES = ("recipe.toml", "environment.json", "identity.json", "schedule.json", "result.json")


@pytest.fixture
def place(lrctl: Lrctl, tmp_path: Path) -> Path:
    """The default store of the test's working directory, with two runs."""
    del lrctl  # it is in tmp_path by now
    searches.search(tmp_path / ".lrctl", small(**OTHER), name="other")
    searches.search(tmp_path / ".lrctl", name="mine")
    return tmp_path / ".lrctl"


def cut(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path, _: Path) -> None:
    path.unlink()


def swapped(path: Path, other: Path) -> None:
    shutil.copy(other, path)


def a_folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "in it").write_text("")


def flipped(path: Path, _: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) * 2 // 3] ^= 2
    path.write_bytes(whole)


DAMAGES: list[Callable[[Path, Path], None]] = [cut, emptied, removed, swapped, a_folder, flipped]


def commands(run: str) -> list[str]:
    return [f"compare {run}", f"export {run} --to csv", f"runs show {run}", f"report {run}"]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("file", ["recipe.toml", "schedule.json"])
def test_damage_is_told_by_every_command_and_mended_by_the_runs_own(
    file: str, damage: Callable[[Path, Path], None], lrctl: Lrctl, place: Path
) -> None:
    path, other = (place / "runs" / name / file for name in ("mine", "other"))
    before, cost = path.read_bytes(), searches.search(place, name="mine")["cost"]
    damage(path, other)
    listed = lrctl("runs", "--json")
    assert [(row["status"], row["defects"]) for row in listed.document["runs"]] == [
        ("finished", []),
        ("damaged", [file]),
    ]
    assert (
        listed.error == f"warning: run mine: missing or damaged: {file}; the command that made it makes it whole again"
    )
    for command in commands("mine"):
        done = lrctl(*command.split())
        assert f"run mine: missing or damaged: {file}; the command that made it makes it whole again" in done.err, (
            command
        )
        assert done.code == (command == "report mine" and file == "recipe.toml"), "the page shows the recipe"
    again = searches.search(place, name="mine")
    assert (path.read_bytes(), again["cost"] | {"seconds": 0}) == (before, cost | {"seconds": 0})
    assert listing.runs(Store(place))[1]["defects"] == []


@pytest.mark.parametrize("kind", ["jobs", "losses", "checkpoints"])
def test_a_folder_in_the_place_of_a_fact_is_made_that_fact_again(kind: str, place: Path) -> None:
    first = searches.search(place, name="mine")
    for path in (place / kind).iterdir():
        a_folder(path, path)
    (place / "runs" / "mine" / "result.json").unlink()
    assert searches.found(searches.search(place, name="mine")) == searches.found(first)
    assert listing.runs(Store(place))[1]["defects"] == []
    result = Store(place).run_result("mine")
    assert result
    assert FinishedRun(Store(place), "mine", result).whole


def test_a_folder_of_the_users_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(StoreError, match="Is a directory; choose another --out"):
        write_text(tmp_path / "out.csv", "text", "choose another --out")
    assert (tmp_path / "out.csv").is_dir()


@pytest.mark.parametrize("damage", [cut, emptied, removed, swapped], ids=lambda damage: damage.__name__)
def test_a_checkpoint_that_was_handed_over_is_looked_at_too(
    damage: Callable[[Path, Path], None], lrctl: Lrctl, place: Path
) -> None:
    first = searches.search(place, name="mine")
    path = Path(first["files"]["checkpoint"])
    damage(path, Path(searches.search(place, small(**OTHER), name="other")["files"]["checkpoint"]))
    assert listing.runs(Store(place))[1]["defects"] == ["checkpoint"]
    for command in commands("mine"):
        done = lrctl(*command.split())
        assert done.code == 0
        assert "warning: run mine: missing or damaged: checkpoint; " in done.err, command
    assert searches.found(searches.search(place, name="mine")) == searches.found(first)
    package.load_weights(path)
    assert listing.runs(Store(place))[1]["defects"] == []


def test_a_bit_in_the_tensors_of_a_checkpoint_is_noticed_by_the_same_command(place: Path) -> None:
    first = searches.search(place, name="mine")
    path = Path(first["files"]["checkpoint"])
    before = bytearray(path.read_bytes())
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    again = searches.search(place, name="mine")
    assert searches.found(again) == searches.found(first)
    package.load_weights(path)


def test_no_flipped_bit_in_a_file_of_a_run_is_silent(place: Path) -> None:
    store, draw = Store(place), random.Random(0)
    result = store.run_result("mine")
    assert result is not None

    def told() -> Any:
        return (
            store.run_result("mine"),
            store.identity("mine"),
            store.recipe("mine"),
            store.environment("mine"),
            read_signed(store.path / "runs" / "mine" / "schedule.json"),
        )

    sound, run = told(), FinishedRun(store, "mine", result)
    for file in FILES:
        path = store.path / "runs" / "mine" / file
        whole = path.read_bytes()
        for at in sorted(draw.sample(range(len(whole)), min(len(whole), 400))):
            spoilt = bytearray(whole)
            spoilt[at] ^= 1 << draw.randrange(8)
            path.write_bytes(spoilt)
            with case(file=file, at=at):
                if told() != sound:
                    noticed = store.run_result("mine") is None if file == "result.json" else bool(defects(run))
                    assert noticed
        path.write_bytes(whole)


def test_a_result_that_cannot_be_read_is_damaged_and_not_unfinished(lrctl: Lrctl, place: Path) -> None:
    checkpoint = Path(searches.search(place, name="mine")["files"]["checkpoint"])
    removed_run = Store(place)
    cut(place / "runs" / "mine" / "result.json", place)
    assert [row["status"] for row in lrctl("runs", "--json").document["runs"]] == ["finished", "damaged"]
    done = lrctl("gc", "--json")
    assert (done.code, done.document["damaged"]) == (0, ["mine"])
    assert "warning: run mine: its result.json is damaged, so what it may hand over stays" in done.err
    assert checkpoint.exists()
    removed_run.remove_run("mine")
    assert lrctl("gc", "--json").document["damaged"] == []
    assert not checkpoint.exists()


@pytest.mark.parametrize("damage", [cut, emptied, a_folder, flipped], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("file", ["recipe.toml", "environment.json", "identity.json"])
def test_damage_of_a_run_that_is_not_finished_is_told_too(
    file: str, damage: Callable[[Path, Path], None], lrctl: Lrctl, place: Path
) -> None:
    first = searches.search(place, name="mine")
    folder = place / "runs" / "mine"
    (folder / "result.json").unlink()
    damage(folder / file, place)
    listed = lrctl("runs", "--json")
    assert [(row["status"], row["defects"]) for row in listed.document["runs"] if row["run"] == "mine"] == [
        ("damaged", [file])
    ]
    assert f"warning: run mine: missing or damaged: {file}; the command that made it" in listed.error
    assert searches.found(searches.search(place, name="mine")) == searches.found(first)
    assert {row["run"]: row["status"] for row in listing.runs(Store(place))}["mine"] == "finished"


def test_a_search_that_is_continued_hands_over_no_damaged_checkpoint(place: Path) -> None:
    first = searches.search(place, name="mine")
    path = Path(first["files"]["checkpoint"])
    before = path.read_bytes()
    (place / "runs" / "mine" / "result.json").unlink()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert searches.found(searches.search(place, name="mine")) == searches.found(first)
    package.load_weights(path)


# One run that cannot be read


def unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "deep").mkdir()


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def deep(path: Path) -> None:
    path.write_text('{"a":' * 100_000)


def piped(path: Path) -> None:
    import os

    path.unlink()
    os.mkfifo(path)


def linked(path: Path) -> None:
    path.symlink_to(path.rename(path.with_suffix(".elsewhere")))


@pytest.mark.parametrize("spoil", [linked, piped])
def test_a_checkpoint_that_is_no_regular_file_is_never_opened_but_made_again(
    spoil: Callable[[Path], None], place: Path
) -> None:
    first = searches.search(place, name="mine")
    path = Path(first["files"]["checkpoint"])
    spoil(path)
    assert searches.search(place, name="mine")["test_loss"] == first["test_loss"]
    assert path.is_file()
    assert not path.is_symlink()


@pytest.mark.parametrize("spoil", [unreadable, endless, deep, piped])
@pytest.mark.parametrize("file", FILES)
def test_one_run_that_cannot_be_read_stops_no_other(
    file: str, spoil: Callable[[Path], None], lrctl: Lrctl, place: Path
) -> None:
    spoil(place / "runs" / "mine" / file)
    listed = lrctl("runs", "--json")
    assert [row["status"] for row in listed.document["runs"]] == ["finished", "damaged"]
    assert listed.error.startswith(f"warning: run mine: missing or damaged: {file}")
    for command in ("runs", "gc", "compare other", "export other --to csv", "runs show other"):
        assert lrctl(*command.split()).code == 0, command
    for command in ("runs show mine", "compare mine", "export mine --to csv"):
        assert "a fault in lrctl" not in lrctl(*command.split()).err, command
    assert lrctl("runs", "remove", "mine", "--yes").code == 0
    assert [row["run"] for row in lrctl("runs", "--json").document["runs"]] == ["other"]


# schedule.json by hand


def test_a_schedule_of_ones_own_needs_no_digest_but_a_changed_one_of_lrctl_is_refused(
    lrctl: Lrctl, place: Path, tmp_path: Path
) -> None:
    document = json.loads((place / "runs" / "mine" / "schedule.json").read_text())
    document["steps"] += 1
    (tmp_path / "s.json").write_text(json.dumps(document))
    done = lrctl("export", "s.json", "--to", "csv")
    assert (done.code, done.out) == (2, "")
    assert "s.json: it is not what was written: its digest does not match" in done.error
    del document["digest"]
    (tmp_path / "s.json").write_text(json.dumps(document))
    assert lrctl("export", "s.json", "--to", "csv").code == 0


def test_a_schedule_in_the_folder_of_a_run_must_be_what_that_run_found(lrctl: Lrctl, place: Path) -> None:
    mine, other = (place / "runs" / name / "schedule.json" for name in ("mine", "other"))
    assert lrctl("export", mine, "--to", "csv").code == 0
    swapped(mine, other)
    done = lrctl("export", mine, "--to", "csv")
    assert (done.code, done.out) == (2, "")
    assert f"{mine}: it is not the schedule that the run in this folder found" in done.error
    with pytest.raises(package.errors.UsageError, match="is not the schedule that the run"):
        package.load_schedule(mine)


# Documents that were signed again, with a field replaced or left out

VALUES: tuple[Any, ...] = (None, True, -1, 0, 10**12, 2**70, 0.5, "", "x", [], {}, [[]], {"a": [1]})


@pytest.mark.parametrize("file", ["result.json", "identity.json", "schedule.json", "environment.json"])
def test_a_field_of_another_kind_is_no_fault_of_lrctl(file: str, lrctl: Lrctl, place: Path) -> None:
    path, draw = place / "runs" / "mine" / file, random.Random(1)
    whole = read_signed(path)
    assert whole is not None
    everything = [*places(whole)]
    for where in draw.sample(everything, min(len(everything), 12)):
        spoilt = json.loads(json.dumps(whole))
        inner = spoilt
        for step in where[:-1]:
            inner = inner[step]
        value = draw.choice((*VALUES, ...))
        if value is ...:
            del inner[where[-1]]
        else:
            inner[where[-1]] = value
        write_signed(path, spoilt)
        for command in (*commands("mine")[:3], "runs", "gc"):
            with case(where=where, value=value, command=command):
                done = lrctl(*command.split())
                assert "a fault in lrctl" not in done.err


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a JSON value something stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, item in inner for path in ((*at, key), *places(item, (*at, key)))]
