"""Small searches of every kind as command lines, run in this process; and what of their answers must be the same."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from command_line import Done
from lrctl import cli
from searches import settled

GIVEN = """{
  "format": "lrctl-schedule/1",
  "steps": 24,
  "schedule": {"family": "piecewise-linear", "params": {"knots": [[0, 0.0], [4, 0.2], [24, 0.0]]}}
}
"""
"""The schedule.json that `fit-closed-form` is given."""

GRID = ("--grid", "0.3,0.1")
SEGMENTS = ("--segments", "3", "--grid-size", "2", "--grid", "0.3,0.1,0.01")

COMMANDS: dict[str, Sequence[str]] = {
    "semilocal": ("--eps", "0.48", "--decay", *SEGMENTS),
    "local": SEGMENTS,
    "lookahead": ("--budget", "4", *GRID),
    "baseline": ("--family", "wsd", "--family", "linear", *GRID),
    "greedy": ("--against", "plateau:patience=2", "--against", "linear", "--seeds", "0,1", "--initial-lr", "0.05"),
    "shape": tuple(
        "--family cosine --against linear --shapes 2 --score-seeds 1 --top 1 --fresh-seeds 1 --sweep 0".split()  # noqa: SIM905
    )
    + GRID,
    "fit-closed-form": ("given.json", "--tune", "--family", "triangle", "--baseline", "linear", *GRID),
}
"""The flags that make each strategy's search one of a second or so."""

SHARED = (
    *("--recipe", "smoke", "--steps", "24", "--quiet", "--json"),
    *("--set", "workload.noise=1.0", "--set", "workload.dim=4"),
)


def search(command: str, store: Path, executor: str = "serial") -> list[str]:
    """The arguments of a search, to be run in a folder with `given.json`.

    Which jobs of several workers are stopped depends on which is first, and so does the cost: there none is.
    """
    side_by_side = () if executor == "serial" else ("--workers", "2", "--set", "training.stop_early=false")
    return [command, *COMMANDS[command], *SHARED, "--executor", executor, *side_by_side, "--store", str(store)]


def lrctl(*arguments: object) -> Done:
    """Run a command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, code = sys.argv, 0
    sys.argv = ["lrctl", *map(str, arguments)]
    try:
        with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
            warnings.simplefilter("always")
            cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        sys.argv = before
    return Done(code, out.getvalue(), err.getvalue())


def answer(document: dict[str, Any]) -> dict[str, Any]:
    """What a search found, and what it cost, but for seconds and the run's name, which tells the executor."""
    return {name: value for name, value in settled(document).items() if name != "run"}


def differences(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The keys in which two answers differ, and the values there."""
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    return "; ".join(f"{key}: {one.get(key)!r:.200} is not {other.get(key)!r:.200}" for key in keys)
