"""What is known is not trained again: finished searches, jobs of others, a search that was stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.session.interrupted import stop_at
from lrctl.errors import UsageError
from searches import facts, found, search, settled, small


def test_a_finished_search_is_answered_at_once(place: Path) -> None:
    first = search(place)
    before = {folder: facts(place, folder) for folder in ("jobs", "losses", "checkpoints")}
    assert search(place) == first
    assert {folder: facts(place, folder) for folder in before} == before


def test_a_fresh_search_trains_everything_and_finds_the_same(place: Path, reference: dict[str, Any]) -> None:
    search(place)
    before = facts(place)
    assert settled(search(place, fresh=True)) == settled(reference)
    after = facts(place)
    assert after.keys() == before.keys()
    assert all(after[name][:2] != before[name][:2] for name in before)


def test_jobs_of_other_searches_are_not_trained_again(place: Path, reference: dict[str, Any]) -> None:
    search(place, command="local")
    before = facts(place)
    document = search(place)
    assert found(document) == found(reference)
    assert document["cost"]["jobs_reused"] == 7, "segments 1 and 2: until then the paths are one"
    assert document["cost"]["steps_trained"] == 32 + 16, "two more for the checkpoint that local search dropped"
    assert sum(facts(place)[name] != before[name] for name in before) == 2


def test_a_name_stands_for_one_set_of_settings(place: Path) -> None:
    search(place, name="mine")
    with pytest.raises(UsageError, match="--name mine: this run was made with other settings"):
        search(place, small(training__seed=1), name="mine")
    assert search(place, small(training__seed=1), name="mine", fresh=True)["seed"] == 1


@pytest.mark.parametrize("name", ["../..", ".."])
def test_a_fresh_search_deletes_nothing_outside_its_own_run(place: Path, name: str) -> None:
    search(place)
    before = facts(place)
    with pytest.raises(UsageError, match="must be the name of one folder"):
        search(place, name=name, fresh=True)
    assert facts(place) == before


def test_a_search_that_was_stopped_goes_on(place: Path, reference: dict[str, Any], watch: Callable[..., None]) -> None:
    watch(before_batch=stop_at(3))
    with pytest.raises(KeyboardInterrupt):
        search(place)
    before = facts(place)
    assert len(before) == 7
    assert settled(search(place)) == settled(reference)
    assert {name: facts(place)[name] for name in before} == before
