"""Writes the generated parts of the guide: what stands below the mark in each of these pages.

    python tests/docs/generate.py

Commands are told by their `--help`, recipe keys and schedule families by the dataclasses.
"""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING
from pathlib import Path
from typing import Any, get_args, get_origin

from rich.text import Text

REFERENCE = Path(__file__).parents[2] / "lrctl" / "guide" / "reference"
MARK = "<!-- All below is made by `python tests/docs/generate.py`. -->\n"
WIDTH = 100


def main() -> None:
    os.environ["LRCTL_PLUGINS"] = ""  # the built-in parts only
    for name in PAGES:
        path = REFERENCE / name
        path.write_text(generated(name, path.read_text(encoding="utf-8")), encoding="utf-8")


def generated(name: str, text: str) -> str:
    """A page as it should be: what a person wrote above the mark, and what is generated below."""
    head, _, _ = text.partition(MARK)
    return f"{head}{MARK}\n" + "\n\n".join(PAGES[name]()) + "\n"


# Commands


def commands() -> Iterator[str]:
    from lrctl.cli.commands import application

    root = application()
    yield from command_help("lrctl", root)
    for name, command in root.commands.items():
        yield from command_help(name, command.build(), depth=2)


def command_help(name: str, command: Any, depth: int = 1) -> Iterator[str]:
    path = name if depth == 1 else f"lrctl {name}"
    yield f"## {name if depth > 1 else 'lrctl itself'}\n\n```text\n{plain_help(path, command)}\n```"
    if depth > 1:
        for inner, each in getattr(command, "commands", {}).items():
            yield from command_help(f"{name} {inner}", each, depth + 1)


def plain_help(path: str, command: Any) -> str:
    """A command's `--help` without frames and colours, and as it is whatever the width of the terminal."""
    command.rich_markup_mode = None
    for shown in [command, *command.params]:
        for field in ("help", "epilog"):
            if text := getattr(shown, field, None):
                setattr(shown, field, Text.from_markup(text).plain)
    context = command.context_class(command, info_name=path, terminal_width=WIDTH, max_content_width=WIDTH)
    context.help_option_names = ["-h", "--help"]
    return "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())


# Recipe keys


def recipe_keys() -> Iterator[str]:
    from lrctl.contracts.optimizers import OPTIMIZERS
    from lrctl.recipe.schema import Divergence, Idle, Track, Training
    from lrctl.recipe.start import Start
    from lrctl.registry.parts import KINDS
    from lrctl.registry.registry import registry

    yield "## [training]\n\n" + fields(Training)
    yield f"## [start]\n\n{told(Start)}\n\n{fields(Start)}"
    yield "## [divergence]\n\n" + fields(Divergence)
    yield "## [track]\n\n" + fields(Track)
    yield "## Optimizers\n\n`[optimizer] name = ...`, and"
    for name, settings in OPTIMIZERS.items():
        yield f"### {name}\n\n{told(settings)}\n\n{fields(settings)}"
    for kind in ("workload", "executor", "tracker", "strategy"):
        yield f"## {KINDS[kind].capitalize()}"
        if kind == "executor":
            yield f"### Every executor\n\n{told(Idle)}\n\n{fields(Idle)}"
        for part in registry().of(kind):
            yield f"### {part.name}\n\n{sentence(part.help)}\n\n{fields(part.params)}"


def fields(declared: Any) -> str:
    """The fields of a dataclass, an item each."""
    from lrctl.contracts.params import fields_of

    return "\n".join(item(field) for field in fields_of(declared)) or "No keys."


def item(field: Any) -> str:
    default = "required" if field.default is MISSING else f"default {toml(field.default)}"
    help_ = f": {field.help}" if field.help else ""
    return wrapped(f"- `{field.name}` ({kind_of(field.type)}, {default}){help_}", "  ")


def toml(value: Any) -> str:
    from lrctl.recipe.schema import toml_value

    return "none" if value is None else f"`{toml_value(value)}`"


def kind_of(kind: Any) -> str:
    arguments = [kind_of(each) for each in get_args(kind) if each not in (type(None), ...)]
    if get_origin(kind) is tuple:
        return f"list of {arguments[0]}"
    if str(kind).startswith("typing.Literal"):
        return "one of " + ", ".join(f"`{each}`" for each in get_args(kind))
    names = {"int": "whole number", "float": "number", "str": "text", "bool": "true or false"}
    return " or ".join(arguments) or names.get(getattr(kind, "__name__", ""), str(kind))


# Schedule families


def schedules() -> Iterator[str]:
    from lrctl.registry.registry import registry

    for part in registry().of("schedule"):
        yield f"## {part.name}\n\n{sentence(part.help)}\n\n{told(part.target)}\n\n{fields(part.target)}"


def told(declared: Any) -> str:
    """A docstring as Markdown: its sections are lines of their own, and its examples code."""
    text = inspect.getdoc(declared) or ""
    return re.sub(r"(?m)^(?:>>>.*\n?)(?:.+\n?)*", lambda found: indented(found[0]), text).strip()


def indented(text: str) -> str:
    return textwrap.indent(text, "    ")


def sentence(text: str) -> str:
    return wrapped(text[:1].upper() + text[1:] + ".")


def wrapped(text: str, indent: str = "") -> str:
    return "\n".join(textwrap.wrap(text, 120, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False))


PAGES: dict[str, Callable[[], Iterable[str]]] = {
    "commands.md": commands,
    "recipe-keys.md": recipe_keys,
    "schedules.md": schedules,
}


if __name__ == "__main__":
    main()
