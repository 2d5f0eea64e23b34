"""What was changed, cut, swapped or taken away is noticed by every command that reads it, and made again by its own."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

import lrctl as package
import searches
from cases import case
from command_line import Lrctl
from damages import (
    FILES,
    OTHER,
    Damage,
    a_folder,
    check_it_stops_no_other,
    commands,
    cut,
    emptied,
    flipped,
    removed,
    swapped,
)
from lrctl.storage import listing
from lrctl.storage.runs import FinishedRun, defects
from lrctl.storage.store import Store
from searches import small
from storages import few_elsewhere, forget_copies, raw

DAMAGES = [cut, emptied, removed, swapped, a_folder, flipped]
FEW = [emptied, a_folder]


@few_elsewhere("damage", DAMAGES, FEW)
@pytest.mark.parametrize("file", ["recipe.toml", "schedule.json"])
def test_damage_is_told_by_every_command_and_mended_by_the_runs_own(
    file: str, damage: Damage, lrctl: Lrctl, searched: Path | str
) -> None:
    path, other = (raw(searched) / "runs" / name / file for name in ("mine", "other"))
    before, cost = path.read_bytes(), searches.search(searched, name="mine")["cost"]
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
    again = searches.search(searched, name="mine")
    assert (path.read_bytes(), again["cost"] | {"seconds": 0}) == (before, cost | {"seconds": 0})
    assert listing.runs(Store(searched))[1]["defects"] == []


@few_elsewhere("damage", [cut, emptied, removed, swapped], [removed])
def test_a_checkpoint_that_was_handed_over_is_looked_at_too(damage: Damage, lrctl: Lrctl, searched: Path | str) -> None:
    first = searches.search(searched, name="mine")
    other = searches.search(searched, small(**OTHER), name="other")
    damage(checkpoint_of(searched, first), checkpoint_of(searched, other))
    assert listing.runs(Store(searched))[1]["defects"] == ["checkpoint"]
    for command in commands("mine"):
        done = lrctl(*command.split())
        assert done.code == 0
        assert "warning: run mine: missing or damaged: checkpoint; " in done.err, command
    assert searches.found(searches.search(searched, name="mine")) == searches.found(first)
    package.load_weights(first["files"]["checkpoint"])
    assert listing.runs(Store(searched))[1]["defects"] == []


def test_a_bit_in_the_tensors_of_a_checkpoint_is_noticed_by_the_same_command(searched: Path | str) -> None:
    first = searches.search(searched, name="mine")
    change_the_last_bit(searched, first)
    again = searches.search(searched, name="mine")
    assert searches.found(again) == searches.found(first)
    package.load_weights(first["files"]["checkpoint"])


def change_the_last_bit(store: Path | str, document: dict[str, Any]) -> None:
    """Damage the checkpoint that a run handed over, for a machine that has not fetched it."""
    path = checkpoint_of(store, document)
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    forget_copies()


@few_elsewhere("damage", [cut, emptied, removed], [emptied, removed])
@pytest.mark.parametrize("what", ["checkpoint", "schedule"])
def test_whoever_reads_a_file_of_a_run_is_told_of_that_and_not_of_a_copy(
    what: str, damage: Damage, lrctl: Lrctl, searched: Path | str
) -> None:
    first = searches.search(searched, name="mine")
    where = first["files"][what]
    damage(raw(searched).joinpath(*where.removeprefix(f"{searched}/").split("/")), None)
    with pytest.raises(package.errors.LrctlError, match=f"^(checkpoint )?{re.escape(where)}:? "):
        package.load_weights(where) if what == "checkpoint" else package.load_schedule(where)
    if what == "schedule":
        done = lrctl("export", where, "--to", "csv")
        assert (done.code, done.error.startswith(f"error: {where}: ")) == (2, True)


def checkpoint_of(store: Path | str, document: dict[str, Any]) -> Any:
    return raw(store) / "checkpoints" / f"{document['checkpoint']}.safetensors"


@few_elsewhere("file", FILES, ["recipe.toml"])
def test_no_flipped_bit_in_a_file_of_a_run_is_silent(file: str, searched: Path | str) -> None:
    store, draw = Store(searched), random.Random(0)
    result = store.runs.result("mine")
    assert result is not None

    def told() -> Any:
        schedule = store.read_signed("runs/mine/schedule.json")
        return store.runs.identity("mine"), store.runs.recipe("mine"), store.runs.environment("mine"), schedule

    sound, run = (result, *told()), FinishedRun(store, "mine", result)
    path = raw(searched) / "runs" / "mine" / file
    whole, flips = path.read_bytes(), 400 if isinstance(searched, Path) else 40
    for at in sorted(draw.sample(range(len(whole)), min(len(whole), flips))):
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << draw.randrange(8)
        path.write_bytes(spoilt)
        with case(file=file, at=at):
            if (store.runs.result("mine"), *told()) != sound:
                noticed = store.runs.result("mine") is None if file == "result.json" else bool(defects(run))
                assert noticed


def test_a_result_that_cannot_be_read_is_damaged_and_not_unfinished(lrctl: Lrctl, searched: Path | str) -> None:
    checkpoint = checkpoint_of(searched, searches.search(searched, name="mine"))
    removed_run = Store(searched)
    cut(raw(searched) / "runs" / "mine" / "result.json", None)
    assert [row["status"] for row in lrctl("runs", "--json").document["runs"]] == ["finished", "damaged"]
    done = lrctl("gc", "--json")
    assert (done.code, done.document["damaged"]) == (0, ["mine"])
    assert "warning: run mine: its result.json is damaged, so what it may hand over stays" in done.err
    assert checkpoint.exists()
    removed_run.runs.take_away("mine")
    assert lrctl("gc", "--json").document["damaged"] == []
    assert not checkpoint.exists()


@few_elsewhere("damage", [cut, emptied, flipped], [emptied])
@pytest.mark.parametrize("file", ["recipe.toml", "environment.json", "identity.json"])
def test_damage_of_a_run_that_is_not_finished_is_told_too(
    file: str, damage: Damage, lrctl: Lrctl, searched: Path | str
) -> None:
    first = searches.search(searched, name="mine")
    folder = raw(searched) / "runs" / "mine"
    (folder / "result.json").unlink()
    damage(folder / file, None)
    listed = lrctl("runs", "--json")
    assert [(row["status"], row["defects"]) for row in listed.document["runs"] if row["run"] == "mine"] == [
        ("damaged", [file])
    ]
    assert f"warning: run mine: missing or damaged: {file}; the command that made it" in listed.error
    assert searches.found(searches.search(searched, name="mine")) == searches.found(first)
    assert {row["run"]: row["status"] for row in listing.runs(Store(searched))}["mine"] == "finished"


def test_a_search_that_is_continued_hands_over_no_damaged_checkpoint(searched: Path | str) -> None:
    first = searches.search(searched, name="mine")
    change_the_last_bit(searched, first)
    (raw(searched) / "runs" / "mine" / "result.json").unlink()
    assert searches.found(searches.search(searched, name="mine")) == searches.found(first)
    package.load_weights(first["files"]["checkpoint"])


@few_elsewhere("file", FILES, ["result.json"])
def test_one_run_whose_document_is_too_deep_stops_no_other(file: str, lrctl: Lrctl, searched: Path | str) -> None:
    (raw(searched) / "runs" / "mine" / file).write_text('{"a":' * 100_000)
    check_it_stops_no_other(file, lrctl)


# schedule.json by hand


def test_a_schedule_of_ones_own_needs_no_digest_but_a_changed_one_of_lrctl_is_refused(
    lrctl: Lrctl, searched: Path | str, tmp_path: Path
) -> None:
    document = json.loads((raw(searched) / "runs" / "mine" / "schedule.json").read_text())
    document["steps"] += 1
    (tmp_path / "s.json").write_text(json.dumps(document))
    done = lrctl("export", "s.json", "--to", "csv")
    assert (done.code, done.out) == (2, "")
    assert "s.json: it is not what was written: its digest does not match" in done.error
    del document["digest"]
    (tmp_path / "s.json").write_text(json.dumps(document))
    assert lrctl("export", "s.json", "--to", "csv").code == 0


def test_a_schedule_in_the_folder_of_a_run_must_be_what_that_run_found(lrctl: Lrctl, searched: Path | str) -> None:
    mine, other = (f"runs/{name}/schedule.json" for name in ("mine", "other"))
    path = f"{searched}/{mine}"
    assert lrctl("export", path, "--to", "csv").code == 0
    swapped(raw(searched) / mine, raw(searched) / other)
    done = lrctl("export", path, "--to", "csv")
    assert (done.code, done.out) == (2, "")
    assert f"{path}: it is not the schedule that the run in this folder found" in done.error
    with pytest.raises(package.errors.UsageError, match="is not the schedule that the run"):
        package.load_schedule(path)


# Documents that were signed again, with a field replaced or left out

VALUES: tuple[Any, ...] = (None, True, -1, 0, 10**12, 2**70, 0.5, "", "x", [], {}, [[]], {"a": [1]})


@few_elsewhere("file", FILES[1:], [])
def test_a_field_of_another_kind_is_no_fault_of_lrctl(file: str, lrctl: Lrctl, searched: Path | str) -> None:
    store, name, draw = Store(searched), f"runs/mine/{file}", random.Random(1)
    whole = store.read_signed(name)
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
        store.write_signed(name, spoilt)
        for command in (*commands("mine")[:3], "runs", "gc"):
            with case(where=where, value=value, command=command):
                done = lrctl(*command.split())
                assert "a fault in lrctl" not in done.err


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a JSON value something stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, item in inner for path in ((*at, key), *places(item, (*at, key)))]
