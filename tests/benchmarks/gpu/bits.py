"""Whether a job gives the same bits again: the same job twice, and cut in two through a checkpoint.

PYTHONPATH=tests python -m benchmarks.gpu.bits [--cpu] [--out DIR] [--seconds N]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.gpu.deterministic import CASES, STEPS, Outcome, part_of_run, whole
from benchmarks.gpu.measurement import Measurement, begin
from benchmarks.gpu.models import job_of
from lrctl.storage import checkpoint


def cut(measured: Measurement, case: str) -> Outcome:
    """The run in two segments; the second continues from a checkpoint on the disk."""
    first = part_of_run(measured, case, job_of(STEPS, 0, STEPS // 2))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(path := Path(folder) / "half.safetensors", first.state)
        state = checkpoint.load(path)
    return Outcome.of(first, part_of_run(measured, case, job_of(STEPS, STEPS // 2), state))


def main() -> None:
    measured = begin("bits")
    for case, _ in measured.in_time(CASES):
        with measured.attempting(case):
            once = whole(measured, case)
            measured.say(f"{case}: the same job again", **once.compared(whole(measured, case)))
            measured.say(f"{case}: cut in two", **once.compared(cut(measured, case)))


if __name__ == "__main__":
    main()
