"""The finished runs of one experiment: their results, and the settings that they were made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from lrctl.contracts.canonical import digest, listed
from lrctl.contracts.optimizers import OPTIMIZERS
from lrctl.contracts.params import fields_of
from lrctl.contracts.strategy import beside
from lrctl.errors import UsageError
from lrctl.recipe.schema import Divergence, Training
from lrctl.registry.registry import registry
from lrctl.storage.identity import RunIdentity
from lrctl.storage.run_result import RunResult
from lrctl.storage.runs import FinishedRun, finished


@dataclass(frozen=True)
class Run:
    """A finished run, and what it is made of.

    Attributes:
        identity: what decided its result.
        strategy: the parameters of the strategy that made it, but for those that had no say in what it found.
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
        return self.finished.name

    @property
    def result(self) -> RunResult:
        return self.finished.result

    @property
    def command(self) -> str:
        return self.identity.command

    @property
    def optimizer(self) -> str:
        """The name of its recipe's, or `recipe` where that has none."""
        return str(self.identity.optimizer.get("name", "recipe"))

    @property
    def changed(self) -> frozenset[str]:
        """The names of `others` that are not at their defaults."""
        known = self.identity
        tables = _prefixed("optimizer", known.optimizer) | _prefixed("divergence", known.divergence)
        return frozenset({*known.training, *tables})


def read(store: str | Path, names: Iterable[str]) -> list[Run]:
    """Finished runs, each once; those that cannot be compared are a UsageError."""
    runs = [open_run(finished(store, name)) for name in dict.fromkeys(names)]
    for run in runs:
        if not run.result.trained:
            train = (
                f"let {run.command} train what it finds (lrctl {run.command} -h), or " if run.result.schedule else ""
            )
            raise UsageError(
                f"run {run.name}: nothing was trained to the end in it, so it has no losses to compare; {train}"
                "leave the run out"
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
    """Finished runs in which nothing was trained, but whose strategies have something to show; else none."""
    runs = [finished(store, name) for name in dict.fromkeys(names)]
    summaries = all(run.result.tables and not run.result.trained for run in runs)
    return [open_run(run) for run in runs] if summaries else []


def open_run(run: FinishedRun) -> Run:
    """A finished run with what decided its result; that it ended before its time is a UsageError."""
    if (status := run.result.status) != "done":
        raise UsageError(
            f"run {run.name}: it is not finished (status {status!r}); give its command again to continue it"
        )
    known = run.identity
    fixed = _prefixed("workload", with_defaults(parameters("workload", known.workload["name"]), known.workload))
    fixed |= {"training.steps": known.steps, "the digest of data and code": known.content}
    fixed |= _prefixed("start", known.start)
    training = with_defaults(Training, known.training).items()
    others = {"numerics": known.numerics, "device": known.device}
    others |= {f"plugin {name}": code for name, code in known.plugins.items()}
    others |= {name: value for name, value in training if name not in ("steps", "seed", "device")}
    others |= _prefixed("optimizer", with_defaults(OPTIMIZERS.get(known.optimizer.get("name", "")), known.optimizer))
    others |= _prefixed("divergence", with_defaults(Divergence, known.divergence))
    params = parameters("strategy", known.command)
    no_say = beside(params)
    strategy = {name: v for name, v in with_defaults(params, known.strategy).items() if name not in no_say}
    return Run(run, known, strategy, fixed, others)


def _prefixed(table: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{table}.{name}": value for name, value in settings.items()}


def parameters(kind: str, name: str) -> Any:
    """The dataclass of the parameters of a part; None if it has none, or is not installed any more."""
    return registry().get(kind, name).params if name in registry().names(kind) else None


def with_defaults(params: Any, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON has them: the name of a part first, then the defaults and what is not at its default."""
    name = {"name": changed["name"]} if "name" in changed else {}
    defaults = {f.name: listed(f.default) for f in fields_of(params) if f.default is not MISSING}
    return {**name, **defaults, **changed}


def value_text(value: Any) -> str:
    """A value of a recipe for people; a long text, such as a digest or a whole schedule, by a digest of its own."""
    if isinstance(value, list):
        return ",".join(map(value_text, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    text = "none" if value in (None, "") else str(value)
    return text if len(text) < 64 else f"#{digest(text)[:8]}"
