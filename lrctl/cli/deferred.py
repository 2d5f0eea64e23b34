"""Commands that are known by name and help until they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from lrctl.cli.exit import reported


class Deferred(TyperCommand):
    """A command that is built when it is called, completed or asked for its help.

    Reading the annotations of every command takes longer than all else that `lrctl --help` does.
    """

    def __init__(self, name: str, text: str | None, build: Callable[[], Any]) -> None:
        super().__init__(name, help=text)
        self.build = build

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """The context of the command itself, which Typer goes on with."""
        with reported():
            command = self.build()
        return command.make_context(*arguments, **extra)


def later(name: str, command: Callable[..., None] | typer.Typer) -> Deferred:
    if isinstance(command, typer.Typer):
        return Deferred(name, command.info.help, lambda: typer.main.get_command(command))
    return Deferred(name, inspect.getdoc(command), lambda: built(command))


def built(function: Callable[..., None]) -> Any:
    app = typer.Typer(rich_markup_mode="rich", add_completion=False)
    app.command()(function)
    return typer.main.get_command(app)
