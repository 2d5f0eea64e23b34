"""Whether a job gives the same bits in two processes that are at work on one card at once.

PYTHONPATH=tests python -m benchmarks.gpu.beside [--cpu] [--out DIR] [--seconds N]
"""

from __future__ import annotations

from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.gpu.deterministic import CASES, Outcome, whole
from benchmarks.gpu.measurement import Measurement, begin


def serve(pipe: Connection, measured: Measurement) -> None:
    """Do the cases that come through a pipe; what an error says stands for an outcome."""
    while case := pipe.recv():
        try:
            pipe.send(whole(measured, case))
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}"[:300])


def main() -> None:
    measured, context = begin("beside"), get_context("spawn")
    pipes = []
    for _ in range(2):
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, measured), daemon=True).start()
        pipes.append(ours)
    at_once(pipes, next(iter(CASES)))  # both have then started, and the next cases begin together
    for case, _ in measured.in_time(CASES):
        one, other = at_once(pipes, case)
        if isinstance(one, Outcome) and isinstance(other, Outcome):
            measured.say(case, **one.compared(other))
        else:
            measured.say(case, error=one if isinstance(one, str) else other)
    for pipe in pipes:
        pipe.send("")


def at_once(pipes: list[Connection], case: str) -> list[Outcome | str]:
    for pipe in pipes:
        pipe.send(case)
    return [pipe.recv() for pipe in pipes]


if __name__ == "__main__":
    main()
