"""What a dry run tells of a search is what the search then takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lrctl.planning.estimate import estimate
from lrctl.planning.profile import Measured
from searches import facts, search, small, smoke


@pytest.mark.parametrize("made", ["nothing", "a folder", "a store"])
def test_an_estimate_tells_jobs_and_steps_and_writes_nothing(made: str, place: Path, tmp_path: Path) -> None:
    if made == "a folder":
        place.mkdir()
    if made == "a store":
        search(place, smoke(), command="local")
    before = sorted(tmp_path.rglob("*"))
    told = estimate("semilocal", smoke(), store=place)
    assert sorted(tmp_path.rglob("*")) == before
    assert (told["jobs_known"] > 0) is (made == "a store")
    cost = search(place, smoke())["cost"]
    assert told["jobs"] == cost["jobs"]
    assert told["steps"] == 40 * told["full_runs"] == 270


def test_an_estimates_disk_holds_the_search(place: Path, watch: Callable[..., None]) -> None:
    told = estimate("semilocal", small(), store=place)
    counts: list[int] = []
    watch(after_job=lambda _: counts.append(len(facts(place, "checkpoints"))))
    search(place)
    assert told["peak_disk_bytes"] == max(counts) * told["checkpoint_bytes"]


def test_an_estimate_counts_the_run_that_is_trained_again_for_its_checkpoint(place: Path) -> None:
    axes = {"strategy__baseline__family": ["wsd"], "strategy__baseline__axis": ["warmup=0.1", "decay=0.3"]}
    recipe = smoke(strategy__baseline__grid=[3e-4], **axes)
    told = estimate("baseline", recipe, store=place)
    cost = search(place, recipe, command="baseline")["cost"]
    assert told["jobs"] == cost["jobs"]
    assert told["steps"] == cost["steps_trained"]


def test_a_run_that_is_alone_is_trained_once(place: Path) -> None:
    recipe = smoke(strategy__baseline__family=["constant"], strategy__baseline__grid=[0.1])
    told = estimate("baseline", recipe, store=place)
    cost = search(place, recipe, command="baseline")["cost"]
    assert (told["steps"], cost["steps_trained"]) == (40, 40)


def test_an_estimate_counts_the_comparisons_of_averages(place: Path) -> None:
    axes = {"strategy__baseline__family": ["wsd"], "strategy__baseline__axis": ["warmup=0.1", "decay=0.3"]}
    recipe = smoke(strategy__baseline__grid=[3e-4], training__averaging=(4.0,), **axes)
    told = estimate("baseline", recipe, store=place)
    cost = search(place, recipe, command="baseline")["cost"]
    assert told["forwards"] == cost["extra_forwards"] + cost["scored_batches"]
    assert told["full_runs"] == pytest.approx(cost["full_runs"])
    assert min(cost["extra_forwards"], cost["scored_batches"]) > 0


def test_an_estimate_s_time_counts_what_evaluating_takes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrctl.planning.estimate.probe", lambda *_, **__: Measured(0.0, 2.0, 1, 1))
    axes = {"strategy__baseline__family": ["triangle"], "strategy__baseline__grid": [1e-4, 3e-4, 1e-3]}
    told = estimate("baseline", smoke(executor__name="serial", **axes), store=place)
    assert told["seconds"] == 2.0 * (3 + 1)  # each run, and what is handed over


def test_a_finished_search_is_found_without_beginning_it_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = search(place, small())
    monkeypatch.setattr("lrctl.engine.run.advance", lambda _: pytest.fail("the search began again"))
    assert search(place, small()) == first
    with pytest.raises(pytest.fail.Exception):
        search(place, small(training__seed=1))
