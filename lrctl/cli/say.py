"""Words on their way to a terminal."""

from __future__ import annotations

import typer

from lrctl.analysis.printable import printable


def say(line: str, *, err: bool = False) -> None:
    """Print a line, whatever it quotes."""
    typer.echo(printable(line), err=err)
