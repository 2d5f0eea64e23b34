"""Whether a workload is the same each time that it is built, here and in another process.

Imports torch.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stdout
from multiprocessing import get_context
from typing import Any
from unittest.mock import patch

import numpy as np

from lrctl.checks.purity import digest_of
from lrctl.checks.rules import STEPS, Broken, Rule, Subject, Untold
from lrctl.contracts.job import TrainSpec
from lrctl.contracts.program import Program
from lrctl.contracts.workload import Prepared, Workload
from lrctl.errors import UsageError
from lrctl.recipe.task_workload import workload_of

HASH_SEED = "20011"
LATER = 400 * 24 * 3600
"""What a second process has of its own: an order of strings in sets, and a clock that is this many seconds ahead."""


def one_digest(subject: Subject) -> str:
    if not isinstance(subject.workload, Prepared):
        return "there is no prepare()"
    digest, again = subject.workload.prepare(), subject.workload.prepare()
    if not isinstance(digest, str):
        raise Broken(f"prepare() gave {digest!r}", "return a digest of the data, as text")
    if digest != again:
        raise Broken("prepare() gave two digests", "let it depend on the data alone")
    return "prepare() gave one digest twice"


def of_their_own(subject: Subject) -> str:
    passes = subject.passes()
    if len({digest_of(passes.batch(step)) for step in range(STEPS)}) > 1:
        return f"batches 0 to {STEPS - 1} are not all the same"
    raise Untold(
        f"batches 0 to {STEPS - 1} are one and the same: right if it is all the data, and a mistake if "
        "next(iter(loader)) begins anew each time"
    )


def built_twice(subject: Subject) -> str:
    if subject.rebuild is None:
        raise Untold("nobody told how it is built; `lrctl check --workload file.py:Class` does")
    here, other = subject.passes(), Subject(subject.rebuild(), subject.spec).passes()
    batches = [[digest_of(passes.batch(step)) for step in range(STEPS)] for passes in (here, other)]
    for step, (one, same) in enumerate(zip(*batches, strict=True)):
        if one != same:
            raise Broken(
                f"built twice with seed {subject.spec.seed} it gave two batches {step}",
                "shuffle and split the data by the seed that the class is built with: "
                "torch.Generator().manual_seed(seed), np.random.default_rng(seed)",
            )
    weights = [digest_of(dict(passes.model.state_dict())) for passes in (here, other)]
    if weights[0] != weights[1]:
        raise Broken(
            f"built twice with seed {subject.spec.seed} it gave models with two sets of first weights",
            "draw them in model(), by torch's own generator, or by the seed that the class is built with",
        )
    return f"built twice it gave the same model and the same {STEPS} batches"


def in_another_process(subject: Subject) -> str:
    if subject.elsewhere is None:
        raise Untold("nobody told how it is built; `lrctl check --workload file.py:Class` does")
    losses, metrics = subject.elsewhere(subject.spec)
    here = subject.train(evaluate=("validation", "test"))
    if not subject.same(here.losses, losses):
        step = int(np.argmax(here.losses != losses))
        what = f"loss {losses[step]:.6g} at step {step}, and {here.losses[step]:.6g} here"
    elif not subject.same(flat(here.metrics), flat(metrics)):
        what = f"metrics {metrics}, and {here.metrics} here"
    else:
        return f"{STEPS} steps gave the same losses in another process, with another hash seed and clock"
    raise Broken(
        f"a second process gave {what}",
        "look for the order of a set of strings or of os.listdir (sort it), hash(), a generator that is seeded by the "
        "system when the module is imported, the clock, the process's id, the environment",
    )


def flat(metrics: dict[str, dict[str, float]]) -> list[float]:
    return [value for split in sorted(metrics) for _, value in sorted(metrics[split].items())]


class SecondProcess:
    """A process of its own, started when it is first asked."""

    def __init__(self) -> None:
        self.pool = ProcessPoolExecutor(1, get_context("spawn"))

    def __call__(self, spec: TrainSpec) -> tuple[np.ndarray[Any, Any], Any]:
        with patch.dict(os.environ, {"PYTHONHASHSEED": HASH_SEED}):
            told = self.pool.submit(elsewhere, spec)
        try:
            return told.result()
        except BrokenProcessPool as error:
            raise Untold("the second process died; its memory may not have sufficed") from error

    def close(self) -> None:
        self.pool.shutdown()


def own_workload(spec: TrainSpec) -> Workload:
    """The workload of a spec, built once in each process.

    Raises:
        UsageError: it is a program, which no rule can look into.
    """
    found = workload_of(spec)
    if isinstance(found, Program):
        raise UsageError(f"workload {spec.workload}: it is a program, and no rule looks into one; choose --workload")
    return found


def elsewhere(spec: TrainSpec) -> tuple[np.ndarray[Any, Any], Any]:
    """What the second process does: the first steps, and an evaluation after them."""
    with redirect_stdout(sys.stderr):  # as in the first, whose stdout it shares
        subject = Subject(own_workload(spec), spec)
        with subject.at_work(), later():
            trained = subject.train(evaluate=("validation", "test"))
    return trained.losses, trained.metrics


@contextmanager
def later() -> Iterator[None]:
    """A clock that is ahead, for code that asks `time.time()` or `date.today()`."""
    now, now_ns = time.time, time.time_ns
    with patch("time.time", lambda: now() + LATER), patch("time.time_ns", lambda: now_ns() + LATER * 10**9):
        yield


PREPARE = Rule("prepare", "prepare() gives the digest of the data", one_digest)
STEPS_DIFFER = Rule("steps", "each step has a batch of its own", of_their_own, ("batch",))
BUILDING = Rule("building", "built again with the same seed, it is the same", built_twice, ("model", "batch"))
PROCESS = Rule("process", "another process gives the same losses", in_another_process, ("building", "trace"))
