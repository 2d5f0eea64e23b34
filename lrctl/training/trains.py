"""What does a job's training: lrctl's own loop, or a program of the user's own. All above knows only jobs.

Imports torch.
"""

from __future__ import annotations

from typing import Any, Protocol

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.training.trainer import Trained


class Trains(Protocol):
    """Trains steps [job.start, job.stop), from initialisation or from the state of another job, and measures the end.

    The state at the end is what the next job is given, once it was kept: nested dicts and lists of tensors, numbers and
    text. What goes wrong is an exception.
    """

    def __call__(self, spec: TrainSpec, job: SegmentJob, start_from: dict[str, Any] | None = None, /) -> Trained: ...
