"""Contract tests for plugin authors: each `check_...` raises AssertionError where a part breaks its contract.

lrctl's own tests run them over every built-in part.
"""

from lrctl.testing.executors import check_ahead, check_broken_worker, check_executor
from lrctl.testing.observers import check_observer
from lrctl.testing.programs import check_program
from lrctl.testing.schedules import ScriptedContext, check_adaptive_schedule, check_schedule
from lrctl.testing.scripted import SPEC, Constant, Landscape, Scripted, bowl, play, run_spec, scripted_attempt, stopped
from lrctl.testing.strategies import check_strategy
from lrctl.testing.trackers import check_tracker
from lrctl.testing.workloads import check_workload

__all__ = [
    "SPEC",
    "Constant",
    "Landscape",
    "Scripted",
    "ScriptedContext",
    "bowl",
    "check_adaptive_schedule",
    "check_ahead",
    "check_broken_worker",
    "check_executor",
    "check_observer",
    "check_program",
    "check_schedule",
    "check_strategy",
    "check_tracker",
    "check_workload",
    "play",
    "run_spec",
    "scripted_attempt",
    "stopped",
]
