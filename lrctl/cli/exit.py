"""How the program ends: one sentence on stderr, and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from lrctl.errors import LrctlError


class Terminated(BaseException):
    """SIGTERM arrived."""


def terminate(*_: object) -> None:
    """Turn SIGTERM into an exception, so that everything is closed on the way out."""
    raise Terminated


@contextmanager
def reported() -> Iterator[None]:
    """End the program on any error of the block: one sentence on stderr, and an exit code."""
    try:
        yield
    except LrctlError as error:
        fail(str(error), error.exit_code, getattr(error, "details", ""))
    except KeyboardInterrupt:
        fail("interrupted; the same command, without --fresh, continues where it stopped", 130)
    except Terminated:
        fail("terminated; the same command, without --fresh, continues where it stopped", 143)
    except Exception as error:
        fail(f"{type(error).__name__}: {error}; this is a fault in lrctl or a plugin, --debug shows where", 1)


def fail(message: str, code: int, details: str = "") -> NoReturn:
    if "--debug" in sys.argv:
        typer.echo(details or traceback.format_exc(), err=True)
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)
