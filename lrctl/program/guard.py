"""Runs a command to its end, and ends it with all that it started as soon as whoever asked for it is gone.

A process of its own, which imports nothing of lrctl: `python guard.py COMMAND ...`. Its stdin is a pipe into which
nobody writes, and whose end means that the other side is gone, however it went. Its exit code is the command's.

It is two processes, so that either may be killed: the second starts the command and ends it with the pipe; the first
inherits what the second has left behind, and the pipe ends soon after the first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

GRACE = 5.0
"""Seconds that processes have to end after they were asked to."""

SUBREAPER = 36
"""Linux: what is left by processes below this one becomes its child, and so can be found."""


def main(command: list[str]) -> int:
    inherit()
    if not (second := os.fork()):
        return run(command)
    code = os.waitstatus_to_exitcode(os.waitpid(second, 0)[1])
    if code < 0:
        end_what_is_left()
    return code if code >= 0 else 128 - code


def inherit() -> None:
    with suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def run(command: list[str]) -> int:
    inherit()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=end_with_asker, args=(process,), daemon=True).start()
    code = process.wait()
    end_what_is_left()
    return code if code >= 0 else 128 - code


def end_with_asker(process: subprocess.Popen[bytes]) -> None:
    os.read(0, 1)
    # Asked first: one that has started others in sessions of their own, such as torchrun, ends them.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(OSError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return


def end_what_is_left() -> None:
    """End the processes that the command has left behind; on Linux only, where they can be found."""
    began = time.monotonic()
    while left := children():
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGTERM if time.monotonic() - began < GRACE else signal.SIGKILL)
        time.sleep(0.05)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def children() -> list[int]:
    try:
        return [int(pid) for pid in Path("/proc/thread-self/children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # the thread that waits for stdin is left behind
