"""What the tables say of stored results."""

from __future__ import annotations

from typing import Any

import pytest

from lrctl.report.tables import results


def document(family: str, *, origin: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    """A result document with one entry."""
    losses = {"train_loss": 1.5, "validation_loss": None, "eval_loss": 1.25}
    entry = {"name": "a name", "family": family, "params": params, "runs": 4, **(origin or {}), **losses}
    return {"results": [entry]}


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
    "a family that is not installed any more": ("gone", {"steps": 40, "peak_lr": 0.3, "odd": [1]}, "peak_lr=0.3"),
}


@pytest.mark.parametrize(("family", "params", "expected"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters_that_tell_a_schedule_from_its_family(family: str, params: dict[str, Any], expected: str) -> None:
    table = results(document(family, **params))
    assert dict(zip(table.columns, table.rows[0], strict=True)) == {
        "schedule": "a name",
        "parameters": expected,
        "train loss": "1.5000",
        "validation loss": "not finite",
        "test loss": "1.2500",
        "tuning runs": "4",
    }


@pytest.mark.parametrize(
    ("origin", "notes"),
    [
        ({}, ("Tuning runs: plain runs of its grid search.",)),
        (
            {"given": True},
            ("Tuning runs: plain runs of its grid search, without what led to the schedule that was given.",),
        ),
    ],
    ids=str,
)
def test_the_cost_of_tuning_says_what_it_leaves_out(origin: dict[str, Any], notes: tuple[str, ...]) -> None:
    assert results(document("wsd", origin=origin)).notes == notes
