"""How the program ends when it is told to: Ctrl-C and SIGTERM, whenever they arrive. Imports next to nothing."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable
from functools import cache
from types import FrameType
from typing import Any, NoReturn

from lrctl.cli.examples import HEADINGS
from lrctl.errors import Terminated

STOPS: dict[int, tuple[type[KeyboardInterrupt], str, int]] = {
    signal.SIGINT: (KeyboardInterrupt, "interrupted", 130),
    signal.SIGTERM: (Terminated, "terminated", 143),
}
"""By signal: what is raised, what is said, and the exit code."""

GO_ON = "; the same command, without --fresh, continues where it stopped"

NOTHING_KEPT = {name for names in HEADINGS.values() for name in names} - {"reproduce"}
"""Commands that begin anew each time: all but those that search."""


class Document:
    """Whether the one JSON document of `--json` was printed: there is no second one, whatever happens then."""

    told = False


DOCUMENT = Document()


class Arrived:
    """The signal that is turned into an exception: Ray makes a KeyboardInterrupt of any that goes through it."""

    number: int = signal.SIGINT


ARRIVED = Arrived()


def wants_json() -> bool:
    return "--json" in sys.argv


def go_on() -> str:
    """What is said of the command that was called, once a signal has ended it."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    return "" if command is None or command in NOTHING_KEPT or "--dry-run" in sys.argv else GO_ON


def watch() -> None:
    """Have each of these signals end the program with its sentence, whenever it arrives."""
    DOCUMENT.told, ARRIVED.number = False, signal.SIGINT
    listen(end)
    guard()


@cache
def guard() -> None:
    """What is done once in a process, however often the command line is entered."""
    atexit.register(listen, signal.SIG_IGN)  # last of all: what was done has its exit code
    sys.excepthook = hook(sys.excepthook, lambda kind, *_: kind)
    sys.unraisablehook = hook(sys.unraisablehook, lambda ignored: ignored.exc_type)


def listen(handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> None:
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as Ctrl-C is in a shell's background jobs
            signal.signal(number, handler)


def interrupt(number: int, _: FrameType | None) -> NoReturn:
    """Turn a signal into an exception, so that everything is closed on the way out; another one ends that at once."""
    listen(end)
    # The same signal may have ended loader processes of torch's, whose death would raise an error in place of this one.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    ARRIVED.number = number
    raise STOPS[number][0]


def end(number: int, _: FrameType | None) -> NoReturn:
    """End where the program stands, and its workers with it."""
    word, code = STOPS[number][1:]
    if wants_json() and not DOCUMENT.told:
        os.write(1, f'{{"format": "lrctl-error/1", "error": "{word}{go_on()}", "exit_code": {code}}}\n'.encode())
    os.write(2, f"error: {word}{go_on()}\n".encode())
    os._exit(code)


def hook(shown: Callable[..., Any], kind: Callable[..., type[BaseException] | None]) -> Callable[..., Any]:
    """A hook of Python's that ends the program where it would print the traceback of a signal.

    That is where a signal arrives in a destructor, which raises nothing, or in C code that imports a module.
    """

    def hooked(*raised: Any) -> None:
        if kind(*raised) in [stop for stop, *_ in STOPS.values()]:
            end(ARRIVED.number, None)
        shown(*raised)

    return hooked
