from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path

import pytest
from hypothesis import settings

from command_line import Done, Lrctl
from lrctl import cli
from lrctl.registry import registry as plugins

# Each core has a process of its own here: more threads would wait for each other, and take twenty times as long.
os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is first imported

settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("slow", max_examples=300, deadline=None)
settings.load_profile("quick")  # unless pytest is given --hypothesis-profile=slow

collect_ignore = ["benchmarks", "data"]  # they need packages that the tests do not, or are run by tests
collect_ignore_glob = ["*/conftest.py"]  # they have no doctests, and one name: one would be taken for another


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is imported by now and stays: the Trainer has it run after each training."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts() -> Iterator[None]:
    """Waiting for the disk is what takes longest in many tests, and none pulls the plug."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def lrctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Lrctl]:
    """The command line in a working directory of the test's own; the process is left as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("LRCTL_STORE", raising=False)
    monkeypatch.setattr(sys, "path", sys.path[:])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for hook in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, hook, getattr(sys, hook))

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["lrctl", *map(str, arguments)])
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            with pytest.raises(SystemExit) as end:
                cli.main()
        return Done(end.value.code if isinstance(end.value.code, int) else 0, *capsys.readouterr())

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def as_in_a_job() -> Iterator[None]:
    """Torch as jobs have it, for the length of a test."""
    from lrctl.training.quiet import quiet_torch

    with quiet_torch(1):
        yield


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Pretends that these modules, given as Python source, are installed plugins beside the built-in ones."""
    others: list[EntryPoint] = []
    folder = tmp_path / "site"
    folder.mkdir()

    def install(**sources: str) -> None:
        for name, source in sources.items():
            (folder / f"{name}.py").write_text(source)
            monkeypatch.delitem(sys.modules, name, raising=False)
            others.append(EntryPoint(name, name, "lrctl"))
        plugins.registry.cache_clear()

    def found(*, group: str) -> EntryPoints:
        return EntryPoints([*entry_points(group=group), *others])

    monkeypatch.delenv("LRCTL_PLUGINS", raising=False)
    monkeypatch.setattr(plugins, "entry_points", found)
    monkeypatch.syspath_prepend(str(folder))
    plugins.registry.cache_clear()
    yield install
    plugins.registry.cache_clear()
    for other in others:
        sys.modules.pop(other.name, None)
