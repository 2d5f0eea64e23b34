"""TOML -> frozen dataclasses. The only place that trusts no input; everything behind it is checked."""

from __future__ import annotations

import math
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from lrctl import documents
from lrctl.contracts.optimizers import OPTIMIZERS, AdamW, ByName
from lrctl.contracts.params import fields_of
from lrctl.errors import UsageError, unknown
from lrctl.recipe.classes import MODULE, file_of, workloads_in
from lrctl.recipe.files import NAMES, assign, layers, merge
from lrctl.recipe.optimizers import code_of, from_here, is_class
from lrctl.recipe.schema import AUTO, Choice, Divergence, Idle, OptimizerChoice, Recipe, Track, Training
from lrctl.recipe.start import Start
from lrctl.recipe.workloads import is_code, is_program, located
from lrctl.registry.registry import registry
from lrctl.registry.values import build, convert

DEFAULT = "quickstart"
PROGRAM = "workload.command"
"""The key of the program that a workload with the mark `program` starts."""

DEPENDS = "workload.depends"
"""The key of the files that decide what a program trains beside those that its command names."""

CHECKPOINT = "start.checkpoint"
"""The key of the checkpoint that a run under way goes on from."""

TABLES = ("training", "start", "optimizer", "divergence", "workload", "executor", "track", "strategy")

START_FLAGS = {"checkpoint": "--from", "at": "--at", "past": "--past"}
"""What sets each key of the table start."""

FOUND = "the LR is what a search finds: leave it out; a strategy's grid says which LRs it tries first"
INSTEAD = {
    "optimizer.lr": FOUND,
    "training.lr": FOUND,
    "training.epochs": "a run is as long as its updates: set training.steps, or give --epochs 3 on the command line",
    "training.batch_size": "the batches are the workload's: set workload.batch_size",
    "training.weight_decay": "set optimizer.weight_decay",
}
"""What to set in place of keys that other tools have."""


def read(
    name: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    allow_code: bool = False,
    stored: bool = False,
) -> Recipe:
    """The recipe of that name or file (default: quickstart), with overrides by dotted key, checked.

    Args:
        name: of a bundled recipe, or a TOML file.
        overrides: what the user named, so that code among it may run.
        allow_code: whether the user trusts code that the recipe names.
        stored: whether the file is a run's in a store, which never names code that runs.

    Raises:
        UsageError: there is no such recipe, it is not TOML, or a table, key or value in it is not allowed.
    """
    tables: dict[str, Any] = {}
    source = refused = ""
    for layer in layers(name or DEFAULT):
        if tables:
            check(tables, source)  # so that a mistake is told of the file that it is in
        tables, source = merge(layer.tables, tables), layer.source
        if layer.code is not None:
            refused = layer.code and refusal(name if stored else source, layer.code, stored)
    if (allow_code and not stored) or "workload.name" in (overrides or {}):
        refused = ""
    # Names first: another workload, which may bring an optimizer, another executor and optimizer start from defaults.
    order = {key: place for place, key in enumerate(NAMES)}
    for key, value in sorted((overrides or {}).items(), key=lambda item: order.get(item[0], len(order))):
        assign(tables, key, FROM_HERE[key](value) if key in FROM_HERE else value)
    if stored:
        tables.pop("start", None)  # what is found of a run is for all of it
    check_text(tables, source)
    own = "--workload" if "workload.name" in (overrides or {}) else ""
    checked = replace(check(tables, source, own), named=CHECKPOINT in (overrides or {}))
    if is_program(checked.workload.name):
        named = (allow_code and not stored) or PROGRAM in (overrides or {})
        refused = "" if named else program_refusal(name if stored else source, checked.workload.params.command, stored)
    if is_class(checked.optimizer.name) and not ((allow_code and not stored) or "optimizer.name" in (overrides or {})):
        refused = refused or optimizer_refusal(name if stored else source, checked.optimizer.name, stored)
    return replace(checked, refused=refused)


def optimizer_refusal(source: str | None, code: str, stored: bool) -> str:
    """Why the class of an optimizer that nobody named is not loaded, and what to do."""
    trusted = "" if stored else ", or give --allow-code (allow_code=True in Python)"
    return (
        f"{source}: optimizer.name: {code} is Python code, and {'a store' if stored else 'a recipe'} runs none; if you "
        f"trust it, name it yourself with --set {shlex.quote(f'optimizer.name={code}')}{trusted}"
    )


def refusal(source: str | None, code: str, stored: bool) -> str:
    """Why code that nobody named is not run, and what to do."""
    named = f"{source}: workload.name: {code} is Python code, and {'a store' if stored else 'a recipe'} runs none; "
    trusted = "" if stored else ", or give --allow-code (allow_code=True in Python)"
    return f"{named}if you trust it, name it yourself with --workload {shlex.quote(code)}{trusted}"


def program_refusal(source: str | None, command: str, stored: bool) -> str:
    """Why a program that nobody named is not started, and what to do; one that is missing is told of later."""
    if not command:
        return ""
    trusted = "" if stored else ", or give --allow-code (allow_code=True in Python)"
    return (
        f"{source}: {PROGRAM}: {command!r} is a program, and {'a store' if stored else 'a recipe'} starts none; "
        f"if you trust it, name it yourself with --program {shlex.quote(command)}{trusted}"
    )


def check(tables: Mapping[str, Any], source: str, own: str = "") -> Recipe:
    """The recipe of these tables; `own` is the flag that names the workload, if the user did."""
    for name, table in tables.items():
        if name not in TABLES:
            raise unknown("table", name, TABLES, f"{source}: [{name}]")
        if not isinstance(table, dict):
            raise UsageError(f"{source}: {name}: must be a table, got {table!r}; write [{name}]")
    for key, instead in INSTEAD.items():
        name, _, setting = key.partition(".")
        if setting in tables.get(name, {}):
            raise UsageError(f"{source}: {key}: unknown key; {instead}")
    # First: a table that was meant for a strategy is told of as that.
    strategies = {name: check_strategy(name, each, source) for name, each in tables.get("strategy", {}).items()}
    training: Training = build(Training, tables.get("training", {}), f"{source}: training")
    track, trackers = check_track(tables.get("track", {}), source)
    executor, idle = check_executor(tables.get("executor", {}), source)
    return Recipe(
        source,
        training=training,
        start=check_start(tables["start"], training.steps, source) if tables.get("start") else None,
        optimizer=check_optimizer(tables.get("optimizer", {}), source),
        divergence=build(Divergence, tables.get("divergence", {}), f"{source}: divergence"),
        workload=check_workload(tables.get("workload", {}), source, own),
        executor=executor,
        strategies=strategies,
        track=track,
        trackers=trackers,
        speculate=idle.speculate,
    )


def check_start(table: Mapping[str, Any], steps: int, source: str) -> Start:
    """The start table, which is whole or not there."""
    if missing := [flag for name, flag in START_FLAGS.items() if name not in table]:
        raise UsageError(
            f"{source}: start: a run that is under way is told by --from, --at and --past together; give {missing[0]}"
        )
    start: Start = build(Start, table, f"{source}: start")
    start.check_within(steps, source)
    start = replace(start, checkpoint=str(located(Path(start.checkpoint), "--from")))
    start.schedule  # noqa: B018 - so that what is wrong with it shows now
    return start


def check_text(value: Any, where: str) -> None:
    """Refuse text that no file of UTF-8 can hold: the bytes of a name that is in another encoding."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            check_text(key, where)
            check_text(item, f"{where}: {key}")
    elif isinstance(value, str) and value.encode(errors="ignore").decode() != value:
        raise UsageError(f"{where}: must be UTF-8, but is not, got {value!r}; rename what is called that")


def check_strategy(name: str, table: Any, source: str) -> Any:
    where = f"{source}: strategy.{name}"
    part = registry().get("strategy", name, where)
    if not isinstance(table, dict):
        raise UsageError(f"{where}: must be a table, got {table!r}")
    return build(part.params, table, where)


def check_workload(table: Mapping[str, Any], source: str, own: str = "") -> Choice:
    """The workload table: a registered name or `file.py:Class`, and its parameters, all spelt out."""
    name, params = split_name(table, f"{source}: workload")
    if is_code(name):
        for key, value in params.items():
            check_plain(value, f"{source}: workload.{key}")
        return Choice(name, params)
    where = own or f"{source}: workload.name"
    if name.endswith(".py"):
        found = [f"{name}:{each}" for each in workloads_in(Path(name).expanduser())]
        hint = f"as in {name}:MyWorkload" if not found else f"did you mean {' or '.join(found)}?"
        raise UsageError(f"{where}: {name} must name what is in it too{';' if found else ','} {hint}")
    part = registry().get("workload", name, where)
    return Choice(name, build(part.params, params, f"{source}: workload"))


def check_optimizer(table: Mapping[str, Any], source: str) -> OptimizerChoice:
    where = f"{source}: optimizer"
    name, params = split_name({"name": AUTO, **table}, where)
    if is_class(name):
        if "code" in params:
            raise unknown("key", "code", named_in(ByName) - {"name", "code"}, f"{where}.code")
        check_plain(params.get("options", {}), f"{where}.options")
        return OptimizerChoice(
            build(ByName, {"name": name, "code": code_of(name), **params}, where), auto=False, given=True
        )
    if name != AUTO and name not in OPTIMIZERS:
        raise unknown("optimizer", name, [AUTO, *OPTIMIZERS], f"{where}.name")
    kind = AdamW if name == AUTO else OPTIMIZERS[name]
    check_own(params.keys() - named_in(kind), name, OPTIMIZERS, where)
    return OptimizerChoice(build(kind, params, where), auto=name == AUTO, given=bool(table))


def named_in(params: Any) -> set[str]:
    return {field.name for field in fields_of(params)}


def check_plain(value: Any, where: str) -> None:
    """Refuse a value that no document of ours holds: a date, a time, or a number that is not finite, or too large."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            check_plain(item, f"{where}.{key}")
    elif isinstance(value, int):
        convert(value, type(value), where)
    elif not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise UsageError(f"{where}: must be a string, a finite number, true or false, or a list or table, got {value}")


def check_executor(table: Mapping[str, Any], source: str) -> tuple[Choice, Idle]:
    """The executor table; `auto` takes the parameters of any built-in choice and is resolved by the session."""
    where = f"{source}: executor"
    name, params = split_name({"name": AUTO, **table}, where)
    if name not in (known := [AUTO, *registry().names("executor")]):
        raise unknown("executor", name, known, f"{where}.name")
    kind = Auto if name == AUTO else registry().get("executor", name).params
    idle = {key: params.pop(key) for key in named_in(Idle) & params.keys()}
    if strange := params.keys() - named_in(kind):
        check_own(strange, name, {part.name: part.params for part in registry().of("executor")}, where)
    return Choice(name, build(kind, params, where)), build(Idle, idle, where)


def check_own(keys: Iterable[str], name: str, parts: Mapping[str, Any], where: str) -> None:
    """Refuse settings that other parts have than the one that is chosen."""
    for key in sorted(keys):
        if owners := [each for each, params in parts.items() if key in named_in(params)]:
            table = where.rpartition(": ")[2]
            raise UsageError(
                f"{where}.{key}: it is a setting of {', '.join(owners)}, and {table}.name is {name!r}; change that, or "
                "leave the setting out"
            )


def check_track(table: Mapping[str, Any], source: str) -> tuple[Track, tuple[Choice, ...]]:
    """The track table: the trackers by name, and a table of parameters for each that needs any."""
    where = f"{source}: track"
    params = {name: value for name, value in table.items() if isinstance(value, dict)}
    track = build(Track, {key: value for key, value in table.items() if key not in params}, where)
    found = {name: check_tracker(name, each, f"{where}.{name}") for name, each in params.items()}
    found |= {name: check_tracker(name, {}, f"{where}.names") for name in track.names if name not in found}
    return track, tuple(found[name] for name in dict.fromkeys(track.names))


def check_tracker(name: str, params: Mapping[str, Any], where: str) -> Choice:
    return Choice(name, build(registry().get("tracker", name, where).params, params, where))


@dataclass(frozen=True, slots=True)
class Auto:
    workers: Annotated[int, "worker processes; 0 is one per CPU core, or `per_gpu` per GPU"] = 0
    per_gpu: Annotated[int, "jobs side by side on a GPU, where `workers` is 0; nothing on a CPU"] = 1

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("per_gpu", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: must be at least {least}, got {getattr(self, name)}")


def split_name(table: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    name = table.get("name")
    if not isinstance(name, str):
        raise UsageError(f"{where}.name: must be a string, got {name!r}")
    return name, {key: value for key, value in table.items() if key != "name"}


def optimizer_from_here(name: Any) -> Any:
    return from_here(name, "--set optimizer.name") if isinstance(name, str) and is_class(name) else name


def workload_from_here(workload: Any) -> Any:
    """A `file.py:Class` of this folder, or `pkg.module:Class`, with its full path; anything else as it is."""
    if isinstance(workload, str) and not is_code(workload) and MODULE.fullmatch(workload):
        workload = file_of(workload, Path.cwd(), f"--workload {workload}")
    if not isinstance(workload, str) or not is_code(workload):
        return workload
    file, _, cls = workload.rpartition(":")
    return f"{located(Path(file), '--workload')}:{cls}"


FROM_HERE = {"workload.name": workload_from_here, "optimizer.name": optimizer_from_here}


def parse_setting(text: str) -> tuple[str, Any]:
    """`table.key=value` with the value read as TOML, or as a plain string if it is not TOML.

    >>> parse_setting("training.steps=100"), parse_setting("workload.tokenizer=bytes")
    (('training.steps', 100), ('workload.tokenizer', 'bytes'))
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if key.count(".") >= documents.DEEPEST:
        raise UsageError(f"--set {text}: nested more than {documents.DEEPEST} levels deep")
    if not equals or "." not in key or not all(key.split(".")):
        raise UsageError(f"--set {text}: must be table.key=value, such as training.steps=100")
    try:
        tables = documents.from_toml(f"value = {value}")
    except tomllib.TOMLDecodeError:
        tables = {}
    except ValueError as error:
        raise UsageError(f"--set {text}: {error}") from error
    return key, tables["value"] if len(tables) == 1 else value.strip()  # with line breaks it may be a whole recipe
