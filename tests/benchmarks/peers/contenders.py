"""Who takes part, with which settings and how large a budget; and how one contender is carried out."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from typing import Any

from benchmarks.peers.contest import Contest
from benchmarks.peers.records import Record
from lrctl.contracts.result import FORWARD
from lrctl.engine.prepare import environment
from lrctl.training.quiet import quiet_torch

REFERENCE = "lookahead"

RUNS = 6
"""The budget, in whole runs, of a rival whose giver of the budget has no result."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to find a schedule, or to do without.

    Attributes:
        module: of this folder; its function `run(contest, **params)` does it. It is imported only then, since the
            rivals' packages need not be installed.
        budget: the contender that tells how many steps this one may train.
        package: the rival's own, for its version.
    """

    module: str
    params: Mapping[str, Any] = field(default_factory=dict)
    budget: str = ""
    package: str = ""


def of_lrctl(command: str, **params: Any) -> Contender:
    """A command of lrctl with its flags."""
    return Contender("lrctl_search", {"command": command, **params})


CONTENDERS = {
    REFERENCE: of_lrctl("lookahead"),
    "semilocal": of_lrctl("semilocal", eps=0.48, decay=True),
    "semilocal-lean": of_lrctl("semilocal", eps=0.48, decay=True, lean=True),
    "local": of_lrctl("local"),
    **{name: of_lrctl("baseline", family=[name]) for name in ("wsd", "cosine", "linear", "triangle", "quadratic")},
    "linear-tuned": Contender("linear_tuned", budget=REFERENCE),
    "optuna": Contender("optuna_wsd", budget=REFERENCE, package="optuna"),
    "optuna-long": Contender("optuna_wsd", budget="wsd", package="optuna"),
    "ray-pbt": Contender("ray_pbt", budget=REFERENCE, package="ray"),
    "schedule-free": Contender("schedule_free", budget=REFERENCE, package="schedulefree"),
    "prodigy": Contender("prodigy", {"cosine": False}, budget=REFERENCE, package="prodigyopt"),
    "prodigy-cosine": Contender("prodigy", {"cosine": True}, budget=REFERENCE, package="prodigyopt"),
}


def budget(name: str, steps: int, seed: int, records: Sequence[Record]) -> int:
    """How many steps a contender may train: what its giver took with that seed; 0 where it has a plan of its own.

    The forward passes that the giver chose by count as a third of a step each; a rival's own are not charged to it.
    """
    giver = CONTENDERS[name].budget
    if not giver:
        return 0
    given = [
        math.ceil(each.steps_trained + FORWARD * each.forwards) for each in records if each.is_of(giver, steps, seed)
    ]
    return given[-1] if given else RUNS * steps


def contend(name: str, contest: Contest) -> Record:
    """Carry a contender out, in this process. Its data and modules are made ready before its time begins."""
    contender = CONTENDERS[name]
    run = import_module(f"benchmarks.peers.{contender.module}").run
    versions = environment(contest.spec)
    if contender.package:
        versions[contender.package] = version(contender.package)
    assert contest.passes > 0  # measured before the time begins, not in it
    # Rivals print; stdout is for the table.
    with redirect_stdout(sys.stderr), quiet_torch(contest.spec.threads, contest.spec.device):
        began = time.perf_counter()
        outcome = run(contest, **contender.params)
        seconds = time.perf_counter() - began
    return Record.of(name, contest, outcome, seconds, versions)
