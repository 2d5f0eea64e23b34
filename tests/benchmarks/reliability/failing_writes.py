"""Each write of a command fails in turn; the same command afterwards gives the answer that it gives without a fault.

    PYTHONPATH=tests python -m benchmarks.reliability.failing_writes

Every open, write, fsync, rename, unlink, rmdir and mkdir below a store or an output folder fails once with ENOSPC, once
with EIO and once with EACCES (--count N: a random N of these). The command must end with exit code 1 and one sentence,
or do its work all the same, with a warning at most; then the same command must succeed, with the same answer.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.reliability.commands import COMMANDS, GIVEN, lrctl, search
from benchmarks.reliability.faults import watched
from command_line import Done
from searches import found

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
STORE, OUT = Path("place/store"), Path("place/out")


@dataclass
class Fault:
    """The operation that fails, counted from 0 on; none does if `at` is negative."""

    at: int = -1
    code: int = 0
    seen: list[tuple[str, Path]] = field(default_factory=list)

    def __call__(self, operation: str, path: Path) -> None:
        self.seen.append((operation, path))
        if len(self.seen) - 1 == self.at:
            raise OSError(self.code, os.strerror(self.code), str(path))


@dataclass(frozen=True)
class Task:
    """A command, and the state of the place where it is given."""

    before: Path
    arguments: list[str]

    def do(self, fault: Fault) -> Done:
        with watched(Path("place"), fault):
            return lrctl(*self.arguments)

    def restore(self) -> None:
        shutil.rmtree("place", ignore_errors=True)
        shutil.copytree(self.before, "place", symlinks=True)

    def answer(self, done: Done) -> Any:
        """What it told, if that is a document, and what lies in the output folder."""
        out = {path.name: path.read_bytes() for path in OUT.iterdir() if path.suffix != ".png"}
        told = json.loads(done.out) if done.out.startswith("{") else {}
        return (found(told) if "schedule" in told else None), out


def tasks(folder: Path) -> Iterator[tuple[str, Task]]:
    """Searches in an empty store; then, in a store with a finished run, all else that writes."""
    empty, full = folder / "empty", folder / "full"
    (empty / "out").mkdir(parents=True)
    for command in COMMANDS:
        yield command, Task(empty, search(command, STORE))
    task = Task(empty, search("semilocal", STORE))
    task.restore()
    run = lrctl(*task.arguments).document["run"]
    lrctl(*search("local", STORE), "--name", "other")
    lrctl("runs", "remove", "other", "--yes", "--store", STORE)
    shutil.copytree("place", full)
    where = ("--store", str(STORE))
    yield "--fresh", Task(full, [*task.arguments, "--fresh"])
    yield "gc", Task(full, ["gc", *where])
    yield "runs remove", Task(full, ["runs", "remove", run, "--yes", *where])
    yield "export", Task(full, ["export", run, "--to", "csv", "--out", str(OUT / "lrs.csv"), *where])
    yield "report", Task(full, ["report", run, "--out", str(OUT), *where])


def wrong_in(task: Task, fault: Fault, expected: Any) -> str:
    """What is wrong with a command that met a fault, and with the same command after it; empty if nothing is."""
    task.restore()
    done = task.do(fault)
    sentence = done.code == 1 and done.err.startswith("error: ") and done.err.count("\n") == 1
    warned = done.code == 0 and all(line.startswith("warning: ") for line in done.err.splitlines())
    if "fault in lrctl" in done.err or not (sentence or warned or (task.arguments[0] in SAYING and done.code == 0)):
        return f"exit code {done.code}: {done.err}"
    if done.code == 0 and task.answer(done) != expected:
        return f"another answer, without an error: {done.err}"
    again = lrctl(*task.arguments)
    gone = task.arguments[:2] == ["runs", "remove"] and again.code == 2 and "unknown run" in again.err
    if again.code and not gone:
        return f"the same command again ended with exit code {again.code}: {again.err}"
    return "" if task.answer(again) == expected else "the same command again gave another answer"


SAYING = ("gc", "runs", "report", "export")
"""Commands that say on stderr what they did."""


def failing_writes(folder: Path, count: int | None, draw: random.Random) -> tuple[Counter[str], list[str]]:
    """Let the operations of each command fail; how many did, by operation, and what was wrong."""
    tried, wrong = Counter[str](), []
    for name, task in tasks(folder):
        task.restore()
        sound = Fault()
        expected = task.answer(task.do(sound))
        faults = [(at, code) for at in range(len(sound.seen)) for code in ERRORS]
        if count is not None:
            faults = sorted(draw.sample(faults, min(count, len(faults))))
        for at, code in faults:
            fault = Fault(at, code)
            said = wrong_in(task, fault, expected)
            operation, path = fault.seen[at] if at < len(fault.seen) else ("nothing", Path())
            tried[operation] += 1
            if said:
                about = path.relative_to(Path("place").resolve()) if path.is_absolute() else path
                wrong.append(f"{name}: {operation} {about} ({at}): {errno.errorcode[code]}: {said}")
        print(f"{name}: {len(sound.seen)} operations, {len(faults)} faults, {len(wrong)} wrong so far", file=sys.stderr)
    return tried, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="at most so many faults of each command")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("given.json").write_text(GIVEN)
        tried, wrong = failing_writes(Path(folder), options.count, random.Random(options.seed))
        os.chdir("/")
    print(f"{tried.total()} faults {dict(tried)}: {len(wrong)} wrong", *wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
