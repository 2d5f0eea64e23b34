"""How the program ends: one sentence on stderr, and an exit code."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from lrctl.errors import LrctlError


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. Whatever lets Ctrl-C through lets this through."""


STOPS: dict[int, tuple[type[KeyboardInterrupt], str, int]] = {
    signal.SIGINT: (KeyboardInterrupt, "interrupted", 130),
    signal.SIGTERM: (Terminated, "terminated", 143),
}
"""By signal: what is raised, what is said, and the exit code."""

GO_ON = "the same command, without --fresh, continues where it stopped"


def watch() -> None:
    """Have each of these signals end the program with its sentence, whenever it arrives."""
    listen(end)
    atexit.register(
        listen, signal.SIG_IGN
    )  # last of all: what was done has its exit code, and Python takes itself down
    sys.excepthook = hook(sys.excepthook, lambda kind, *_: kind)
    sys.unraisablehook = hook(sys.unraisablehook, lambda ignored: ignored.exc_type)


def listen(handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> None:
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as Ctrl-C is in a shell's background jobs
            signal.signal(number, handler)


def interrupt(number: int, _: FrameType | None) -> NoReturn:
    """Turn a signal into an exception, so that everything is closed on the way out; another one ends that at once."""
    listen(end)
    raise STOPS[number][0]


def end(number: int, _: FrameType | None) -> NoReturn:
    """End where the program stands, and its workers with it."""
    word, code = STOPS[number][1:]
    os.write(2, f"error: {word}; {GO_ON}\n".encode())
    os._exit(code)


def hook(shown: Callable[..., Any], kind: Callable[..., type[BaseException] | None]) -> Callable[..., Any]:
    """A hook of Python's that ends the program where it would print the traceback of a signal.

    That is where a signal arrives in a destructor, which raises nothing, or in C code that imports a module.
    """

    def hooked(*raised: Any) -> None:
        for number, (stop, *_) in STOPS.items():
            if kind(*raised) is stop:
                end(number, None)
        shown(*raised)

    return hooked


@contextmanager
def reported() -> Iterator[None]:
    """End the program on any error of the block: one sentence on stderr, and an exit code."""
    listen(interrupt)
    try:
        yield
        listen(end)
    except LrctlError as error:
        fail(str(error), error.exit_code, getattr(error, "details", ""))
    except KeyboardInterrupt as error:
        word, code = next((word, code) for stop, word, code in STOPS.values() if type(error) is stop)
        fail(f"{word}; {GO_ON}", code)
    except Exception as error:
        fail(f"{type(error).__name__}: {error}; this is a fault in lrctl or a plugin, --debug shows where", 1)
    finally:
        listen(end)


def fail(message: str, code: int, details: str = "") -> NoReturn:
    if "--debug" in sys.argv:
        print(details or traceback.format_exc(), file=sys.stderr)
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
