"""The contract of observers."""

from __future__ import annotations

import math

import pluggy

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Batch
from lrctl.registry import hookspecs
from lrctl.storage.run_result import RunResult
from lrctl.testing.faults import calling
from lrctl.testing.scripted import SPEC, Constant, run_spec


def check_observer(plugin: object) -> None:
    """A plugin's hooks are spelt right, and raise nothing of all that they may be told.

    It is shown a search of one job that is trained, one that is found in the store and one that is stopped, which ends
    with a loss, and then one that trained nothing. What it writes it writes: call this in a folder of the test's own.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    with calling("registering it"):
        manager.register(plugin)
        manager.check_pending()
    job, hook = SegmentJob(0, 10, Constant(0.1)), manager.hook
    key = job.key(SPEC)
    with calling("preparing()"):
        hook.preparing(what="data", done=1, total=2)
        hook.preparing(what="data", done=1, total=0)
    with calling("batch_started()"):
        hook.batch_started(batch=Batch("segment 1 of 1", [job]), reused=0, run=run_spec(10))
    with calling("job_started()"):
        hook.job_started(job=job)
    with calling("job_placed()"):
        hook.job_placed(job=job, host="", worker="worker 1")
        hook.job_placed(job=job, host="node7", worker="GPU 0")
    with calling("working_ahead()"):
        hook.working_ahead(jobs=1)
    with calling("job_finished()"):
        hook.job_finished(job=job, result=JobResult(key, "ok", 1.5, 10), reused=False)
        hook.job_finished(job=job, result=JobResult(key, "ok", 1.5, 10), reused=True)
        hook.job_finished(job=job, result=JobResult(key, "stopped", math.inf, 5, at_least=2.0), reused=False)
    schedule = ScheduleRecord("piecewise-linear", {"knots": [[0, 0.1]]})
    trained = RunResult(command="local", run="r", workload="w", seed=0, steps=10, schedule=schedule, test_loss=1.5)
    with calling("search_finished() of a search that trained"):
        hook.search_finished(result=trained)
    nothing = RunResult(command="local", run="r", workload="w", seed=0, steps=10, schedule=None)
    with calling("search_finished() of a search that trained nothing, whose losses are None,"):
        hook.search_finished(result=nothing)
