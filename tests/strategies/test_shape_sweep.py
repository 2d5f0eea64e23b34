"""Is the best shape near-optimal? One parameter at a time is changed, with the base LR tuned anew."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lrctl.contracts.strategy import SearchResult
from lrctl.testing import run_spec
from strategies.shape_landscapes import STEPS, at_one, bowl, jobs, off_lr, searched, seed_of, setting

WARMUP: dict[str, Any] = {"family": ("rex:b=0.5",), "sweep": 4}
"""A family with one free parameter, at 0, 0.1, 0.2 and 0.3 in a sweep."""


def points(found: SearchResult) -> dict[float, Any]:
    (sweep,) = setting(found)["sweeps"]
    return {round(point["value"], 9): point for point in sweep["points"]}


def test_a_parameter_that_was_not_optimal_is_found_better() -> None:
    found, _ = searched(bowl(warmup=0.3), **WARMUP, shapes=1)
    assert [value for value, point in points(found).items() if point["better"]] == [0.1, 0.2, 0.3]
    assert points(found)[0.3]["difference"] == pytest.approx(-abs(0.3 - found.schedule.warmup))
    assert setting(found)["near_optimal"] is False
    (table,) = (table for table in found.tables if table.caption == "One parameter at a time")
    assert (table.rows[0][0], table.rows[0][3], table.rows[0][-1]) == ("warmup", "0.3", "better")
    assert table.notes[-1].startswith("A change of one parameter is better beyond the error")


def test_a_shape_at_the_optimum_is_near_optimal() -> None:
    best = searched(bowl(), **WARMUP, shapes=1)[0].schedule.warmup
    found, _ = searched(bowl(warmup=best), **WARMUP, shapes=1)
    assert not any(point["better"] for point in points(found).values())
    assert setting(found)["near_optimal"] is True
    assert found.tables[-1].notes[-1].startswith("No change of one parameter was shown to be better")


def noisy(spread: float) -> Any:
    """A landscape on which a warmup of 0.3 is 0.1 better on average, with noise that no seed shares."""
    return lambda s, seed: 1 + off_lr(s) - (0.1 + spread * math.sin(7 * seed)) * (s.warmup == 0.3)


@pytest.mark.parametrize(("spread", "better"), [(0.0, True), (0.01, True), (1.0, False)])
def test_better_is_what_is_better_beyond_the_error(spread: float, better: bool) -> None:
    found, _ = searched(noisy(spread), **WARMUP, shapes=1, fresh_seeds=5)
    point = points(found)[0.3]
    assert point["better"] == better
    assert setting(found)["near_optimal"] == (not better)
    low, high = point["interval"]
    assert low <= point["difference"] <= high
    assert (high < 0) == better


def test_p_is_corrected_for_the_number_of_values_tried() -> None:
    leads = {3: 0.35, 4: 0.5, 5: 0.65}
    found, _ = searched(lambda s, seed: 1 + off_lr(s) - (s.warmup == 0.3) * leads.get(seed, 0.0), **WARMUP, shapes=1)
    point = points(found)[0.3]
    assert point["p"] == pytest.approx(len(points(found)) * 0.0287, abs=4e-4)
    assert not point["better"]


def test_the_base_lr_is_tuned_anew_at_each_value() -> None:
    """Where the best base LR moves with the parameter, by more than the grid's factor."""
    found, _ = searched(lambda s, _: 1 + off_lr(s, 1e-2 * 10 ** round(10 * s.warmup)), **WARMUP, shapes=1, top=1)
    assert {value: point["base_lr"] for value, point in points(found).items()} == {
        0.0: pytest.approx(1e-2), 0.1: pytest.approx(1e-1), 0.2: pytest.approx(1.0), 0.3: pytest.approx(10.0)
    }  # fmt: skip
    assert all(point["loss"] == pytest.approx(1.0) for point in points(found).values())


def test_a_sweep_uses_the_fresh_seeds_and_begins_at_the_base_lr_that_was_ranked() -> None:
    """The fresh seeds alone would prefer another base LR than the one that is handed over."""
    found, batches = searched(
        lambda s, seed: 1 + off_lr(s, 1e-2 if seed < 3 else 1e-1), **WARMUP, shapes=1, fresh_seeds=9
    )
    assert found.schedule.peak_lr == 1e-2
    first = batches[2]
    assert {job.schedule.peak_lr for job in jobs([first])} == {1e-3, 1e-2, 1e-1}
    assert {seed_of(job, run_spec(STEPS)) for job in first.jobs} == set(range(3, 12))
    assert {point["base_lr"] for point in points(found).values()} == {1e-1}


def test_each_searched_parameter_is_swept_on_its_own() -> None:
    found, batches = searched(bowl(), sweep=3)
    assert [each["parameter"] for each in setting(found)["sweeps"]] == ["warmup", "b"]
    best = at_one(found.schedule)
    swept = {at_one(job.schedule) for job in jobs(batches[2:])} - {best}
    assert all((shape.warmup == best.warmup) != (shape.b == best.b) for shape in swept)
    assert len(swept) == 6


def test_with_one_fresh_seed_no_error_is_known_and_nothing_is_said() -> None:
    found, _ = searched(bowl(warmup=0.3), **WARMUP, shapes=1, fresh_seeds=1)
    assert setting(found)["near_optimal"] is None
    assert not any(point["better"] for point in points(found).values())
    assert found.tables[-1].notes[-1].startswith("The error is not known")


def test_a_winner_that_diverged_once_is_not_beaten_by_that_alone() -> None:
    found, _ = searched(
        lambda s, seed: math.inf if seed == 3 and s.warmup not in (0.0, 0.3) else 1 + off_lr(s), **WARMUP, shapes=1
    )
    assert not points(found)[0.3]["better"]
    assert points(found)[0.3]["difference"] == math.inf


def test_values_that_come_to_the_same_shape_are_tried_once() -> None:
    """In 10 steps warmups of 0 and 7.5 % are none, and so is one where the whole range is at most one step."""
    found, _ = searched(bowl(), run_spec(10), **WARMUP | {"sweep": 5}, shapes=1)
    assert len(points(found)) == len(setting(found)["sweeps"][0]["points"])
    none, _ = searched(bowl(), run_spec(3), **WARMUP, shapes=1)
    assert (setting(none)["sweeps"], setting(none)["near_optimal"]) == ([], None)


def test_no_sweep_is_made_where_it_is_off_or_there_is_nothing_to_change() -> None:
    for params in ({"sweep": 0}, {"family": ("triangle",), "sweep": 5}):
        found, batches = searched(bowl(), **params)
        assert (setting(found)["sweeps"], setting(found)["near_optimal"], len(batches)) == ([], None, 2)
