"""What methods are called."""

from __future__ import annotations

from typing import Any, cast

import pytest

from comparisons import a_result
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import TrainedRun
from lrctl.errors import UsageError
from lrctl.report.curves import Curve
from lrctl.report.labels import labelled, setting_text
from lrctl.report.runs import Run
from lrctl.storage.identity import RunIdentity
from lrctl.storage.runs import FinishedRun


def a_run(name: str, command: str = "semilocal", seed: int = 0, weight_decay: float = 0.1, **strategy: Any) -> Run:
    finished = FinishedRun(cast("Any", None), name, a_result(run=name, command=command, seed=seed))
    identity = RunIdentity(command, 1, None, None, {}, {}, {}, {}, strategy)
    return Run(finished, identity, strategy, {}, {"optimizer.weight_decay": weight_decay})


def labels(*runs: Run, entries: dict[str, list[str]] | None = None) -> list[str]:
    """The labels of these runs' curves; a run stands for itself unless it has entries."""
    curves = [
        Curve(
            run,
            entry,
            TrainedRun(entry, ScheduleRecord("wsd", {}), f"{run.name} {run.command} {i}", *(1.0, 1.0, 1.0, 1.0)),
        )
        for run in runs
        for i, entry in enumerate((entries or {}).get(run.name, [""]))
    ]
    return [curve.label for curve in labelled(curves, runs)]


RUNS = {
    "what is at its default goes without saying": ([a_run("a", eps=0.48, decay=False, grid_size=10)], ["semilocal"]),
    "what is not is named": (
        [a_run("a", eps=0.1, decay=True, grid=[0.1, 0.01])],
        ["semilocal eps=0.1 decay grid=0.1,0.01"],
    ),
    "what differs is named even at its default": (
        [a_run("a", eps=0.48, decay=False), a_run("b", eps=0.1, decay=True)],
        ["semilocal eps=0.48", "semilocal eps=0.1 decay"],
    ),
    "what commands have in common is left out": (
        [a_run("a", eps=0.1, segments=4), a_run("b", "local", segments=4), a_run("c", "baseline", segments=7)],
        ["semilocal eps=0.1", "local", "baseline segments=7"],
    ),
    "a switch that is off leaves no space behind": (
        [a_run("a", weight_decay=False), a_run("b", weight_decay=True)],
        ["semilocal", "semilocal weight_decay"],
    ),
    "seeds share a label": ([a_run("a"), a_run("b", seed=1)], ["semilocal", "semilocal"]),
    "another optimizer is another method": (
        [a_run("a"), a_run("b", weight_decay=0.0)],
        ["semilocal weight_decay=0.1", "semilocal weight_decay=0"],
    ),
    "the schedule given is another one on each seed": (
        [a_run("a", "fit-closed-form", source="x", top=5), a_run("b", "fit-closed-form", 1, source="y", top=5)],
        ["fit-closed-form top=5", "fit-closed-form top=5"],
    ),
    "two schedules given on one seed": (
        [a_run("a", "fit-closed-form", source="x"), a_run("b", "fit-closed-form", source="y")],
        ["fit-closed-form source=x", "fit-closed-form source=y"],
    ),
    "a strategy that is not installed any more": ([a_run("a", "gone", depth=3)], ["gone depth=3"]),
}


@pytest.mark.parametrize(("runs", "expected"), RUNS.values(), ids=RUNS)
def test_a_run_is_called_by_its_command_and_by_what_tells_it_apart(runs: list[Run], expected: list[str]) -> None:
    assert labels(*runs) == expected


TUNED = {
    "families by themselves": (
        [a_run("a", "baseline"), a_run("b", "baseline", 1)],
        {"a": ["wsd", "cosine"], "b": ["wsd"]},
        ["wsd", "cosine", "wsd"],
    ),
    "what was tuned beside them says nothing of how": (
        [a_run("a", "baseline", family=["wsd", "cosine"]), a_run("b", "baseline", 1, family=["wsd"])],
        {"a": ["wsd", "cosine"], "b": ["wsd"]},
        ["wsd", "cosine", "wsd"],
    ),
    "one family tuned in other ways on other seeds": (
        [
            a_run("a", "baseline", grid=[0.1, 0.3], metric="validation", refine=1),
            a_run("b", "baseline", 1, grid=[0.001], metric="train", refine=1),
        ],
        {"a": ["wsd", "cosine"], "b": ["wsd"]},
        ["wsd (baseline grid=0.1,0.3 metric=validation)", "cosine", "wsd (baseline grid=0.001 metric=train)"],
    ),
    "one family from other commands on other seeds": (
        [a_run("a", "baseline"), a_run("b", "fit-closed-form", 1)],
        {"a": ["wsd"], "b": ["wsd"]},
        ["wsd (baseline)", "wsd (fit-closed-form)"],
    ),
    "the schedule given is another one on each seed": (
        [a_run("a", "fit-closed-form", source="x" * 99), a_run("b", "fit-closed-form", 1, source="y" * 99)],
        {"a": ["found"], "b": ["found"]},
        ["found", "found"],
    ),
    "two schedules given on one seed": (
        [a_run("a", "fit-closed-form", source="x"), a_run("b", "fit-closed-form", source="y")],
        {"a": ["found"], "b": ["found"]},
        ["found (fit-closed-form source=x)", "found (fit-closed-form source=y)"],
    ),
    "one family from two commands": (
        [a_run("a", "baseline"), a_run("b", "baseline", 1), a_run("c", "fit-closed-form")],
        {"a": ["wsd", "triangle"], "b": ["triangle"], "c": ["triangle"]},
        ["wsd", "triangle (baseline)", "triangle (baseline)", "triangle (fit-closed-form)"],
    ),
    "one family from two runs of a command": (
        [a_run("a", "baseline", metric="train"), a_run("b", "baseline", metric="validation")],
        {"a": ["wsd"], "b": ["wsd", "cosine"]},
        ["wsd (baseline metric=train)", "wsd (baseline metric=validation)", "cosine"],
    ),
}


@pytest.mark.parametrize(("runs", "entries", "expected"), TUNED.values(), ids=TUNED)
def test_a_result_is_called_by_its_family_as_long_as_that_is_enough(
    runs: list[Run], entries: dict[str, list[str]], expected: list[str]
) -> None:
    assert labels(*runs, entries=entries) == expected


def test_a_method_is_there_once_per_seed() -> None:
    with pytest.raises(UsageError, match=r"^runs a and b: semilocal is there twice with seed 0; a method is compared"):
        labels(a_run("a"), a_run("b"))
    with pytest.raises(UsageError, match=r"^run a: wsd \(baseline\) is there twice with seed 0"):
        labels(a_run("a", "baseline"), entries={"a": ["wsd", "wsd"]})


@pytest.mark.parametrize(
    ("value", "default", "text"),
    [(True, False, "on"), (False, True, "on=off"), (False, False, ""), (None, 1, "on=none"), (1e-05, 1, "on=1e-05")],
    ids=str,
)
def test_a_setting_is_spelt_as_briefly_as_it_can_be(value: Any, default: Any, text: str) -> None:
    assert setting_text("on", value, default) == text
