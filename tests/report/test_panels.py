"""Which methods are drawn together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import TrainedRun
from lrctl.report.compare import Comparison, Method
from lrctl.report.curves import Curve
from lrctl.report.panels import panels
from lrctl.report.runs import Run


def method(label: str) -> Method:
    """A method called `optimizer schedule`."""
    optimizer, schedule = label.split()
    entry = TrainedRun(label, ScheduleRecord(schedule, {}), "key", 1.0, 1.0, 1.0, 1.0, seed=0, optimizer=optimizer)
    run = SimpleNamespace(result=SimpleNamespace(reference=None))
    return Method(label, (Curve(cast("Run", run), label, entry),))


TOGETHER: dict[str, tuple[list[str], str, dict[str, list[str]]]] = {
    "one optimizer": (["a greedy", "a linear"], "a linear", {"": ["a greedy", "a linear*"]}),
    "one method": (["a greedy"], "a greedy", {"": ["a greedy*"]}),
    "one method with each": (["a greedy", "b greedy"], "a greedy", {"": ["a greedy*", "b greedy"]}),
    "several with one only": (
        ["a greedy", "a linear", "b greedy"],
        "a greedy",
        {"": ["a greedy*", "a linear", "b greedy"]},
    ),
    "several with two": (
        ["a linear", "a greedy", "b linear", "b greedy", "c linear"],
        "a greedy",
        {"a": ["a linear", "a greedy*"], "b": ["b linear", "b greedy*"], "c": ["c linear*"]},
    ),
    "the reference's schedule is nowhere else": (
        ["a wsd", "b greedy", "a linear", "b linear"],
        "a wsd",
        {"a": ["a wsd*", "a linear"], "b": ["b greedy*", "b linear"]},
    ),
}


@pytest.mark.parametrize(("labels", "reference", "expected"), TOGETHER.values(), ids=TOGETHER)
def test_a_row_for_each_optimizer_where_two_have_several_methods(
    labels: list[str], reference: str, expected: dict[str, list[str]]
) -> None:
    methods = tuple(map(method, labels))
    of = next(each for each in methods if each.label == reference)
    found = panels(Comparison((), methods, of, (), ()))
    assert {
        panel.optimizer: [each.label + "*" * (each is panel.reference) for each in panel.methods] for panel in found
    } == expected
