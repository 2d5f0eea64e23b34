"""Starts a program and waits for its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lrctl.errors import ProgramError, ProgramMistakeError, UsageError
from lrctl.program import guard
from lrctl.storage.files import cannot_write

LOOK = 60.0
"""Seconds after which it is noted that the working folder is in use, before it counts as left by a killed process."""

ASK = 0.5
"""Seconds between two looks at whether a job that is trained ahead is to be given up."""

USAGE = UsageError.exit_code
"""The exit code of a command that cannot be read, of Python's and its argparse's too."""

LAST = 4096
"""Bytes at the end of a log in which its last line is looked for."""


def launch(
    argv: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    timeout: float,
    given_up: Callable[[], bool] | None = None,
) -> bool:
    """Run a command in the working directory; what it prints goes to a file. Returns False where it was given up.

    Raises:
        ProgramError: it ends with an exit code other than 0, or not within so many seconds (0: for ever).
        ProgramMistakeError: it would end so again.
        StoreError: the log cannot be written.
    """
    process = start(argv, environment, log)
    assert process.stdin is not None
    deadline = time.monotonic() + timeout if timeout else float("inf")
    look = ASK if given_up else LOOK
    try:
        while (code := ended(process, min(look, deadline - time.monotonic()))) is None:
            if given_up and given_up():
                return False
            os.utime(folder)
            if time.monotonic() >= deadline:
                raise ProgramError(f"it has not ended after {timeout:g} seconds, which is workload.timeout")
    finally:
        process.stdin.close()  # so that the guard ends it, if that is not done yet
        if ended(process, 4 * guard.GRACE) is None:
            process.kill()
    if code:
        said = last_line(log)
        raise (ProgramMistakeError if certain(code, said) else ProgramError)(f"it {ending(code)}{quoted(said)}")
    return True


def certain(code: int, said: str) -> bool:
    """Whether it would end so again: arguments or a file that cannot be used, or a rule of lrctl.program's broken."""
    return code == USAGE or said.startswith(f"{UsageError.__module__}.{UsageError.__name__}: ")


def start(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", guard.__file__, *argv]
    # A log that is whole when the program is killed is worth more than the time that a buffer saves.
    variables = {"PYTHONUNBUFFERED": "1", **os.environ, **environment}
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(log, flags, 0o666)
    except OSError as error:
        raise cannot_write(log, error) from error
    with open(descriptor, "wb") as output:
        # In a session of its own, since Ctrl-C is lrctl's to answer.
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=variables,
            start_new_session=True,
        )


def ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code of a process that ends within so many seconds."""
    try:
        return process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return None


def ending(code: int) -> str:
    names = {128 + each: each.name for each in signal.Signals}
    number = code if code > 0 else 128 - code
    hint = " (out of memory?)" if number == 128 + signal.SIGKILL else ""
    return f"was killed by {names[number]}{hint}" if number in names else f"ended with exit code {code}"


def last_line(log: Path) -> str:
    """The last line of a log; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(-min(LAST, os.fstat(file.fileno()).st_size), os.SEEK_END)
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else ""


def quoted(said: str) -> str:
    return f", its last words being {said[-300:]!r}" if said else ""
