"""Finished runs of one experiment -> the training runs in them: their losses, LRs and cost."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.canonical import digest
from lrctl.errors import StoreError, UsageError
from lrctl.storage.runs import FinishedRun, finished

if TYPE_CHECKING:
    import numpy as np

OWN = "recipe"
"""What the optimizer of a run's recipe is called where it has no name."""

DECIDED = re.compile(r"# numerics (\S*), device (\S*), content (\S*)")
"""The first line of a frozen recipe: what the tables do not say, but what decides the result."""


@dataclass(frozen=True)
class Run:
    """A finished run and the settings it was made with.

    Attributes:
        strategy: the parameters of its strategy.
        optimizer: the name of its recipe's.
        fixed: what runs must have in common to be compared, by name.
        others: what they should have in common.
    """

    finished: FinishedRun
    strategy: Mapping[str, Any]
    fixed: Mapping[str, Any]
    others: Mapping[str, Any]
    optimizer: str = OWN

    @property
    def name(self) -> str:
        """The run's name."""
        return self.finished.name

    @property
    def command(self) -> str:
        """The strategy that made it."""
        return str(self.finished.document["command"])


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
        StoreError: a run's recipe is damaged.
    """
    runs = [opened(finished(store, name)) for name in dict.fromkeys(names)]
    for run in runs:
        if not entries(document := run.finished.document):
            train = f"let {run.command} train what it finds (--tune), or " if document["schedule"] else ""
            raise UsageError(
                f"run {run.name}: nothing was trained in it, so it has no losses to compare; {train}leave the run out"
            )
    for run in runs[1:]:
        for what in {**runs[0].fixed, **run.fixed}:
            if (a := runs[0].fixed.get(what)) != (b := run.fixed.get(what)):
                raise UsageError(
                    f"runs {runs[0].name} and {run.name}: {what}: {told(a)} and {told(b)}; "
                    "only runs of one workload with the same parameters, data and steps can be compared"
                )
    return runs


def untrained(store: str | Path, names: Iterable[str]) -> list[Run]:
    """Finished runs in which nothing was trained, but whose strategies have something to show; none if one is another.

    Raises:
        UsageError: a run is not there or not finished.
        StoreError: a run's recipe is damaged.
    """
    found = [finished(store, name) for name in dict.fromkeys(names)]
    shown = all(run.document.get("tables") and not entries(run.document) for run in found)
    return [opened(run) for run in found] if shown else []


def opened(run: FinishedRun) -> Run:
    """A finished run with its settings, from its frozen recipe.

    Raises:
        UsageError: it ended before its time.
        StoreError: the recipe is damaged.
    """
    if (status := run.document.get("status")) != "done":
        raise UsageError(
            f"run {run.name}: it is not finished (status {status!r}); give its command again to continue it"
        )
    try:
        tables = tomllib.loads(run.recipe)
        decided = DECIDED.match(run.recipe)
        numerics, device, content = decided.groups() if decided else (None, None, None)
        workload, training = dict(tables["workload"]), dict(tables["training"])
        strategy = tables.get("strategy", {}).get(run.document["command"], {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"run {run.name}: its recipe.toml is missing or damaged; run the search again") from error
    for settled in ("seed", "device"):  # the one differs on purpose, the other stands resolved in the first line
        training.pop(settled, None)
    # As in a job's key: where the file of `file.py:Class` lies decides nothing.
    workload["name"] = workload["name"].rpartition(":")[2]
    fixed = {f"workload.{name}": value for name, value in workload.items()}
    fixed |= {"training.steps": training.pop("steps"), "the digest of data and code": content}
    others = {"numerics": numerics, "device": device, **training}
    others |= {f"{t}.{name}": value for t in ("optimizer", "divergence") for name, value in tables.get(t, {}).items()}
    return Run(run, strategy, fixed, others, str(tables.get("optimizer", {}).get("name", OWN)))


def trained(runs: Sequence[Run]) -> list[Curve]:
    """A curve for each entry of a run's results that was trained, else one for what the run handed over.

    A schedule that one run was given and another has found counts once: training it again gave the same losses.
    """
    curves = [curve(run, entry) for run in runs for entry in entries(run.finished.document)]
    found = {outcome(each) for each in curves if not each.given}
    return [each for each in curves if not (each.given and outcome(each) in found)]


def standing_for(run: Run, found: Sequence[Curve]) -> Curve:
    """What a run handed over among the curves found, or the one that was kept of those that are the same training run.

    Where it is none of the entries of its results it is the first of them: they stand best first.
    """
    document = run.finished.document
    known = entries(document)
    best = curve(run, next((entry for entry in known if entry["checkpoint"] == document["checkpoint"]), known[0]))
    same = [c for c in found if c.seed == best.seed and (c.key == best.key or outcome(c) == outcome(best))]
    return max(same, key=lambda each: (each.family == best.family, each.run is run, each.key == best.key))


def outcome(found: Curve) -> tuple[float, ...]:
    """What tells two training runs apart."""
    return (found.seed, found.train_loss, found.validation_loss, found.test_loss)


def entries(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What was trained from the first step to the last: results, or the document itself, or nothing.

    Results stand as their strategy has them, but those of one optimizer together.
    """
    found: list[Mapping[str, Any]] = [entry for entry in document.get("results", ()) if entry.get("checkpoint")]
    if not found and document.get("checkpoint"):
        return [{**document, "runs": document["cost"]["full_runs"]}]
    # What was handed over stands first, whatever its optimizer: it does not say which optimizer is the first.
    others = [entry for entry in found if entry["checkpoint"] != document["checkpoint"]]
    order = list(dict.fromkeys(entry.get("optimizer") for entry in (*others, *found)))
    return sorted(found, key=lambda entry: order.index(entry.get("optimizer")))


def told_seeds(document: Mapping[str, Any]) -> str:
    """The seeds of what was trained: those of the results where they have their own, else that of the run.

    >>> told_seeds({"seed": 3}), told_seeds({"seed": 3, "results": [{"seed": 1}, {"seed": 0}]})
    ('seed 3', 'seeds 0, 1')
    """
    seeds = sorted({entry.get("seed", document["seed"]) for entry in document.get("results", ())} or {document["seed"]})
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def curve(run: Run, entry: Mapping[str, Any]) -> Curve:
    """The curve of an entry, or of what the run handed over; null stands for a loss that is not finite."""
    name = str(entry.get("name", entry.get("family", "")))
    losses = (entry[f"{which}_loss"] for which in ("train", "validation", "test"))
    train, validation, test = (math.nan if loss is None else float(loss) for loss in losses)
    own = "params" in entry and "seed" in entry
    return Curve(
        run,
        name or run.command,
        name,
        entry["checkpoint"],
        train,
        validation,
        test,
        full_runs=float(entry["runs"]),
        seed=int(entry.get("seed", run.finished.document["seed"])),
        optimizer=run.optimizer if entry.get("optimizer", OWN) == OWN else str(entry["optimizer"]),
        made_with=entry["params"] if own else run.strategy,
        schedule=str(entry.get("family", "")),
        given=bool(entry.get("given")),
    )


def told(value: Any) -> str:
    """A value of a recipe for people; a long text, such as a digest or a whole schedule, by a digest of its own."""
    if isinstance(value, list):
        return ",".join(map(told, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    text = "none" if value in (None, "") else str(value)
    return text if len(text) < 64 else f"#{digest(text)[:8]}"
