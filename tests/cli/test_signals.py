"""Ctrl-C and SIGTERM, whenever they arrive: one sentence, and an exit code."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.cli.signals import GO_ON, go_on
from lrctl.export import given
from searches import LRCTL

STOPS = {signal.SIGINT: ("interrupted", 130), signal.SIGTERM: ("terminated", 143)}

SET_UP = """
import atexit, signal, sys
from lrctl.cli.exit import reported
from lrctl.cli.signals import interrupt, listen, watch

def arrives():
    signal.raise_signal(NUMBER)

class Fragile:
    def __del__(self):
        arrives()

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["lrctl", "semilocal"]
watch()
"""

DEATH = """
def lost(*_):
    raise RuntimeError("DataLoader worker is killed")

signal.signal(signal.SIGCHLD, lost)
both = {NUMBER, signal.SIGCHLD}
with reported():
    signal.pthread_sigmask(signal.SIG_BLOCK, both)
    for each in both:
        signal.raise_signal(each)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
"""

MOMENTS = {
    "before anything runs": "arrives()",
    "in a block": "with reported():\n    arrives()",
    "in a library that makes an interrupt of it": (
        "with reported():\n    try:\n        arrives()\n    except KeyboardInterrupt:\n"
        "        raise KeyboardInterrupt from None"
    ),
    "in a destructor of a library that makes an interrupt of it": (
        "class Other(Fragile):\n    def __del__(self):\n        try:\n            arrives()\n"
        "        except KeyboardInterrupt:\n            raise KeyboardInterrupt from None\n"
        "with reported():\n    Other()\n    print('went on')"
    ),
    "as a block ends": "with reported():\n    pass\narrives()",
    "while it is told": "with reported():\n    try:\n        arrives()\n    finally:\n        arrives()",
    "in a destructor": "with reported():\n    Fragile()\n    print('went on')",
    "where nothing catches it": "listen(interrupt)\narrives()",
    "while Python ends": "atexit.register(arrives)",
    "with the death of a loader process": DEATH,
}

WHILE_IMPORTING = """
import signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == MODULE:
            signal.raise_signal(NUMBER)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
sys.argv = "lrctl semilocal --recipe smoke --executor serial --quiet".split()
from lrctl.cli import main
main()
"""


def check_ended(program: str, number: signal.Signals, folder: Path) -> None:
    command = [sys.executable, "-c", program.replace("NUMBER", str(int(number)))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    word, code = STOPS[number]
    assert done.stderr == f"error: {word}; the same command, without --fresh, continues where it stopped\n"
    assert (done.returncode, done.stdout) == (code, "")


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_signal_has_one_sentence_whenever_it_arrives(moment: str, number: signal.Signals, tmp_path: Path) -> None:
    check_ended(SET_UP + moment, number, tmp_path)


@pytest.mark.parametrize("module", ["typer", "lrctl_strategies", "torch", "torch.nn"])
def test_so_it_has_while_modules_are_imported(module: str, tmp_path: Path) -> None:
    program = WHILE_IMPORTING.replace("MODULE", repr(module))
    check_ended(program, signal.SIGTERM, tmp_path)


@pytest.mark.parametrize(
    ("command", "goes_on"),
    [
        ("semilocal --quiet", True), ("--debug baseline", True), ("reproduce semi-local", True), ("a-plugins", True),
        ("semilocal --dry-run", False), ("export latest", False), ("--debug runs list", False), ("--help", False),
        ("", False),
    ],
)  # fmt: skip
def test_only_a_command_that_goes_on_says_so(command: str, goes_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lrctl", *command.split()])
    assert go_on() == (GO_ON if goes_on else "")


def test_an_export_that_is_interrupted_has_nothing_to_go_on_with(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "exported", lambda *_: signal.raise_signal(signal.SIGINT))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts with & ignore Ctrl-C
    done = lrctl("export", "latest", "--to", "csv")
    assert (done.code, done.error) == (130, "error: interrupted")


def test_ctrl_c_is_not_heard_where_it_is_ignored(tmp_path: Path) -> None:
    program = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SET_UP.replace(
        "signal.signal(signal.SIGINT, signal.default_int_handler)", ""
    )
    command = [sys.executable, "-c", program.replace("NUMBER", "signal.SIGINT") + MOMENTS["in a block"]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_changes_nothing_once_all_is_done(tmp_path: Path) -> None:
    """Python takes modules down, for a second where torch is among them, and hears no signals meanwhile."""
    program = (
        SET_UP + "\nsignal.last = type('Last', (), {'__del__': lambda _, kill=signal.raise_signal: kill(NUMBER)})()"
    )
    command = [sys.executable, "-c", program.replace("NUMBER", str(int(signal.SIGTERM)))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_search_that_is_terminated_at_any_moment_says_one_sentence(executor: str, tmp_path: Path) -> None:
    draw, ended = random.Random(executor), 0
    command = [LRCTL, "semilocal", "--recipe", "smoke", "--quiet", "--executor", executor, "--store"]
    began = time.monotonic()
    subprocess.run([*command, tmp_path / "whole"], check=True, capture_output=True)
    whole = time.monotonic() - began
    for i in range(32):
        with subprocess.Popen([*command, tmp_path / str(i)], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as search:
            time.sleep(0.3 + draw.random() * whole)
            search.terminate()
            _, error = search.communicate()
        assert (search.returncode, error) in (
            (0, b""),
            (143, b"error: terminated; the same command, without --fresh, continues where it stopped\n"),
        )
        ended += search.returncode == 143
    assert ended > 16


def test_entering_the_command_line_often_wraps_no_hook_twice() -> None:
    program = (
        "import sys; from lrctl.cli.signals import watch; watch(); once = sys.excepthook, sys.unraisablehook; watch(); "
        "assert once == (sys.excepthook, sys.unraisablehook)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
