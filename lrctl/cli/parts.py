"""All that can be named on a command line or in a recipe, and what each takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass
from typing import Any

from lrctl.cli.defaults import shown
from lrctl.contracts.params import fields_of
from lrctl.errors import unknown
from lrctl.registry.parts import KINDS
from lrctl.registry.registry import registry
from lrctl.registry.values import type_name

USES = {
    "strategy": "lrctl {name} --help tells how it is used.",
    "schedule": '--family {name}, where a strategy takes one; in a schedule.json: "family": "{name}".',
    "workload": "--workload {name} --set workload.KEY=VALUE; in a recipe: [workload] with these keys.",
    "executor": "--executor {name} --set executor.KEY=VALUE; in a recipe: [executor] with these keys.",
    "tracker": "--track {name} --set track.{name}.KEY=VALUE; in a recipe: [track] names, and [track.{name}].",
    "optimizer": "--set optimizer.name={name} --set optimizer.KEY=VALUE; in a recipe: [optimizer] with these keys.",
    "recipe": "lrctl recipes show {name} prints it; --recipe {name} takes it.",
    "export target": "lrctl export RUN --to {name}",
    "paper": "lrctl reproduce {name}",
}
"""How a part of a kind is used."""


def every_part() -> list[dict[str, Any]]:
    """A row for each: its kind, name, plugin, marks, help and use; recipes in folders are one row together."""
    return [
        {
            "kind": kind,
            "name": name,
            "plugin": plugin,
            "help": told,
            "marks": marks,
            "use": USES[kind].format(name=name),
        }
        for kind, name, plugin, told, marks in [*registered(), *bundled()]
    ]


def registered() -> Iterator[tuple[str, str, str, str, list[str]]]:
    for kind in KINDS:
        for part in registry().of(kind):
            yield kind, part.name, part.plugin, part.help, sorted(part.marks)


def bundled() -> Iterator[tuple[str, str, str, str, list[str]]]:
    """What lrctl itself brings."""
    from lrctl.contracts.optimizers import OPTIMIZERS
    from lrctl.export.export import TARGETS
    from lrctl.papers.experiments import papers
    from lrctl.recipe import files

    for name, settings in OPTIMIZERS.items():
        yield "optimizer", name, "", (settings.__doc__ or "").partition("\n")[0].rstrip("."), []
    for name in files.bundled():
        if "/" not in name:
            yield "recipe", name, "", summary(name).help.rstrip("."), []
    for name in TARGETS:
        yield "export target", name, "", "what `lrctl export --to` writes for", []
    for name in papers():
        yield "paper", name, "", "its experiments, beside the numbers that it prints", []


@dataclass(frozen=True, slots=True)
class Summary:
    """A recipe in a few words: the command and the sentence that its header begins with, and what it trains."""

    name: str
    command: str
    workload: str
    steps: int | None
    help: str


def summary(name: str) -> Summary:
    from lrctl.recipe.files import find, layers, merge

    header = []
    for line in find(name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        header.append(line.removeprefix("#").strip())
    command, *others = header or [""]
    sentences = re.split(r"(?<!et al)\. (?=[A-Z])", " ".join(others).strip())
    told = next((". ".join(sentences[: n + 1]) for n in range(len(sentences)) if len(sentences[n]) > 30), sentences[0])
    tables: dict[str, Any] = {}
    for layer in layers(name):
        tables = merge(layer.tables, tables)
    workload, training = tables.get("workload", {}), tables.get("training", {})
    return Summary(name, command, str(workload.get("name", "")), training.get("steps"), f"{told.rstrip('.')}.")


def named(name: str) -> list[dict[str, Any]]:
    """The parts of a name: one of each kind that has it.

    Raises:
        UsageError: there is none, and names the nearest.
    """
    parts = every_part()
    if found := [part for part in parts if part["name"] == name]:
        return found
    raise unknown("part", name, {part["name"] for part in parts}, f"lrctl list {name}")


def described(part: dict[str, Any]) -> list[dict[str, str]]:
    """The parameters of a part: name, type, default and help, as text."""
    from lrctl.contracts.optimizers import OPTIMIZERS

    kind, name = part["kind"], part["name"]
    params: Any = OPTIMIZERS[name] if kind == "optimizer" else None
    if kind in KINDS:
        registered = registry().get(kind, name)
        params = registered.target if kind == "schedule" else registered.params
    return [
        {
            "name": each.name,
            "type": type_name(each.type),
            "default": "required" if each.default is MISSING else shown(each.default),
            "help": each.help,
        }
        for each in fields_of(params)
    ]
