"""A recipe as frozen dataclasses: built once, at the edge, by `lrctl.recipe.parse`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Annotated, Any, Literal

from lrctl.contracts.exact import Exact
from lrctl.contracts.optimizers import OPTIMIZERS, OptimizerSettings
from lrctl.contracts.params import UNKEYED, identity
from lrctl.contracts.strategy import RunSpec
from lrctl.documents import LONGEST_RUN
from lrctl.recipe.start import Start
from lrctl.recipe.workloads import is_code, load_workload
from lrctl.registry.registry import registry
from lrctl.registry.values import build

AUTO = "auto"
"""An optimizer's name: the workload's own if it has one, else AdamW. An executor's: by the device and its cores."""


@dataclass(frozen=True, slots=True)
class Training:
    """The run that a schedule is searched for."""

    steps: Annotated[int, "optimizer updates in the whole run"]
    seed: Annotated[int, "decides initialisation, batches and dropout"] = 0
    # A run is identified by the type of device that it resolves to.
    device: Annotated[str, "auto, cpu, cuda, ..."] = field(default="auto", metadata=UNKEYED)
    dtype: Annotated[Literal["float32", "bfloat16"], "bfloat16 is autocast"] = "float32"
    threads: Annotated[int, "CPU threads of each worker; another number gives other bits"] = 1
    micro_batches: Annotated[
        int,
        "gradient accumulation: cut each batch into so many pieces, one after another: less memory, the same mean loss",
    ] = 1
    compile: Annotated[bool, "compile the model with torch.compile"] = False
    tf32: Annotated[bool, "TensorFloat-32 matrix products on CUDA: faster, less exact"] = False
    deterministic: Annotated[bool, "deterministic kernels on CUDA; an operation that has none is an error"] = True
    averaging: Annotated[
        tuple[float, ...],
        "powers of averages of the weights to keep, such as 4, 8, 16; what is scored, evaluated and handed over is the "
        "best of them and the last weights",
    ] = ()
    stop_early: Annotated[bool, "stop jobs that cannot be chosen any more; no choice depends on it"] = True
    unchecked: Annotated[bool, "search on a file.py:Class without the first look at it, at your own risk"] = False

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("seed", 0), ("threads", 1), ("micro_batches", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: must be at least {least}, got {getattr(self, name)}")
        if not all(0 < power <= 1000 for power in self.averaging) or len({*self.averaging}) < len(self.averaging):
            raise ValueError(
                f"averaging: must be different numbers greater than 0, up to 1000, got {list(self.averaging)}"
            )
        if self.steps > LONGEST_RUN:
            raise ValueError(f"steps: must be at most {LONGEST_RUN:,}, got {self.steps:,}")


@dataclass(frozen=True, slots=True)
class Divergence:
    """When a job counts as diverged (paper, Appendix A, but see `lrctl.engine.divergence`).

    Attributes:
        max_non_finite: more non-finite training losses than this is divergence.
        margin: so is a mean of the last tenth that is greater than the job's mean by more than so many times the spread
            of the losses: the standard deviation of those of the run so far, or, where runs begin, within the jobs.
    """

    max_non_finite: int = 3
    margin: float = 2.0

    def __post_init__(self) -> None:
        if self.max_non_finite < 0:
            raise ValueError(f"max_non_finite: must be at least 0, got {self.max_non_finite}")
        if not self.margin > 0:
            raise ValueError(f"margin: must be greater than 0, got {self.margin}")


@dataclass(frozen=True, slots=True)
class Track:
    """Who records a search. Nothing of it decides a number."""

    names: Annotated[tuple[str, ...], "trackers that record the search"] = ()
    wait: Annotated[float, "seconds that the end of a search waits for its trackers at the most"] = 120.0

    def __post_init__(self) -> None:
        if self.wait < 0:
            raise ValueError(f"wait: must be at least 0, got {self.wait}")


@dataclass(frozen=True, slots=True)
class Idle:
    """What workers of any executor do that the search has no job for. Nothing of it decides a number."""

    speculate: Annotated[
        bool, "let idle workers train what the search may ask for next: it takes less time, and more steps"
    ] = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A part chosen by name. Its parameters are the dataclass it registers, or JSON values for `file.py:Class`."""

    name: str
    params: Any

    @property
    def changed(self) -> dict[str, Any]:
        """The parameters that are not at their defaults."""
        return dict(self.params) if isinstance(self.params, Mapping) else identity(self.params)

    @property
    def unkeyed(self) -> dict[str, Any]:
        """The parameters that decide no number."""
        declared = () if isinstance(self.params, Mapping) else fields(self.params)
        return {
            each.name: getattr(self.params, each.name) for each in declared if not each.metadata.get("in_key", True)
        }

    @property
    def table(self) -> dict[str, Any]:
        """The part as a table of a recipe, all its parameters spelt out."""
        return {"name": self.name, **(self.params if isinstance(self.params, Mapping) else asdict(self.params))}


@dataclass(frozen=True, slots=True)
class OptimizerChoice:
    """The optimizer of a recipe.

    Attributes:
        settings: with which a workload is trained that does not bring its own optimizer.
        auto: whether one that does is trained with its own.
        given: whether the recipe says anything about the optimizer.
    """

    settings: OptimizerSettings
    auto: bool
    given: bool

    @property
    def name(self) -> str:
        return AUTO if self.auto else self.settings.name

    @property
    def changed(self) -> dict[str, Any]:
        # Where the file of `file.py:Class` lies decides nothing; its content does.
        return {"name": self.name.rpartition("/")[2], **identity(self.settings)}

    @property
    def table(self) -> dict[str, Any]:
        """As a table of a recipe, all settings spelt out; empty where the recipe says nothing."""
        if not self.given:
            return {}
        return {"name": self.name, **{key: value for key, value in asdict(self.settings).items() if key != "code"}}


@dataclass(frozen=True)
class Recipe:
    """A recipe, checked.

    Attributes:
        source: names it in messages.
        strategies: the parameters of each strategy that it has a table for.
        refused: why the workload's code may not be run, if so.
        start: where the search begins, in a run that is under way.
        named: whether the user named the checkpoint of that run, which is read then.
        imported: key of the job that stands for that checkpoint, once it is known.
        trackers: those of `track.names`, in that order.
        speculate: as in `Idle`.
    """

    source: str
    training: Training
    optimizer: OptimizerChoice
    divergence: Divergence
    workload: Choice
    executor: Choice
    strategies: Mapping[str, Any]
    refused: str = ""
    start: Start | None = None
    named: bool = False
    imported: str = ""
    track: Track = Track()
    trackers: tuple[Choice, ...] = ()
    speculate: bool = False

    @cached_property
    def run_spec(self) -> RunSpec:
        """What a strategy is told about the run. No code of a user's is run for it."""
        own, workload = self.optimizer, self.workload
        target = None if is_code(workload.name) else registry().get("workload", workload.name).target
        may_bring_own = not isinstance(target, type) or hasattr(target, "optimizer")
        exact: Exact | None = None
        if hasattr(target, "expected_losses"):
            exact = load_workload(workload.name, workload.changed, self.training.seed)  # type: ignore[assignment]
        spec = RunSpec(
            self.training.steps,
            self.training.seed,
            {name: kind() for name, kind in OPTIMIZERS.items()} | {own.settings.name: own.settings},
            None if may_bring_own and own.auto else own.settings.name,
            exact,
        )
        if self.start is None:
            return spec
        at = self.start.at
        return replace(spec, start=at, lr=float(self.start.schedule(at)), checkpoint=self.imported or "a checkpoint")

    def params(self, strategy: str) -> Any:
        if strategy in self.strategies:
            return self.strategies[strategy]
        part = registry().get("strategy", strategy)
        return None if part.params is None else build(part.params, {}, f"{self.source}: strategy.{strategy}")

    def to_toml(self, strategy: str) -> str:
        """The recipe as TOML, with every value that decides the result of this strategy spelt out."""
        params = self.params(strategy)
        return toml_tables(
            {
                "training": asdict(self.training),
                "start": asdict(self.start) if self.start else {},
                "optimizer": self.optimizer.table,
                "divergence": asdict(self.divergence),
                "workload": self.workload.table,
                f"strategy.{strategy}": {} if params is None else asdict(params),
            }
        )


def toml_tables(content: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables as TOML. None is left out."""
    lines: list[str] = []
    for name, table in content.items():
        if table:
            entries = (f"{toml_key(k)} = {toml_value(v)}" for k, v in table.items() if v is not None)
            lines += [f"[{name}]", *entries, ""]
    return "\n".join(lines)


def toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def toml_value(item: Any) -> str:
    """A value as TOML: JSON's spelling, but for tables and for the character 7F.

    >>> toml_value({"a": [1, "b"]})
    '{a = [1, "b"]}'
    """
    if isinstance(item, Mapping):
        return "{" + ", ".join(f"{toml_key(k)} = {toml_value(v)}" for k, v in item.items()) + "}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(map(toml_value, item)) + "]"
    # JSON's \u escapes go in pairs beyond U+FFFF, which TOML refuses.
    return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")
