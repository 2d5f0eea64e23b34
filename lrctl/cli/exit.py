"""How the program ends: one sentence on stderr, and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from lrctl.analysis.printable import printable, printable_lines, shortened
from lrctl.cli.say import say
from lrctl.cli.signals import ARRIVED, DOCUMENT, STOPS, end, go_on, interrupt, listen, wants_json
from lrctl.errors import LrctlError
from lrctl.registry.registry import registry

MISUSE: Any = typer.BadParameter.__base__
"""What Typer raises for arguments that it cannot read; only this one kind of it has a public name."""


class Ended(SystemExit):
    """The program ends, and has said why."""


@contextmanager
def reported(plugin: str = "", *, may_exit: bool = False) -> Iterator[None]:
    """End the program on any error of the block: one sentence on stderr, and an exit code.

    `plugin` is the one, if any, whose part the block is about. Unless the block `may_exit`, code in it that calls
    `sys.exit` does not decide how the program ends: exit codes have meanings here.
    """
    listen(interrupt)
    try:
        yield
        listen(end)
    except LrctlError as error:
        fail(str(error), error.exit_code, getattr(error, "details", ""))
    except MISUSE as error:
        from lrctl.cli.misuse import sentence

        fail(sentence(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _, word, code = STOPS[ARRIVED.number]
        fail(f"{word}{go_on()}", code)
    except BaseException as error:
        if isinstance(error, Ended) or (may_exit and isinstance(error, SystemExit)):
            raise
        whose = registry().plugin_of(error) or plugin
        fault = f"this is a fault in plugin {whose}" if whose else "this is a fault in lrctl"
        fail(f"{type(error).__name__}: {error}; {fault}, --debug shows where", 1)
    finally:
        listen(end)


def fail(message: str, code: int, details: str = "") -> NoReturn:
    if "--debug" in sys.argv:
        typer.echo(printable_lines(details or traceback.format_exc()), err=True)
    text = printable(shortened(message))
    if wants_json() and not DOCUMENT.told:
        from lrctl.cli.options import print_json

        print_json({"format": "lrctl-error/1", "error": text, "exit_code": code})
    say(f"error: {text}", err=True)
    raise Ended(code)
