"""How long a search takes, told from its first job."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch
from lrctl.engine import timing
from lrctl.engine.prepare import prepare
from lrctl.engine.timing import seconds_alone, seconds_per_step
from searches import found, search, smoke

RAMP = PiecewiseLinear(((0, 0.0), (10, 1e-3)))


@pytest.mark.parametrize(
    ("jobs", "seconds"),
    [
        ([SegmentJob(0, 10, RAMP)] * 3, 2 * 30 * 4),
        ([SegmentJob(0, 40, RAMP)] * 3, 2 * 120),
        ([SegmentJob(20, 30, RAMP), SegmentJob(20, 25, RAMP)], 2 * 15 * 4),
        ([SegmentJob(0, 0, RAMP), SegmentJob(0, 20, RAMP)], 2 * 20 * 2),
        ([SegmentJob(40, 40, RAMP)], 0),
    ],
    ids=["a first quarter", "whole runs", "a later quarter", "an evaluation", "nothing trained"],
)
def test_a_search_is_taken_to_go_on_as_it_begins(
    jobs: list[SegmentJob], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "seconds_per_step", lambda *_: 2.0)
    assert seconds_alone(prepare(smoke()), Batch("first", jobs), 40) == seconds


@pytest.mark.parametrize(("taken", "least"), [([0.2, 0.1, 0.1, 0.05, 9.0], 0.05), ([0.3, 0.4, 9.0], 0.3), ([0.6], 0.6)])
def test_a_step_takes_what_the_fastest_of_a_few_took(
    taken: list[float], least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = list(accumulate(taken))
    clock: Iterator[float] = iter([0.0, *(now for end in ends for now in (end, end))])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert seconds_per_step(prepare(smoke()), SegmentJob(0, 10, RAMP)) == pytest.approx(least)


BROKEN = """
class Net:
    def __init__(self, seed): pass
    def model(self): raise ValueError("no")
    batch = loss = evaluate = model
"""


def test_a_job_that_fails_takes_no_time(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    spec = prepare(smoke(workload__name=f"{tmp_path}/mine.py:Net", optimizer__name="adamw"))
    assert seconds_per_step(spec, SegmentJob(0, 10, RAMP)) == 0.0


def test_timing_changes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = search(tmp_path / "alone", smoke(executor__name="serial"))
    asked: list[float] = []

    def seconds(*given: object) -> float:
        asked.append(seconds_alone(*given))  # type: ignore[arg-type]
        return 0.0

    monkeypatch.setattr("lrctl.engine.run.seconds_alone", seconds)
    timed = search(tmp_path / "timed", smoke(executor__name="auto"))
    assert asked[0] > 0
    assert found(timed) == found(alone)


def test_nothing_is_compiled_to_time_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrctl.training.trainer.Compiled", lambda *_: pytest.fail("compiled"))
    assert seconds_per_step(prepare(smoke(training__compile=True)), SegmentJob(0, 10, RAMP)) > 0
