"""The tables that strategies show people of what they tuned or fitted."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import TrainedRun
from lrctl_strategies.closed_form.search import closed_forms
from lrctl_strategies.tuning.side_by_side import best_of_each


def entry(family: str, *, given: bool = False, **params: Any) -> TrainedRun:
    """An entry of the results."""
    return TrainedRun("a name", ScheduleRecord(family, params), None, 1.5, math.nan, 1.25, full_runs=4, given=given)


PARAMETERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "numbers as they are": (
        "wsd",
        {"steps": 40, "peak_lr": 0.123456, "warmup": 0.1, "cooldown": "linear", "lengths": "fraction"},
        "peak_lr=0.1235 warmup=0.1",
    ),
    "lengths in steps, and words": (
        "wsd",
        {"steps": 40, "peak_lr": 0.3, "warmup": 4, "decay": 8, "cooldown": "1-sqrt", "lengths": "steps"},
        "peak_lr=0.3 warmup=4 decay=8 cooldown=1-sqrt lengths=steps",
    ),
    "knots by their peak": ("piecewise-linear", {"knots": [[0, 0.0], [5, 0.25], [40, 0.0]]}, "peak_lr=0.25"),
}


@pytest.mark.parametrize(("family", "params", "expected"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters_that_tell_a_schedule_from_its_family(family: str, params: dict[str, Any], expected: str) -> None:
    table = best_of_each([entry(family, **params)])
    assert dict(zip(table.columns, table.rows[0], strict=True)) == {
        "schedule": "a name",
        "parameters": expected,
        "train loss": "1.5000",
        "validation loss": "not finite",
        "test loss": "1.2500",
        "full runs": "4.0",
    }


COST = "Full runs: what its grid search took"


@pytest.mark.parametrize(
    ("given", "said"),
    [(False, f"{COST}."), (True, f"{COST}, without what led to the schedule that was given.")],
    ids=["tuned", "given"],
)
def test_the_cost_of_tuning_says_what_it_leaves_out(given: bool, said: str) -> None:
    assert best_of_each([entry("wsd", given=given)], ["And more."]).notes == (said, "And more.")


FIT = {"family": "wsd", "params": {"peak_lr": 0.123456, "warmup": 4}, "error": 0.25, "parameters": 2}
FITTED = {"fitted": ["peak_lr", "warmup"]}


@pytest.mark.parametrize(
    ("bound", "head", "row", "notes"),
    [
        ({}, ("error",), ("0.2500",), 2),
        ({"bound": 1.5}, ("bound", "error"), ("1.5000", "0.2500"), 4),
    ],
    ids=["fitted", "predicted"],
)
def test_a_bound_is_told_and_explained_where_there_is_one(
    bound: dict[str, float], head: tuple[str, ...], row: tuple[str, ...], notes: int
) -> None:
    table = closed_forms([FIT | FITTED | bound])
    assert table.columns == ("family", *head, "parameters", "fitted")
    assert table.rows == (("wsd", *row, "2", "peak_lr=0.1235 warmup=4"),)
    assert len(table.notes) == notes
