"""Programs of the page on them, as files, and recipes that train with them."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from docs.pages import ROOT, blocks
from lrctl.contracts.job import TrainSpec
from lrctl.engine.prepare import prepare
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe

PAGE = ROOT / "lrctl" / "guide" / "reference" / "program.md"
"""Its examples are the programs of the tests."""

LOOKAHEAD: dict[str, Any] = {"training__steps": 40, "strategy__lookahead__budget": 4.0}
SEMILOCAL: dict[str, Any] = {
    "training__steps": 24,
    "strategy__semilocal__segments": 3,
    "strategy__semilocal__grid_size": 2,
    "strategy__semilocal__grid": (1.0, 0.3, 0.1),
    "strategy__semilocal__eps": 0.05,
}


def write(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """One of the programs as a file, with some of its text replaced."""
    (code,) = (code for code in blocks(PAGE, "python") if code.startswith(f"# {name}\n"))
    for old, new in changes:
        assert code.count(old) == 1, old
        code = code.replace(old, new)
    path = folder / name
    path.write_text(code, encoding="utf-8")
    return path


def command(program: Path, *arguments: str) -> str:
    return shlex.join([sys.executable, str(program), *arguments])


def recipe(program: str, **overrides: Any) -> Recipe:
    """The recipe `smoke` with a program; `training__steps=20` stands for `training.steps`."""
    changes = {name.replace("__", "."): value for name, value in overrides.items()}
    return recipes.read("smoke", {"workload.name": "program", "workload.command": program, **changes})


def spec_of(program: str, **overrides: Any) -> TrainSpec:
    return prepare(recipe(program, training__steps=20, **overrides))


def tell_job(folder: Path, start: int, stop: int, **changed: Any) -> Path:
    """The files of a job in a folder, as lrctl writes them; the LR of step t is t / 2 if no others are given."""
    files = {name: str(folder / name) for name in ("lrs.npy", "losses.npy", "result.json", "save")}
    np.save(files["lrs.npy"], changed.pop("lrs", 0.5 * np.arange(start, stop)))
    job = {
        "format": "lrctl-job/1",
        "start": start,
        "stop": stop,
        "steps": 10,
        "seed": 3,
        "lrs": files["lrs.npy"],
        "resume": None,
        "save": files["save"],
        "evaluate": ["validation"],
        "score_batches": 0,
        "losses": files["losses.npy"],
        "result": files["result.json"],
        **changed,
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path
