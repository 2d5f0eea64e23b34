"""The training runs in finished runs: their losses, LRs and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lrctl.contracts.run_result import RunResult
from lrctl.contracts.strategy import TrainedRun
from lrctl.report.runs import Run

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Curve:
    """A training run from the first step to the last: what was handed over, or one entry of a run's results.

    Attributes:
        label: of its method, the same for every seed; at first the entry's name, or the command.
        family: the entry's name, empty for what the run handed over.
        key: of the job that ended it.
        full_runs: what finding it cost, in ordinary training runs.
        seed: the entry's own, else that of its run.
        optimizer: the entry's own, else that of its run's recipe.
        made_with: the parameters of what made it: of its run's strategy or, where an entry has a seed of its own, of
            its schedule.
        schedule: the registered family of its schedule.
        given: it has the schedule that its run was given to work on.
    """

    run: Run
    label: str
    family: str
    key: str
    train_loss: float
    validation_loss: float
    test_loss: float
    full_runs: float
    seed: int
    optimizer: str
    made_with: Mapping[str, Any]
    schedule: str = ""
    given: bool = False

    @cached_property
    def history(self) -> np.ndarray[Any, Any]:
        """The loss and LR of every step, in fields `loss` and `lr`."""
        return self.run.finished.history(self.key)

    @property
    def losses(self) -> np.ndarray[Any, Any]:
        """The training loss of every step."""
        return self.history["loss"].astype("f8")


def trained(runs: Sequence[Run]) -> list[Curve]:
    """A curve for each entry of a run's results that was trained, else one for what the run handed over.

    A schedule that one run was given and another has found counts once: training it again gave the same losses.
    """
    curves = [curve(run, entry) for run in runs for entry in by_optimizer(run.result)]
    known = {outcome(each) for each in curves if not each.given}
    return [each for each in curves if not (each.given and outcome(each) in known)]


def handed_over_curve(run: Run, curves: Sequence[Curve]) -> Curve:
    """What a run handed over among the curves found, or the one that was kept of those that are the same training run.

    Where it is none of the entries of its results it is the first of them: they stand best first.
    """
    known = by_optimizer(run.result)
    best = curve(run, next((each for each in known if each.checkpoint == run.result.checkpoint), known[0]))
    alike = [c for c in curves if c.seed == best.seed and (c.key == best.key or outcome(c) == outcome(best))]
    return max(alike, key=lambda each: (each.family == best.family, each.run is run, each.key == best.key))


def outcome(curve: Curve) -> tuple[float, ...]:
    """What tells two training runs apart."""
    return (curve.seed, curve.train_loss, curve.validation_loss, curve.test_loss)


def by_optimizer(result: RunResult) -> list[TrainedRun]:
    """What was trained from the first step to the last, as its strategy has it, but runs of one optimizer together."""
    trained = result.trained
    # What was handed over stands first, whatever its optimizer: it does not say which optimizer is the first.
    others = [each for each in trained if each.checkpoint != result.checkpoint]
    order = list(dict.fromkeys(each.optimizer for each in (*others, *trained)))
    return sorted(trained, key=lambda each: order.index(each.optimizer))


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Seeds in words.

    >>> seeds_in_words([3]), seeds_in_words([0, 1])
    ('seed 3', 'seeds 0, 1')
    """
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def curve(run: Run, entry: TrainedRun) -> Curve:
    """The curve of an entry of a run's results, or of what the run handed over."""
    return Curve(
        run,
        entry.name or run.command,
        entry.name,
        entry.checkpoint or "",
        entry.train_loss,
        entry.validation_loss,
        entry.test_loss,
        full_runs=entry.full_runs,
        seed=run.result.seed if entry.seed is None else entry.seed,
        optimizer=entry.optimizer or run.optimizer,
        made_with=run.strategy if entry.seed is None else entry.schedule.params,
        schedule=entry.schedule.family,
        given=entry.given,
    )
