"""What a program takes: two short jobs of it, timed.

Imports torch.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
from pathlib import Path

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.program import Program
from lrctl.planning.profile import Measured, size
from lrctl.program.runner import train
from lrctl.storage.store import Store
from lrctl.training.trainer import Trained

SHORT, LONG = 1, 11
"""Steps of the two jobs: what they take beside them is the same."""

NOTES = ("memory is that of its largest process with all that it holds, or of lrctl's own where that takes more",)


def measure_program(program: Program, spec: TrainSpec) -> Measured:
    """What a program takes, told by two jobs from initialisation with LR 0, which leave nothing behind.

    Raises:
        ProgramError: it fails; what it printed is kept, in a temporary folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="lrctl-dry-run-"))
    store = Store(folder)
    few, more = min(SHORT, spec.steps), min(LONG, spec.steps)
    short, long = (timed(program, store, spec, steps) for steps in (few, more))
    shutil.rmtree(folder)
    step = max(0.0, long.seconds - short.seconds) / max(1, more - few)
    start = max(0.0, short.seconds - few * step)
    return Measured(step, None, size(long.state), largest_process(), NOTES, seconds_per_start=start)


def timed(program: Program, store: Store, spec: TrainSpec, steps: int) -> Trained:
    return train(program, store, spec, SegmentJob(0, steps, PiecewiseLinear(((0, 0.0),))))


def largest_process() -> int:
    """The most bytes that a process had in memory among those that this one has started, and that have ended."""
    # Linux counts what a process was a copy of too, for the moment before it became another program: this one.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
