"""Searches that are killed (SIGKILL) at random moments and continued, beside the same search left alone.

    PYTHONPATH=tests python -m benchmarks.reliability.kills --count 500 --seed 0

Each case takes a command and an executor in turn, kills the search at a random moment, one time in three its
continuation too, and lets the same command go on to its end: document and cost must be those of the search that was
never killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.reliability.commands import COMMANDS, GIVEN, answer, differences, search
from lrctl import cli
from searches import forkserver

EXECUTORS = ("serial", "processes")
KINDS = tuple(product(COMMANDS, EXECUTORS))


class Forking:
    """How a search's workers start here: with what it has loaded, and each noted in the folder where it runs."""

    Pipe = staticmethod(get_context("fork").Pipe)

    def Process(self, *, target: Any, args: tuple[Any, ...], daemon: bool) -> BaseProcess:  # noqa: N802 - as there
        return get_context("fork").Process(target=noted, args=(target, *args), daemon=daemon)


def noted(target: Any, *args: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as in a process that is spawned
    Path(f"worker-{os.getpid()}").touch()
    target(*args)


def be_the_command(arguments: list[str], folder: Path) -> None:
    """What the process of a search does."""
    import lrctl_executors.processes as processes

    setattr(processes, "get_context", lambda _: Forking())  # noqa: B010 - not one that mypy knows of
    os.chdir(folder)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    sys.argv = ["lrctl", *arguments]
    cli.main()


@dataclass(frozen=True)
class Case:
    """A search in a folder of its own, with further arguments."""

    folder: Path
    command: str
    executor: str
    others: tuple[str, ...] = ()

    def start(self) -> BaseProcess:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "given.json").write_text(GIVEN)
        arguments = [*search(self.command, Path("store"), self.executor), *self.others]
        process = forkserver().Process(target=be_the_command, args=(arguments, self.folder))
        process.start()
        return process

    def killed_after(self, seconds: float) -> bool:
        """Start the search and kill it; whether it was still running."""
        process = self.start()
        process.join(seconds)
        running = process.exitcode is None
        process.kill()
        process.join()
        self.check_workers_ended()
        return running and process.exitcode == -signal.SIGKILL

    def check_workers_ended(self) -> None:
        deadline = time.monotonic() + 30
        for note in self.folder.glob("worker-*"):
            pid = int(note.name.partition("-")[2])
            while alive(pid):
                assert time.monotonic() < deadline, f"worker {pid} outlived its search"
                time.sleep(0.005)
            note.unlink()

    def finished(self) -> dict[str, Any]:
        """Run the search to its end: its answer."""
        process = self.start()
        process.join(120)
        said = (self.folder / "err").read_text()
        assert (process.exitcode, said) == (0, ""), f"exit code {process.exitcode}: {said}"
        self.check_workers_ended()
        return answer(json.loads((self.folder / "out").read_text()))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def measured(folder: Path, command: str, executor: str) -> tuple[dict[str, Any], float]:
    """The answer of a search left alone, and how many seconds it takes."""
    ready = forkserver().Process()
    ready.start()
    ready.join()
    began = time.monotonic()
    found = Case(folder / f"{command}-{executor}", command, executor).finished()
    return found, time.monotonic() - began


def kills(count: int, seed: int, folder: Path) -> tuple[int, list[str]]:
    """Kill so many searches, those that had ended before apart; how many cases that took, and what was wrong."""
    draw, alone, wrong = random.Random(seed), {}, []
    killed, cases = Counter[tuple[str, str]](), 0
    while killed.total() < count:
        kind = KINDS[cases % len(KINDS)]
        if kind not in alone:
            alone[kind] = measured(folder, *kind)
        expected, seconds = alone[kind]
        case = Case(folder / str(cases), *kind)
        times = [draw.uniform(0, seconds) for _ in range(draw.choice((1, 1, 2)))]
        try:
            killed[kind] += sum(case.killed_after(each) for each in times)
            found = case.finished()
            if found != expected:
                wrong.append(f"case {cases} {kind}, killed after {times} s: {differences(found, expected)}")
        except AssertionError as error:
            wrong.append(f"case {cases} {kind}, killed after {times} s: {error}")
        cases += 1
        if cases % 20 == 0:
            print(f"{killed.total()} kills in {cases} cases, {len(wrong)} wrong", file=sys.stderr)
    return cases, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="kills in all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases, wrong = kills(options.count, options.seed, Path(folder))
    print(f"{options.count} kills in {cases} cases: {len(wrong)} wrong", *wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
