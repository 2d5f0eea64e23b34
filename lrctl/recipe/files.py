"""Where a recipe's text is found, and what it extends: raw tables, unchecked."""

from __future__ import annotations

import copy
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lrctl import documents
from lrctl.errors import UsageError
from lrctl.recipe.workloads import is_code, located

NAMES = ("workload.name", "executor.name", "optimizer.name")
"""Keys that tell what the others in their table are about."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The tables of one recipe, without those of the recipe it extends.

    `code` is the `file.py:Class` that it names, with its full path; empty where its workload is a registered one, and
    None where it names none.
    """

    source: str
    tables: dict[str, Any]
    code: str | None


def layers(name: str) -> list[Layer]:
    """A recipe given by name or file, after the recipe that it extends, if any, and so on: the first extends none."""
    path = find(name)
    source = path.name if is_file_name(name) else name
    found: list[Layer] = []
    seen: list[Path] = []
    while path.resolve() not in seen:
        seen.append(path.resolve())
        tables = parse(path)
        base = tables.pop("extends", None)
        tables.pop("paper", None)  # what a paper prints: see lrctl/papers/reproduce.py
        code_in(tables.get("optimizer"), path.parent, f"{source}: optimizer.name")
        code = code_in(tables.get("workload"), path.parent, f"{source}: workload.name")
        found.append(Layer(source, tables, code))
        if base is None:
            return found[::-1]
        path, source = extended(base, path.parent, source), str(base)
    loop = [layer.source for layer in found[seen.index(path.resolve()) :]]
    raise UsageError(f"{loop[-1]}: extends: {' -> '.join([*loop, loop[0]])} is a loop; one of them must extend nothing")


def parse(path: Path) -> dict[str, Any]:
    try:
        return documents.from_toml(documents.text(path))
    except ValueError as error:
        raise UsageError(f"{path}: not TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"--recipe {path}: cannot be read: {error.strerror}") from error


def extended(base: Any, folder: Path, source: str) -> Path:
    where = f"{source}: extends"
    if not isinstance(base, str):
        raise UsageError(f"{where}: must be a recipe's name or a TOML file, got {base!r}")
    if not base.endswith(".toml"):
        if base not in bundled():
            raise UsageError(f"{where}: unknown recipe '{base}'; {hint(base)}")
        return bundled()[base]
    path = located(folder / base, where)
    if not path.is_relative_to(folder.resolve()):
        raise UsageError(f"{where}: {base} is outside the recipe's folder; move it there, or extend a bundled recipe")
    if not os.path.isfile(path):
        raise UsageError(f"{where}: {base}: there is no such file in {folder}")
    return path


def merge(tables: Mapping[str, Any], onto: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a recipe laid over those that it extends: its keys win, key by key, in `[strategy.NAME]` too.

    Another workload, executor or optimizer starts from its own defaults, as with `assign`.
    """
    merged = copy.deepcopy(dict(onto))
    for name in (key.partition(".")[0] for key in NAMES):
        if name in merged and isinstance(tables.get(name), dict) and "name" in tables[name]:
            restart(merged, name, tables[name]["name"])
    for name, table in tables.items():
        below = merged.get(name)
        if name == "strategy" and isinstance(table, dict) and isinstance(below, dict):
            table = {strategy: laid(params, below.get(strategy)) for strategy, params in table.items()}
        merged[name] = laid(table, below)
    return merged


def laid(table: Any, onto: Any) -> Any:
    """A table over another, key by key; what is no table takes the other's place."""
    return onto | table if isinstance(table, dict) and isinstance(onto, dict) else table


def assign(tables: dict[str, Any], key: str, value: Any) -> None:
    """Set `table.key` (or `strategy.name.key`) in raw tables."""
    *path, last = key.split(".")
    table: Any = tables
    for part in path:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {key}: {part} is not a table")
    if key in NAMES:
        restart(tables, path[0], value)
    table[last] = value


def restart(tables: dict[str, Any], table: str, name: Any) -> None:
    """Empty a table whose `name` will be another.

    Another workload, executor or optimizer has other keys; another workload is not to be trained with the settings of
    an optimizer that were chosen for this one.
    """
    if tables[table].get("name") != name:
        tables[table].clear()
        if table == "workload":
            tables.pop("optimizer", None)


def is_file_name(name: str) -> bool:
    return name.endswith(".toml") or ("/" in name and name not in bundled())


def find(name: str) -> Path:
    if name in bundled():
        return bundled()[name]
    if not is_file_name(name):
        raise UsageError(f"--recipe {name}: unknown recipe; {hint(name)}")
    if not os.path.lexists(name):
        raise UsageError(f"--recipe {name}: there is no such file; {hint(name, 'give a TOML file or ')}")
    return Path(name)


@cache
def bundled() -> dict[str, Path]:
    """The recipes that come with lrctl, by name: inside the package once installed, beside it in a checkout.

    The name of one in a subfolder begins with that: `folder/name`.
    """
    package = Path(__file__).parents[1]
    folder = package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.toml"))}


def hint(name: str, first: str = "") -> str:
    """What to give in place of a name that is no recipe: the nearest, those in that folder, or an overview."""
    if inside := [each for each in bundled() if each.startswith(f"{name}/")]:
        return f"it is a folder; choose from: {', '.join(inside)}"
    if near := difflib.get_close_matches(name, bundled(), n=1):
        return f"did you mean '{near[0]}'?"
    overview = {f"{top}/..." if rest else top for top, _, rest in (each.partition("/") for each in bundled())}
    return f"{first}choose from: {', '.join(sorted(overview))}"


def code_in(table: Any, folder: Path, where: str) -> str | None:
    """A `Layer.code`, of the workload or the optimizer; a file in its table is resolved against the recipe's folder."""
    if not isinstance(table, dict) or "name" not in table:
        return None
    name = table["name"]
    if not isinstance(name, str) or not is_code(name):
        return ""
    file, _, cls = name.rpartition(":")
    table["name"] = f"{located(folder / file, where)}:{cls}"
    return str(table["name"])
