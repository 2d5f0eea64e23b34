"""Commands that are known by name and help until they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from shutil import get_terminal_size
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from lrctl.cli.examples import EXAMPLES, HEADINGS
from lrctl.cli.exit import reported

FRAMED = 80
"""Columns of a terminal from which on the help of a command has frames."""

SYNONYMS = {"rm": "remove", "delete": "remove", "del": "remove", "ls": "list", "cat": "show", "info": "show"}
"""What other tools call a command."""


class Deferred(TyperCommand):
    """A command that is built when it is called, completed or asked for its help.

    Reading the annotations of every command takes longer than all else that `lrctl --help` does.
    """

    def __init__(self, name: str, text: str | None, build: Callable[[], Any], heading: str) -> None:
        super().__init__(name, help=text)
        self.build, self.heading = build, heading

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """The context of the command itself, which Typer goes on with."""
        with reported():
            command = self.build()
        return command.make_context(*arguments, **extra)


class Group(TyperGroup):
    """Commands, of which one that there is not names the nearest."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        from lrctl.errors import UsageError, unknown

        if not ctx.resilient_parsing and args[0] not in self.commands and not args[0].startswith("-"):
            name = "lrctl" if ctx.parent is None else f"lrctl {ctx.info_name}"
            if (other := SYNONYMS.get(args[0])) in self.commands:
                raise UsageError(f"{name} {args[0]}: unknown command; did you mean '{other}'?")
            error = unknown("command", args[0], self.commands, f"{name} {args[0]}")
            if ctx.info_name == "runs" and (args[0] == "latest" or "did you mean" not in str(error)):
                raise UsageError(f"{name} {args[0]}: unknown command; `lrctl runs show {args[0]}` shows a run")
            raise error
        return super().resolve_command(ctx, args)


class Root(Group):
    """`lrctl` itself: its help has the commands under headings, each with a whole sentence."""

    def format_commands(self, _: Any, formatter: Any) -> None:
        commands: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            sentence = (command.help or "").partition("\n")[0]
            commands.setdefault(getattr(command, "heading", ""), []).append((name, sentence))
        for heading, rows in commands.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def later(name: str, command: Callable[..., None] | typer.Typer) -> Deferred:
    heading = next((heading for heading, names in HEADINGS.items() if name in names), [*HEADINGS][-1])
    if isinstance(command, typer.Typer):
        return Deferred(name, command.info.help, lambda: group(name, command), heading)
    return Deferred(name, inspect.getdoc(command), lambda: built(command, EXAMPLES.get(name, "")), heading)


def group(name: str, app: typer.Typer) -> Any:
    """A command with commands of its own, each with its example."""
    found: Any = typer.main.get_command(app)
    for inner, command in [("", found), *found.commands.items()]:
        finish(command, EXAMPLES.get(f"{name} {inner}".strip(), ""))
    return found


def built(function: Callable[..., None], example: str = "") -> Any:
    app = typer.Typer(rich_markup_mode="rich", add_completion=False)
    app.command()(function)
    return finish(typer.main.get_command(app), example)


def finish(command: Any, example: str) -> Any:
    """Give a command its example, and take the type away that Typer shows of flags without a value."""
    from rich.markup import escape

    if example:
        command.epilog = f"Example: {escape(example)}"
    asked = command.get_help_option

    def with_help(ctx: Any) -> Any:
        if option := asked(ctx):
            option.metavar = ""
        return option

    command.get_help_option = with_help
    if get_terminal_size().columns < FRAMED:
        without_frames(command)
    for param in command.params:
        if getattr(param, "is_bool_flag", False):
            param.metavar = ""
    return command


def without_frames(command: Any) -> None:
    """Have the help of a command in plain text: within frames there is no room for the names of its options."""
    from rich.markup import render

    command.rich_markup_mode = None
    for each in (command, *command.params):
        if getattr(each, "help", None):
            each.help = render(each.help).plain
    if command.epilog:
        command.epilog = render(command.epilog).plain
