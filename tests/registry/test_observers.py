"""An observer sees what happens, and nothing that it does changes it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import pytest

from command_line import Lrctl
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch
from lrctl.registry.observers import copied
from lrctl.testing import run_spec

Install = Callable[..., None]

SMOKE = ["local", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1", "--grid-size", "1", "--segments", "2"]

MEDDLER = """
from lrctl import hookimpl

def spoil(value, depth=4):
    if isinstance(value, dict):
        for item in value.values(): spoil(item, depth)
        value.clear()
    elif isinstance(value, list):
        for item in value: spoil(item, depth)
        value.clear()
    elif isinstance(value, tuple):
        for item in value: spoil(item, depth)
    elif type(value).__module__.startswith("lrctl.") and depth:
        for name in getattr(value, "__dataclass_fields__", ()):
            spoil(getattr(value, name), depth - 1)
            try: object.__setattr__(value, name, None)
            except AttributeError: pass  # a constant of the class

@hookimpl
def batch_started(batch, reused, run): spoil(batch); spoil(run)

@hookimpl
def job_finished(job, result): spoil(job); spoil(result)

@hookimpl
def search_finished(result): spoil(result)
"""

WATCHER = """
from lrctl import hookimpl

seen = []

@hookimpl
def batch_started(batch, reused, run): seen.append((batch.title, len(batch.jobs), run.steps))

@hookimpl
def job_finished(job, result): seen.append((job.start, job.stop, len(job.lrs), result.status, result.key))

@hookimpl
def search_finished(result): seen.append(result.to_json())
"""


def test_an_observer_that_empties_what_it_is_shown_changes_nothing(lrctl: Lrctl, installed: Install) -> None:
    sound = lrctl(*SMOKE, "--json", "--quiet", "--store", "sound").document
    installed(first=MEDDLER, second=WATCHER, third=MEDDLER)
    done = lrctl(*SMOKE, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    found = done.document
    for document in (sound, found):
        del document["cost"]["seconds"], document["files"], document["digest"]
    assert found == sound
    seen = sys.modules["second"].seen
    titles = [each[0].partition(",")[0] for each in seen if len(each) == 3]
    assert titles == ["segment 1 of 2", "segment 2 of 2", "for comparison", "held-out loss"]
    assert [each[:4] for each in seen if len(each) == 5][-1] == (40, 40, 0, "ok")
    assert seen[-1]["segments"] == sound["segments"]


@pytest.mark.parametrize("raised", ["SystemExit(3)", "BaseException('base')", "GeneratorExit()", "ValueError('x')"])
def test_whatever_an_observer_raises_is_a_warning(raised: str, lrctl: Lrctl, installed: Install) -> None:
    hooks = ("batch_started", "job_finished", "search_finished")
    failing = "".join(f"@hookimpl\ndef {hook}(): raise {raised}\n" for hook in hooks)
    installed(leaving="from lrctl import hookimpl\n" + failing, watcher=WATCHER)
    done = lrctl(*SMOKE, "--quiet", "--json")
    assert done.code == 0
    for hook in hooks:
        assert f"warning: plugin leaving: its observer {hook} failed: {raised.partition('(')[0]}" in done.err
    assert sys.modules["watcher"].seen[-1]["run"] == done.document["run"]


def test_an_interrupt_in_an_observer_is_an_interrupt(lrctl: Lrctl, installed: Install) -> None:
    installed(slow="from lrctl import hookimpl\n@hookimpl\ndef job_finished(): raise KeyboardInterrupt")
    assert lrctl(*SMOKE, "--quiet").code == 130


def test_what_an_observer_prints_gets_into_no_document(lrctl: Lrctl, installed: Install) -> None:
    installed(loud="from lrctl import hookimpl\n@hookimpl\ndef search_finished(): print('hello')")
    assert lrctl(*SMOKE, "--quiet", "--json").document["status"] == "done"


def test_a_copy_is_equal_and_shares_nothing_that_can_be_changed() -> None:
    job = SegmentJob(0, 3, PiecewiseLinear(((0, 0.1),)), evaluate=("test",))
    result = JobResult("key", "ok", 1.0, metrics={"test": {"loss": 1.0}})
    batch = Batch("a batch", [job])
    for value in (job, result, batch, run_spec(3), {"a": [1, (2, [3])]}):
        assert copied(value) == value
        assert copied(value) is not value
    copied(result).metrics["test"].clear()
    copied(batch).jobs.clear()
    copied(run_spec(3)).optimizers.clear()
    assert job.lrs == [0.1] * 3
    assert "lrs" not in vars(copied(job))
    assert result.metrics == {"test": {"loss": 1.0}}
    assert batch.jobs == [job]
    with pytest.raises(FrozenInstanceError):
        copied(job).start = 3
