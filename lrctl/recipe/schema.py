"""TOML -> frozen dataclasses. The only place that trusts no input; everything behind it is checked."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from lrctl.contracts import params as fields
from lrctl.contracts.params import Later
from lrctl.contracts.strategy import RunSpec
from lrctl.errors import UsageError, unknown
from lrctl.recipe import toml
from lrctl.recipe.files import NAMES, assign, layers, merge
from lrctl.recipe.optimizers import AUTO, OPTIMIZERS, defaults
from lrctl.recipe.workloads import is_code, load_workload
from lrctl.registry.registry import registry

DEFAULT = "quickstart"
TABLES = ("training", "optimizer", "divergence", "workload", "executor", "strategy")


@dataclass(frozen=True, slots=True)
class Training:
    """The run that a schedule is searched for."""

    steps: Annotated[int, "optimizer updates in the whole run"]
    seed: Annotated[int, "decides initialisation, batches and dropout"] = 0
    device: Annotated[str, "auto, cpu, cuda, ..."] = "auto"
    dtype: Annotated[Literal["float32", "bfloat16"], "bfloat16 is autocast"] = "float32"
    threads: Annotated[int, "CPU threads of each worker; another number gives other bits"] = 1
    micro_batches: Annotated[
        int, "cut each batch into so many pieces, one after another: less memory, the same mean loss", Later()
    ] = 1
    compile: Annotated[bool, "compile the model with torch.compile", Later()] = False
    tf32: Annotated[bool, "TensorFloat-32 matrix products on CUDA: faster, less exact", Later()] = False
    stop_early: Annotated[bool, "stop jobs that cannot be chosen any more; no choice depends on it", Later()] = True

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("seed", 0), ("threads", 1), ("micro_batches", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Divergence:
    """When a job counts as diverged (paper, Appendix A; the second rule looks at a tenth, not at one batch).

    Attributes:
        max_non_finite: more non-finite training losses than this is divergence.
        margin: so is a tail mean greater than the segment's mean plus this, in units of the loss.
    """

    max_non_finite: int = 3
    margin: float = 0.5

    def __post_init__(self) -> None:
        if self.max_non_finite < 0:
            raise ValueError(f"max_non_finite: must be at least 0, got {self.max_non_finite}")
        if not self.margin > 0:
            raise ValueError(f"margin: must be greater than 0, got {self.margin}")


@dataclass(frozen=True, slots=True)
class Choice:
    """A part chosen by name, with its parameters as JSON values."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe as read and checked. `source` names it in messages; `strategy` holds a table per strategy.

    `optimizer_given` tells whether the recipe says anything about the optimizer, `refused` why the workload's code may
    not be run, if so.
    """

    source: str
    training: Training
    optimizer: Choice
    optimizer_given: bool
    divergence: Divergence
    workload: Choice
    executor: Choice
    strategy: Mapping[str, Mapping[str, Any]]
    refused: str = ""

    @property
    def run_spec(self) -> RunSpec:
        """What a strategy is told about the run. No code of a user's is run for it."""
        own, workload = self.named_optimizer, self.workload
        target = None if is_code(workload.name) else registry().get("workload", workload.name).target
        may_bring_own = not isinstance(target, type) or hasattr(target, "optimizer")
        exact: Any = None
        if hasattr(target, "expected_losses"):
            exact = load_workload(workload.name, workload.params, self.training.seed)
        return RunSpec(
            self.training.steps,
            self.training.seed,
            {**{n: defaults(n) for n in OPTIMIZERS}, own["name"]: own},
            None if may_bring_own and self.optimizer.name == AUTO else own["name"],
            exact,
        )

    @property
    def named_optimizer(self) -> dict[str, Any]:
        """Name and settings of the optimizer, for a workload that is not trained with one of its own."""
        return {"name": "adamw" if self.optimizer.name == AUTO else self.optimizer.name, **self.optimizer.params}

    def params(self, strategy: str) -> Any:
        """The parameters of a strategy, as an instance of its dataclass."""
        part = registry().get("strategy", strategy)
        where = f"{self.source}: strategy.{strategy}"
        return fields.build(part.params, self.strategy.get(strategy, {}), where)

    def frozen(self, strategy: str) -> str:
        """The recipe as TOML, with every value that decides the result of this strategy spelt out."""
        return toml.tables(
            {
                "training": fields.spelt_out(self.training),
                "optimizer": {"name": self.optimizer.name, **self.optimizer.params} if self.optimizer_given else {},
                "divergence": asdict(self.divergence),
                "workload": {"name": self.workload.name, **self.workload.params},
                f"strategy.{strategy}": fields.spelt_out(self.params(strategy)),
            }
        )


def read(name: str | None = None, overrides: Mapping[str, Any] | None = None, *, allow_code: bool = False) -> Recipe:
    """The recipe of that name or file (default: quickstart), with overrides by dotted key, checked.

    Raises:
        UsageError: there is no such recipe, it is not TOML, or a table, key or value in it is not allowed.
    """
    tables: dict[str, Any] = {}
    source = refused = ""
    for layer in layers(name or DEFAULT):
        if tables:
            check(tables, source)  # so that a mistake is told of the file that it is in
        tables, source = merge(layer.tables, tables), layer.source
        refused = layer.refused if layer.names_workload else refused
    if allow_code or "workload.name" in (overrides or {}):
        refused = ""
    # Names first: another workload or executor starts from its own defaults.
    for key, value in sorted((overrides or {}).items(), key=lambda item: item[0] not in NAMES):
        assign(tables, key, from_here(value) if key == "workload.name" else value)
    return replace(check(tables, source), refused=refused)


def check(tables: Mapping[str, Any], source: str) -> Recipe:
    """A recipe from raw tables.

    Raises:
        UsageError: a table, key or value in it is not allowed.
    """
    for name, table in tables.items():
        if name not in TABLES:
            raise unknown("table", name, TABLES, f"{source}: [{name}]")
        if not isinstance(table, dict):
            raise UsageError(f"{source}: {name}: must be a table, got {table!r}; write [{name}]")
    for name, params in tables.get("strategy", {}).items():
        part = registry().get("strategy", name, f"{source}: strategy.{name}")
        if not isinstance(params, dict):
            raise UsageError(f"{source}: strategy.{name}: must be a table, got {params!r}")
        fields.build(part.params, params, f"{source}: strategy.{name}")
    return Recipe(
        source,
        training=fields.build(Training, tables.get("training", {}), f"{source}: training"),
        optimizer=check_optimizer(tables.get("optimizer", {}), source),
        optimizer_given=bool(tables.get("optimizer")),
        divergence=fields.build(Divergence, tables.get("divergence", {}), f"{source}: divergence"),
        workload=check_workload(tables.get("workload", {}), source),
        executor=check_executor(tables.get("executor", {}), source),
        strategy=tables.get("strategy", {}),
    )


def check_workload(table: Mapping[str, Any], source: str) -> Choice:
    """The workload table: a registered name or `file.py:Class`, and its parameters, all spelt out."""
    name, params = split_name(table, f"{source}: workload")
    if is_code(name):
        for key, value in params.items():
            check_plain(value, f"{source}: workload.{key}")
        return Choice(name, params)
    if name.endswith(".py"):
        raise UsageError(f"{source}: workload.name: {name} must name a class too, as in {name}:MyWorkload")
    part = registry().get("workload", name, f"{source}: workload.name")
    return Choice(name, fields.spelt_out(fields.build(part.params, params, f"{source}: workload")))


def check_optimizer(table: Mapping[str, Any], source: str) -> Choice:
    """The optimizer table: a known name, and its settings, all spelt out."""
    where = f"{source}: optimizer"
    name, params = split_name({"name": AUTO, **table}, where)
    if name != AUTO and name not in OPTIMIZERS:
        raise unknown("optimizer", name, [AUTO, *OPTIMIZERS], f"{where}.name")
    kind = OPTIMIZERS["adamw" if name == AUTO else name]
    for key in params.keys() - named_in(kind):
        if owners := [each for each, other in OPTIMIZERS.items() if key in named_in(other)]:
            raise UsageError(f"{where}.{key}: it is a setting of {' and '.join(owners)}; set optimizer.name first")
    return Choice(name, asdict(fields.build(kind, params, where)))


def named_in(params: Any) -> set[str]:
    """The names of the parameters that a dataclass declares."""
    return {field.name for field in fields.fields_of(params)}


def check_plain(value: Any, where: str) -> None:
    """Refuse a value of TOML that JSON cannot hold: a date, a time, or a number that is not finite.

    Raises:
        UsageError: names the value.
    """
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            check_plain(item, f"{where}.{key}")
    elif not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise UsageError(f"{where}: must be a string, a finite number, true or false, or a list or table, got {value}")


def check_executor(table: Mapping[str, Any], source: str) -> Choice:
    """The executor table; `auto` takes the parameters of any built-in choice and is resolved by the session."""
    name, params = split_name({"name": "auto", **table}, f"{source}: executor")
    if name == "auto":
        return Choice(name, asdict(fields.build(Auto, params, f"{source}: executor")))
    if name not in (known := [part.name for part in registry().of("executor")]):
        raise unknown("executor", name, ["auto", *known], f"{source}: executor.name")
    part = registry().get("executor", name)
    return Choice(name, asdict(fields.build(part.params, params, f"{source}: executor")))


@dataclass(frozen=True, slots=True)
class Auto:
    """Parameters of the executor `auto`."""

    workers: Annotated[int, "worker processes; 0 is one per CPU core or GPU"] = 0

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"workers: must be at least 0, got {self.workers}")


def split_name(table: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """The `name` of a table and the rest of it."""
    name = table.get("name")
    if not isinstance(name, str):
        raise UsageError(f"{where}.name: must be a string, got {name!r}")
    return name, {key: value for key, value in table.items() if key != "name"}


def from_here(workload: Any) -> Any:
    """A `file.py:Class` relative to the working directory as an absolute path; anything else as it is."""
    if not isinstance(workload, str) or not is_code(workload):
        return workload
    file, _, cls = workload.rpartition(":")
    return f"{Path(file).expanduser().resolve()}:{cls}"


def parse_setting(text: str) -> tuple[str, Any]:
    """`table.key=value` with the value read as TOML, or as a plain string if it is not TOML.

    >>> parse_setting("training.steps=100"), parse_setting("workload.tokenizer=bytes")
    (('training.steps', 100), ('workload.tokenizer', 'bytes'))

    Raises:
        UsageError: there is no `=` or no table.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or "." not in key or not all(key.split(".")):
        raise UsageError(f"--set {text}: must be table.key=value, such as training.steps=100")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value.strip()
