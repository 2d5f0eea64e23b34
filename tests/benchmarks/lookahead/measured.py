"""A case measured: what was found, what it cost, and its test losses with fresh seeds."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.lookahead import fresh
from benchmarks.lookahead.panels import Case
from benchmarks.lookahead.reference import guessed, tuned
from lrctl.analysis.statistics import paired
from lrctl.errors import LrctlError, MissingError
from lrctl.storage.runs import finished

COLUMNS = (
    "workload, steps, seed",
    "tuned",
    "its runs",
    "runs",
    "guess",
    "tuned, fresh",
    "lookahead, fresh",
    "difference",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One case.

    Attributes:
        found: the result of each search that came to its end: `tuned`, `lookahead`.
        losses: test losses with fresh seeds, of these and of `guess`.
    """

    case: Case
    found: Mapping[str, Mapping[str, Any]]
    losses: Mapping[str, Sequence[float]]

    @property
    def differences(self) -> list[float]:
        """Lookahead's test loss less that of the tuned schedule, for each fresh seed."""
        if "lookahead" not in self.losses:
            return []
        return [a - b for a, b in zip(self.losses["lookahead"], self.losses["tuned"], strict=True)]

    @property
    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "workload": self.case.entry.name,
            "steps": self.case.steps,
            "seed": self.case.seed,
            "found": dict(self.found),
            "fresh": dict(self.losses),
        }

    @property
    def row(self) -> str:
        names = ("guess", "tuned", "lookahead")
        losses = [digits(fmean(self.losses[name])) if name in self.losses else "" for name in names]
        runs = [f"{self.found[name]['full_runs']:.1f}" if name in self.found else "" for name in names[1:]]
        return line([self.case.title, schedule_text(self.found["tuned"]), *runs, *losses, told(self.differences)])


KEPT = ("run", "schedule", "validation_loss", "test_loss", "cost", "steps", "full_runs", "notes")


def measure(case: Case, count: int, *, look: bool, tag: str = "") -> Measured:
    """Tune, search, and train what was found with fresh seeds. Without `look` lookahead is left out."""
    found = {"tuned": tuned(case)}
    if look and (document := lookahead(case, tag)):
        found["lookahead"] = document
    schedules = {name: finished(case.store, each["run"]).rebuilt for name, each in found.items()}
    losses = fresh.test_losses(case, {"guess": guessed(case), **schedules}, fresh.seeds(case, count))
    kept = {name: {key: each[key] for key in KEPT if key in each} for name, each in found.items()}
    return Measured(case, kept, losses)


def lookahead(case: Case, tag: str) -> dict[str, Any] | None:
    """The search's result; None where it ends with an error, which is told."""
    name = f"lookahead-{tag}-{case.title.replace(', ', '-')}" if tag else None
    try:
        return case.search("lookahead", name=name)
    except MissingError:
        raise
    except LrctlError as error:
        print(f"{case.title}: lookahead: {error}", file=sys.stderr, flush=True)
        return None


def over_seeds(done: Sequence[Measured]) -> str:
    """The row of all searches of a workload and length: their mean for each fresh seed."""
    differences = [each.differences for each in done]
    means = [fmean(values) for values in zip(*differences, strict=True)] if all(differences) else []
    return line([f"{done[0].case.entry.name}, {done[0].case.steps}, all", "", "", "", "", "", "", told(means)])


def told(differences: Sequence[float]) -> str:
    """The mean of paired differences, and its 95 % interval.

    >>> told([0.1, 0.3, 0.2])
    '+0.2000 (-0.0484 to +0.4484)'
    """
    interval, _ = paired(differences)
    mean = digits(fmean(differences), sign="+") if differences else ""
    return f"{mean} ({' to '.join(digits(end, sign='+') for end in interval)})" if interval else mean


def digits(value: float, sign: str = "") -> str:
    """A loss with four decimals, or with three digits that tell where it has fewer.

    >>> digits(3.70921), digits(0.00463712), digits(-0.0012, sign="+")
    ('3.7092', '0.00464', '-0.0012')
    """
    return f"{value:{sign}.3g}" if 0 < abs(value) < 0.1 else f"{value:{sign}.4f}"


def schedule_text(document: Mapping[str, Any]) -> str:
    """A schedule in short: `wsd 0.00333, 0.05, 0.5` is the peak, the warmup and the decay."""
    schedule = document["schedule"]
    values = [schedule["params"].get(name) for name in ("peak_lr", "warmup", "decay")]
    return f"{schedule['family']} {', '.join(f'{value:g}' for value in values if value is not None)}"


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
