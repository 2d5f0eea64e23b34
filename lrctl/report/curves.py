"""The training runs in finished runs: their losses, LRs and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lrctl.contracts.strategy import TrainedRun
from lrctl.report.runs import Run
from lrctl.storage.run_result import LOSSES

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Curve:
    """A training run from the first step to the last: what was handed over, or one entry of a run's results.

    Attributes:
        label: of its method, the same for every seed; at first the entry's name, or the command.
        entry: what was trained; the name of what the run handed over is empty.
    """

    run: Run
    label: str
    entry: TrainedRun

    @property
    def seed(self) -> int:
        return self.run.result.seed if self.entry.seed is None else self.entry.seed

    @property
    def optimizer(self) -> str:
        return self.entry.optimizer or self.run.optimizer

    @property
    def made_with(self) -> Mapping[str, Any]:
        """The parameters of its run's strategy or, where the entry has a seed of its own, of its schedule."""
        return self.run.strategy if self.entry.seed is None else self.entry.schedule.params

    @cached_property
    def history(self) -> np.ndarray[Any, Any]:
        """The loss and LR of every step, in fields `loss` and `lr`."""
        return self.run.finished.history(self.entry.checkpoint)

    @property
    def losses(self) -> np.ndarray[Any, Any]:
        return self.history["loss"].astype("f8")


def trained(runs: Sequence[Run]) -> list[Curve]:
    """A curve for each entry of a run's results that was trained, else one for what the run handed over.

    A schedule that one run was given and another has found counts once: training it again gave the same losses.
    """
    curves = [each for run in runs for each in curves_of(run)]
    known = {outcome(each) for each in curves if not each.entry.given}
    return [each for each in curves if not (each.entry.given and outcome(each) in known)]


def handed_over_curve(run: Run, curves: Sequence[Curve]) -> Curve:
    """What a run handed over among the curves found, or the one that was kept of those that are the same training run.

    Where it is none of the entries of its results it is the first of them: they stand best first.
    """
    own = curves_of(run)
    best = next((each for each in own if each.entry.checkpoint == run.result.checkpoint), own[0])
    name, key = best.entry.name, best.entry.checkpoint
    alike = [c for c in curves if c.seed == best.seed and (c.entry.checkpoint == key or outcome(c) == outcome(best))]
    return max(alike, key=lambda each: (each.entry.name == name, each.run is run, each.entry.checkpoint == key))


def outcome(curve: Curve) -> tuple[float, ...]:
    """What tells two training runs apart."""
    return (curve.seed, *(getattr(curve.entry, loss) for loss in LOSSES))


def curves_of(run: Run) -> list[Curve]:
    """What a run trained from the first step to the last, in its strategy's order, but each optimizer's together."""
    trained = run.result.trained
    # What was handed over stands first, whatever its optimizer: it does not say which optimizer is the first.
    others = [each for each in trained if each.checkpoint != run.result.checkpoint]
    order = list(dict.fromkeys(each.optimizer for each in (*others, *trained)))
    ordered = sorted(trained, key=lambda each: order.index(each.optimizer))
    return [Curve(run, each.name or run.command, each) for each in ordered]


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Seeds in words.

    >>> seeds_in_words([3]), seeds_in_words([0, 1])
    ('seed 3', 'seeds 0, 1')
    """
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
