"""Two searches at a time on one store, step by step, with gc, removals, fresh starts and kills between any two writes.

    PYTHONPATH=tests python -m benchmarks.reliability.sharing --steps 10000

A state machine of hypothesis. Each search is a process that stops before each of its file operations until it is told
to go on, so that they meet at every moment, and is killed with SIGKILL. A search must end without an error, with the
answer that it has in a store of its own and a cost that was really paid; what finished is whole until it is removed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from contextlib import nullcontext
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

import searches
from benchmarks.reliability.commands import lrctl
from benchmarks.reliability.faults import CHANGES, changed_by, watched
from lrctl.storage import remote
from lrctl.storage.files import ASIDE
from searches import forkserver, small
from storages import fresh as fresh_place
from storages import make_old, raw, s3_here

EPS = (0.48, 0.0)
"""What tells the searches apart that share a store: they have the jobs of their first segment in common, and more."""

STEPS_A_JOB, STEPS_A_MACHINE, PORTION = 8, 50, 500


def stepped(pipe: Connection, store: Path, eps: float, fresh: bool) -> None:
    """Be a search that asks before each operation that changes its store."""

    def ask(operation: str, path: Path) -> None:
        pipe.send((operation, path))
        pipe.recv()

    warnings.simplefilter("ignore")
    try:
        with watched(store, ask):
            document = searches.search(store, small(strategy__semilocal__eps=eps), fresh=fresh)
    except BaseException as error:
        pipe.send(("error", f"{type(error).__name__}: {error}"))
    else:
        pipe.send(("done", document))


class Asked:
    """A storage as a search sees it that has each call answered by whoever steps it."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def __getattr__(self, method: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            self.pipe.send(("call", (method, arguments, options)))
            answer, error = self.pipe.recv()
            if error:
                raise error
            return answer

        return call


def stepped_elsewhere(pipe: Connection, url: str, path: str, cache: str, eps: float, fresh: bool) -> None:
    """The same at a URL, of a storage that only the process that steps it sees."""
    os.environ["LRCTL_CACHE"] = cache
    warnings.simplefilter("ignore")
    try:
        with patch.object(remote, "opened", lambda *_: (Asked(pipe), path)):
            document = searches.search(url, small(strategy__semilocal__eps=eps), fresh=fresh)
    except BaseException as error:
        pipe.send(("error", f"{type(error).__name__}: {error}"))
    else:
        pipe.send(("done", document))


class Search:
    """A search in a process of its own, which stands before the operation that it has last told."""

    def __init__(self, store: Path | str, eps: float, fresh: bool = False) -> None:
        self.eps, self.fresh, self.call = eps, fresh, None
        self.pipe, theirs = forkserver().Pipe()
        target: Any = stepped
        arguments: tuple[Any, ...] = (theirs, store, eps, fresh)
        if isinstance(store, str):
            self.system, path = remote.opened(store, os.getpid())
            target, arguments = stepped_elsewhere, (theirs, store, path, os.environ["LRCTL_CACHE"], eps, fresh)
        self.process = forkserver().Process(target=target, args=arguments)
        self.process.start()
        theirs.close()
        self.stands: tuple[str, Any] = self.told()
        self.trained = 0

    def told(self) -> tuple[str, Any]:
        """The next operation that changes something, or the end; what only looks is answered at once."""
        while True:
            what, told = self.pipe.recv()
            if what != "call":
                return what, told
            method, arguments, _ = told
            if method in CHANGES:
                self.call = told
                return method, changed_by(method, arguments)
            self.pipe.send(self.answer(told))

    def answer(self, call: Any) -> tuple[Any, Exception | None]:
        method, arguments, options = call
        try:
            return getattr(self.system, method)(*arguments, **options), None
        except Exception as error:
            return None, error

    @property
    def ended(self) -> bool:
        return self.stands[0] in ("done", "error")

    def go_on(self, operations: int) -> None:
        while operations and not self.ended:
            operation, path = self.stands
            self.trained += operation in ("rename", "pipe_file") and path.parent.name == "jobs"
            self.pipe.send(self.answer(self.call) if self.call else None)
            self.call = None
            self.stands = self.told()
            operations -= 1

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@cache
def alone(eps: float) -> dict[str, Any]:
    """The result of a search that has its store for itself."""
    with tempfile.TemporaryDirectory() as folder:
        search = Search(Path(folder, "store"), eps)
        search.go_on(100_000)
        search.process.join()
    assert search.stands[0] == "done", search.stands
    document: dict[str, Any] = search.stands[1]
    return document


class Sharing(RuleBasedStateMachine):
    """What may happen to a store."""

    counted: ClassVar = Counter[str]()
    kind: ClassVar = "folder"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        os.environ["LRCTL_CACHE"] = str(self.folder / "cache")
        self.store, self.running, self.trained = fresh_place(self.kind, self.folder), list[Search](), 0
        self.finished = set[float]()

    def has(self, name: str) -> bool:
        return bool((raw(self.store) / name).exists())

    @precondition(lambda self: len(self.running) < 2)
    @rule(eps=st.sampled_from(EPS), fresh=st.booleans())
    def begin(self, eps: float, fresh: bool) -> None:
        self.counted["begin"] += 1
        if fresh:
            self.finished.discard(eps)
        self.running.append(Search(self.store, eps, fresh))
        self.look(self.running[-1])

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 1), operations=st.integers(1, 20))
    def go_on(self, which: int, operations: int) -> None:
        self.counted["go on"] += 1
        search = self.running[which % len(self.running)]
        search.go_on(operations)
        self.look(search)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 1), operations=st.integers(20, 300))
    def go_far(self, which: int, operations: int) -> None:
        self.go_on(which, operations)

    @precondition(lambda self: self.has("store.json"))
    @rule(what=st.sampled_from(("kill", "gc", "remove")), which=st.integers(0, 1), hours=st.integers(0, 2))
    def disturb(self, what: str, which: int, hours: int) -> None:
        self.counted[what] += 1
        if what == "kill":
            self.kill(which)
        elif what == "gc":
            self.collect(hours)
        else:
            self.remove(EPS[which])
        self.check_whole()

    def kill(self, which: int) -> None:
        if self.running:
            search = self.running.pop(which % len(self.running))
            self.trained += search.trained
            search.kill()
            if search.fresh:  # it may have taken the result away
                self.finished.discard(search.eps)

    def collect(self, hours: int) -> None:
        """Run gc after so many hours."""
        for path in raw(self.store).rglob("*"):
            if path.is_file() and not path.name.startswith(ASIDE):
                make_old(path, 3600.0 * hours)
        done = lrctl("gc", "--store", self.store)
        assert done.code == 0, done.err

    def remove(self, eps: float) -> None:
        name = alone(eps)["run"]
        if self.has(f"runs/{name}"):
            done = lrctl("runs", "remove", name, "--yes", "--store", self.store)
            assert done.code == 0, done.err
        self.finished.discard(eps)

    def look(self, search: Search) -> None:
        """Whether a search that has ended found what it finds alone, at a cost that was paid."""
        if not search.ended:
            return
        self.running.remove(search)
        search.process.join()
        self.trained += search.trained
        how, document = search.stands
        assert how == "done", document
        expected = alone(search.eps)
        assert searches.found(document) == searches.found(expected)
        cost, paid = document["cost"], STEPS_A_JOB * (self.trained + sum(each.trained for each in self.running))
        assert cost["jobs"] == expected["cost"]["jobs"]
        assert STEPS_A_JOB * (cost["jobs"] - cost["jobs_reused"]) <= cost["steps_trained"] <= paid, (cost, paid)
        if self.has(f"runs/{document['run']}/result.json"):
            self.finished.add(search.eps)
        self.counted["searches that ended"] += 1
        self.check_whole()

    def check_whole(self) -> None:
        """Whether what finished is as it was handed over."""
        for eps in self.finished - {search.eps for search in self.running if search.fresh}:
            done = lrctl("export", alone(eps)["run"], "--to", "csv", "--store", self.store)
            assert (done.code, done.err) == (0, ""), done.err

    def teardown(self) -> None:
        while self.running:
            self.kill(0)
        try:
            self.check_whole()
            for eps in EPS:
                last = Search(self.store, eps)
                last.go_on(100_000)
                last.process.join()
                assert last.stands[0] == "done", last.stands
                assert searches.found(last.stands[1]) == searches.found(alone(eps))
        finally:
            shutil.rmtree(self.folder)


def taken() -> int:
    return Sharing.counted.total() - Sharing.counted["searches that ended"]


def share(steps: int, kind: str = "folder") -> Counter[str]:
    """Take so many steps in all, in a kind of storage; the first that breaks a promise raises, with what led to it."""
    Sharing.counted.clear()
    Sharing.kind = kind
    while (left := steps - taken()) > 0:
        chosen = settings(
            max_examples=max(1, min(left, PORTION) // STEPS_A_MACHINE),
            stateful_step_count=min(steps, STEPS_A_MACHINE),
            deadline=None,
            database=None,
            phases=(Phase.generate,),  # a failure is seldom met twice in the same way
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Sharing, settings=chosen)
        print(f"{taken()} steps: {dict(Sharing.counted)}", file=sys.stderr, flush=True)
    return Sharing.counted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--storage", choices=("folder", "memory", "s3"), default="folder")
    options = parser.parse_args()
    with s3_here() if options.storage == "s3" else nullcontext():
        counted = share(options.steps, options.storage)
    print(f"{taken()} steps in {options.storage}, none wrong: {dict(counted)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
