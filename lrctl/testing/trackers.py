"""The contract of trackers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from lrctl.contracts.strategy import Candidate, Segment
from lrctl.contracts.tracker import TrackedJob, TrackedResult, TrackedSearch, Tracker
from lrctl.testing.faults import calling

TRIED = (Candidate(0.1, 2.5, "ok", "a" * 64), Candidate(0.3, math.inf, "stopped", "b" * 64))
CHOICE = Segment(1, 0, 2, 0.1, 0.0, TRIED, 0.1, 0.2)
DOCUMENT = {
    "format": "lrctl-result/1",
    "command": "local",
    "run": "a-search",
    "status": "done",
    "steps": 2,
    "train_loss": 2.0,
    "validation_loss": 2.1,
    "test_loss": None,
    "cost": {"jobs": 2, "full_runs": 2.0},
}


CONFIG = {"training": {"steps": 2, "device": "cpu"}, "workload": {"name": "made-up", "sizes": [1, 2]}}
METRICS = {"validation": {"loss": 2.1}}
TITLE = "segment 1 of 1"
JOBS = (
    TrackedJob("a" * 64, TITLE, 0, 2, None, "ok", False, 2.5, (0.0, 0.1), (3.0, 2.0), 2.2, METRICS),
    TrackedJob("b" * 64, TITLE, 0, 2, None, "stopped", False, math.inf),
    TrackedJob("c" * 64, TITLE, 0, 2, "a" * 64, "ok", True, math.inf, (0.0, 0.1), (math.nan, math.inf)),
    TrackedJob("a" * 64, TITLE, 0, 2, None, "ok", True, 2.5, (0.0, 0.1), (3.0, 2.0), 2.2, METRICS),
)


def check_tracker(build: Callable[[], Tracker], folder: Path) -> None:
    """A tracker takes all that it can be told: of a search that is stopped, one that goes on, one that trains nothing.

    `build` gives a new one. `folder` is an empty one, for the store of a made-up search and what the tracker keeps.
    """
    files = {what: folder / f"{what}.json" for what in ("result", "schedule")}
    for path in files.values():
        path.write_text("{}", encoding="utf-8")
    told = TrackedResult(DOCUMENT, (0.0, 0.1), (3.0, 2.0), files)
    tell(build(), folder, JOBS[:2], None)
    tell(build(), folder, JOBS, told)
    tell(build(), folder, (), TrackedResult(DOCUMENT, (), (), {}))


def tell(tracker: Tracker, folder: Path, jobs: Sequence[TrackedJob], result: TrackedResult | None) -> None:
    """Tell a tracker of a search; without a result, of one that is stopped."""
    assert isinstance(tracker, Tracker), f"{type(tracker).__name__} lacks a method of lrctl.contracts.tracker.Tracker"
    with calling("search_started()"):
        tracker.search_started(TrackedSearch("a-search", "local", folder, folder / "tracked", CONFIG))
    for job in jobs:
        with calling("job_finished()"):
            tracker.job_finished(job)
    if result:
        with calling("choice_made()"):
            tracker.choice_made(CHOICE)
        with calling("search_finished()"):
            tracker.search_finished(result)
    with calling("close()"):
        tracker.close()
