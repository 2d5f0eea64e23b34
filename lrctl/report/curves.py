"""Finished runs of one experiment -> the training runs in them: their losses, LRs and cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.canonical import digest, listed
from lrctl.contracts.optimizers import OPTIMIZERS
from lrctl.contracts.params import fields_of
from lrctl.contracts.run_result import RunResult
from lrctl.contracts.strategy import TrainedRun
from lrctl.errors import UsageError
from lrctl.recipe.schema import Divergence, Training
from lrctl.registry.registry import registry
from lrctl.storage.identity import RunIdentity
from lrctl.storage.runs import FinishedRun, finished

if TYPE_CHECKING:
    import numpy as np

OWN = "recipe"
"""What the optimizer of a run's recipe is called where it has no name."""


@dataclass(frozen=True)
class Run:
    """A finished run, and what it is made of.

    Attributes:
        identity: what decided its result.
        strategy: the parameters of the strategy that made it.
        fixed: what runs must have in common to be compared, by name.
        others: what they should have in common.
    """

    finished: FinishedRun
    identity: RunIdentity
    strategy: Mapping[str, Any]
    fixed: Mapping[str, Any]
    others: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The run's name."""
        return self.finished.name

    @property
    def result(self) -> RunResult:
        """What it came to."""
        return self.finished.result

    @property
    def command(self) -> str:
        """The strategy that made it."""
        return self.identity.command

    @property
    def optimizer(self) -> str:
        """The name of its recipe's."""
        return str(self.identity.optimizer.get("name", OWN))

    @property
    def changed(self) -> frozenset[str]:
        """The names of `others` that are not at their defaults."""
        known = self.identity
        return frozenset(
            {**known.training, **prefixed("optimizer", known.optimizer), **prefixed("divergence", known.divergence)}
        )


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


def read(store: str | Path, names: Iterable[str]) -> list[Run]:
    """Finished runs of the same workload, data and length, each once.

    Raises:
        UsageError: a run is not there, not finished, not trained, or not of the same workload, data and length.
        StoreError: what decided a run's result is damaged.
    """
    runs = [open_run(finished(store, name)) for name in dict.fromkeys(names)]
    for run in runs:
        if not run.result.trained:
            train = f"let {run.command} train what it finds (--tune), or " if run.result.schedule else ""
            raise UsageError(
                f"run {run.name}: nothing was trained in it, so it has no losses to compare; {train}leave the run out"
            )
    for run in runs[1:]:
        for what in {**runs[0].fixed, **run.fixed}:
            if (a := runs[0].fixed.get(what)) != (b := run.fixed.get(what)):
                raise UsageError(
                    f"runs {runs[0].name} and {run.name}: {what}: {value_text(a)} and {value_text(b)}; "
                    "only runs of one workload with the same parameters, data and steps can be compared"
                )
    return runs


def untrained(store: str | Path, names: Iterable[str]) -> list[Run]:
    """Finished runs in which nothing was trained, but whose strategies have something to show; none if one is another.

    Raises:
        UsageError: a run is not there or not finished.
        StoreError: what decided a run's result is damaged.
    """
    runs = [finished(store, name) for name in dict.fromkeys(names)]
    summaries = all(run.result.tables and not run.result.trained for run in runs)
    return [open_run(run) for run in runs] if summaries else []


def open_run(run: FinishedRun) -> Run:
    """A finished run with what decided its result.

    Raises:
        UsageError: it ended before its time.
        StoreError: what decided its result is damaged.
    """
    if (status := run.result.status) != "done":
        raise UsageError(
            f"run {run.name}: it is not finished (status {status!r}); give its command again to continue it"
        )
    known = run.identity
    workload = with_defaults(parameters("workload", known.workload["name"]), known.workload)
    training = with_defaults(Training, known.training)
    optimizer = with_defaults(OPTIMIZERS.get(known.optimizer.get("name", "")), known.optimizer)
    divergence = with_defaults(Divergence, known.divergence)
    return Run(
        run,
        known,
        strategy=with_defaults(parameters("strategy", known.command), known.strategy),
        fixed={
            **prefixed("workload", workload),
            "training.steps": known.steps,
            "the digest of data and code": known.content,
        },
        others={
            "numerics": known.numerics,
            "device": known.device,
            **{name: value for name, value in training.items() if name not in ("steps", "seed", "device")},
            **prefixed("optimizer", optimizer),
            **prefixed("divergence", divergence),
        },
    )


def prefixed(table: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their dotted keys."""
    return {f"{table}.{name}": value for name, value in settings.items()}


def parameters(kind: str, name: str) -> Any:
    """The dataclass of the parameters of a part; None if it has none, or is not installed any more."""
    return next((part.params for part in registry().of(kind) if part.name == name), None)


def with_defaults(params: Any, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON has them: the name of a part first, then the defaults and what is not at its default."""
    name = {"name": changed["name"]} if "name" in changed else {}
    defaults = {f.name: listed(f.default) for f in fields_of(params) if f.default is not MISSING}
    return {**name, **defaults, **changed}


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


def value_text(value: Any) -> str:
    """A value of a recipe for people; a long text, such as a digest or a whole schedule, by a digest of its own."""
    if isinstance(value, list):
        return ",".join(map(value_text, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    text = "none" if value in (None, "") else str(value)
    return text if len(text) < 64 else f"#{digest(text)[:8]}"
