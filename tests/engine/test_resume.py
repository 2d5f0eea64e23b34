"""A search that is killed or stopped at any moment goes on with the same command to the same result."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lrctl import cli
from lrctl.storage.store import Store
from searches import LRCTL, facts, forkserver, found, search, settled, smoke

STEPS = 120
LONG = {"training__steps": STEPS, "training__stop_early": False}
"""Which jobs are stopped depends on which of two workers is first, so here none is."""

JOBS = 29
"""Of the smoke search: 9 candidates, three times 6, and the evaluation at the end."""


@pytest.fixture(autouse=True, scope="module")
def ctrl_c_is_heard() -> Iterator[None]:
    """A shell's background jobs ignore Ctrl-C, and so would the commands that these tests start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the search, never interrupted."""
    return settled(search(tmp_path_factory.mktemp("reference") / "store", smoke(**LONG)))


@dataclass
class Victim:
    """A search in a session of its own; `wait` gives its exit code, or None if it runs on for these seconds."""

    pid: int
    folder: Path
    wait: Callable[[float], int | None]

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def wait_for(self, happened: Callable[[], bool], what: str) -> None:
        """Wait until something happened or the search ended."""
        deadline = time.monotonic() + 60
        while not happened() and self.wait(0) is None:
            assert time.monotonic() < deadline, f"no {what} within a minute"
            time.sleep(0.001)

    def names(self, folder: str) -> list[str]:
        """The files in a folder of the store."""
        return os.listdir(self.store / folder) if (self.store / folder).is_dir() else []

    def jobs(self) -> int:
        """How many results are stored."""
        return sum(not name.startswith(".") for name in self.names("jobs"))

    def writes(self) -> bool:
        """Whether a file is being written."""
        return any(name.startswith(".") for folder in ("jobs", "losses", "checkpoints") for name in self.names(folder))

    def alive(self) -> list[int]:
        """Processes of the session that still run."""
        pids = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(session) == self.pid and state != "Z":
                pids.append(int(stat.parent.name))
        return pids

    def left_alone(self) -> bool:
        """Whether all processes of the session end by themselves within half a minute."""
        deadline = time.monotonic() + 30
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self.alive()

    def said(self) -> str:
        """What it printed on stderr, and nothing on stdout."""
        assert (self.folder / "out").read_text() == ""
        return (self.folder / "err").read_text()


def installed(arguments: list[str], folder: Path) -> Victim:
    """The command as it is installed."""
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen([LRCTL, *arguments], stdout=out, stderr=err, start_new_session=True)

    def wait(seconds: float) -> int | None:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    return Victim(process.pid, folder, wait)


def forked(arguments: list[str], folder: Path) -> Victim:
    """The same from a process that has torch loaded already, which saves seconds."""
    process = forkserver().Process(target=run_command, args=(arguments, folder))
    process.start()

    def wait(seconds: float) -> int | None:
        process.join(seconds)
        return process.exitcode

    assert process.pid is not None
    victim = Victim(process.pid, folder, wait)
    victim.wait_for(lambda: victim.alive() == [process.pid], "session of its own")
    return victim


def run_command(arguments: list[str], folder: Path) -> None:
    """Be the command."""
    os.setsid()
    # Ignored where the tests run in the background, blocked where an executor's start made the server of this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["lrctl", *arguments]
    cli.main()


ADAPTIVE = {
    "--optimizer": ("sgd",),
    "--initial-lr": ("0.05",),
    "--against": ("plateau:patience=2", "hypergradient:scope=element,beta=1e-4", "line-search"),
    "--greedy": ("patience=1", "window_size=5"),
    "--seeds": ("0,1",),
}
"""A comparison of every schedule that sees the run: 4 schedules, 2 seeds, the one handed over, its evaluation."""

ADAPTIVE_JOBS = 9


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Victim]]:
    """Starts the search, with an executor and as many workers as are named."""
    victims: list[Victim] = []

    def start(
        how: Callable[[list[str], Path], Victim],
        executor: str,
        *more: str,
        store: Path | None = None,
        command: str = "semilocal",
    ) -> Victim:
        folder = tmp_path / str(len(victims))
        folder.mkdir()
        name, _, workers = executor.partition(" ")
        arguments = [command, "--recipe", "smoke", "--steps", str(STEPS), "--quiet", "--executor", name]
        arguments += ["--set", "training.stop_early=false", *more]
        arguments += ["--workers", workers] if workers else []
        victims.append(how([*arguments, "--store", str(store or folder / "store")], folder))
        return victims[-1]

    yield start
    for victim in victims:
        for pid in victim.alive():
            os.kill(pid, signal.SIGKILL)
        victim.wait(10)


def goes_on(store: Path, reference: dict[str, Any]) -> None:
    """The same search again gives the same result, and trains nothing that is stored."""
    place = Store(store)
    known = {name: fact for name, fact in facts(store).items() if place.record(name.removesuffix(".json"))}
    assert settled(search(store, smoke(**LONG))) == reference
    assert {name: facts(store)[name] for name in known} == known
    assert len(facts(store)) == JOBS
    assert list(facts(store, "checkpoints")) == [f"{reference['checkpoint']}.safetensors"]


KINDS: tuple[tuple[Callable[[list[str], Path], Victim], str], ...] = (
    (forked, "processes 2"),
    (forked, "serial"),
    (forked, "serial"),
    (forked, "processes 1"),
)


def kill_and_go_on(begin: Callable[..., Victim], seed: int, reference: dict[str, Any]) -> None:
    """Kill the parent at a random moment; every other time while a file is being written."""
    draw = random.Random(seed)
    stored, pause = draw.randrange(JOBS - 1), draw.uniform(0, 0.03)
    victim = begin(*KINDS[seed % len(KINDS)])
    victim.wait_for(lambda: victim.jobs() >= stored, f"{stored} jobs")
    if seed % 2:
        victim.wait_for(victim.writes, "write")
    else:
        time.sleep(pause)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(10)
    assert victim.left_alone(), "a worker outlived its parent"
    goes_on(victim.store, reference)


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_a_search_that_was_killed_goes_on(seed: int, begin: Callable[..., Victim], reference: dict[str, Any]) -> None:
    kill_and_go_on(begin, seed, reference)


def lrs(store: Path) -> dict[str, bytes]:
    """The LRs that each job used, bit for bit."""
    place = Store(store)
    return {name: place.losses(name.removesuffix(".json"))["lr"].tobytes() for name in facts(store)}


def has_jobs(store: Path, least: int) -> bool:
    return len(list(store.glob("jobs/[!.]*"))) >= least


def test_schedules_that_see_the_run_give_the_same_lrs_after_kills(begin: Callable[..., Victim], tmp_path: Path) -> None:
    flags = [word for flag, values in ADAPTIVE.items() for value in values for word in (flag, value)]
    whole = begin(forked, "serial", *flags, command="greedy")
    assert whole.wait(60) == 0
    store = tmp_path / "killed"
    for stored in (0, 3, 7):
        killed = begin(forked, "serial", *flags, command="greedy", store=store)
        killed.wait_for(partial(has_jobs, store, stored), f"{stored} jobs")
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait(10)
        known = lrs(store)
        assert len(known) < ADAPTIVE_JOBS, "it was not killed in time"
        assert lrs(whole.store) == lrs(whole.store) | known
    again = begin(forked, "serial", *flags, command="greedy", store=store)
    assert again.wait(60) == 0
    assert lrs(store) == lrs(whole.store)
    assert len(lrs(whole.store)) == ADAPTIVE_JOBS


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(len(KINDS), 54))
def test_a_search_that_was_killed_goes_on_wherever_it_was(
    seed: int, begin: Callable[..., Victim], reference: dict[str, Any]
) -> None:
    kill_and_go_on(begin, seed, reference)


ENDLESS = """
import time
from pathlib import Path
import torch

class Net:
    def __init__(self, seed):
        pass

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        (Path(__file__).parent / "busy").touch()
        time.sleep(60)

    def loss(self, model, batch): ...

    def evaluate(self, model, split):
        return {"loss": 1.0}
"""


def test_a_worker_in_the_middle_of_a_step_ends_with_its_parent(begin: Callable[..., Victim], tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(ENDLESS)
    victim = begin(forked, "processes 1", "--workload", f"{tmp_path / 'net.py'}:Net")
    victim.wait_for((tmp_path / "busy").exists, "step")
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(10)
    assert victim.left_alone(), "a worker outlived its parent"


def ctrl_c(pid: int) -> None:
    """What a terminal does."""
    os.killpg(pid, signal.SIGINT)


def terminate(pid: int) -> None:
    """What `kill` does."""
    os.kill(pid, signal.SIGTERM)


STOPS: dict[str, tuple[Callable[[int], None], int, str, Any, str]] = {
    "Ctrl-C, serial": (ctrl_c, 130, "interrupted", forked, "serial"),
    "Ctrl-C, processes": (ctrl_c, 130, "interrupted", installed, "processes 2"),
    "SIGTERM, serial": (terminate, 143, "terminated", forked, "serial"),
    "SIGTERM, processes": (terminate, 143, "terminated", forked, "processes 1"),
}


@pytest.mark.parametrize(("stop", "code", "word", "how", "executor"), STOPS.values(), ids=STOPS)
def test_a_search_that_is_stopped_says_how_to_go_on(
    stop: Callable[[int], None],
    code: int,
    word: str,
    how: Any,
    executor: str,
    begin: Callable[..., Victim],
    reference: dict[str, Any],
) -> None:
    victim = begin(how, executor)
    victim.wait_for(lambda: victim.jobs() >= 3, "3 jobs")
    stop(victim.pid)
    assert victim.wait(30) == code
    assert victim.left_alone(), "a worker outlived its parent"
    assert victim.said() == f"error: {word}; the same command, without --fresh, continues where it stopped\n"
    assert victim.jobs() < JOBS
    goes_on(victim.store, reference)


def test_ctrl_c_while_workers_start_prints_no_traceback(begin: Callable[..., Victim]) -> None:
    victim = begin(installed, "processes 2")
    victim.wait_for(lambda: len(victim.alive()) >= 3, "worker")
    ctrl_c(victim.pid)
    assert victim.wait(30) == 130
    assert victim.said() == "error: interrupted; the same command, without --fresh, continues where it stopped\n"


def test_searches_that_share_a_store_at_the_same_time_find_the_same(
    begin: Callable[..., Victim], reference: dict[str, Any], tmp_path: Path
) -> None:
    store, small_eps = tmp_path / "store", smoke(strategy__semilocal__eps=0.001, **LONG)
    same = begin(forked, "serial", store=store)
    other = begin(forked, "serial", "--eps", "0.001", store=store)
    other.wait_for(lambda: any(store.glob("jobs/*.json")), "jobs")
    documents = [search(store, smoke(**LONG))]
    assert (same.wait(60), other.wait(60)) == (0, 0)
    expected = search(tmp_path / "alone", small_eps)
    assert expected["checkpoint"] != reference["checkpoint"]
    documents += [search(store, smoke(**LONG)), search(store, small_eps)]
    assert [found(document) for document in documents] == [found(reference), found(reference), found(expected)]
    assert all(Store(store).checkpoint(document["checkpoint"]).exists() for document in documents)
