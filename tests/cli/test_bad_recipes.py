"""Recipes that cannot be used: one sentence each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import lrctl as api
from cli.inputs import NET
from command_line import Lrctl, refused
from lrctl.errors import UsageError

RECIPE = """
[training]
steps = 8

[workload]
name = "linear-regression"

[executor]
name = "serial"

[strategy.semilocal]
segments = 2
grid_size = 2
grid = [0.1, 0.01]
"""

BAD_RECIPES = {
    "table": ("[executor]", "[executer]", "r.toml: [executer]: unknown table; did you mean 'executor'?"),
    "key": ("steps = 8", "step = 8", "r.toml: training.step: unknown key; did you mean 'steps'?"),
    "strategy key": ("grid_size", "gridsize", "r.toml: strategy.semilocal.gridsize: unknown key; did you mean 'grid_"),
    "string for int": ("steps = 8", "steps = '8'", "r.toml: training.steps: must be a whole number, got '8'"),
    "float for int": ("steps = 8", "steps = 8.0", "r.toml: training.steps: must be a whole number, got 8.0"),
    "bool for int": ("steps = 8", "steps = true", "r.toml: training.steps: must be a whole number, got True"),
    "range": ("steps = 8", "steps = 0", "r.toml: training.steps: must be at least 1, got 0"),
    "missing": ("steps = 8", "seed = 1", "r.toml: training.steps: missing; give a whole number"),
    "no table": (
        "[training]",
        "training = 3\n[optimizer]",
        "r.toml: training: must be a table, got 3; write [training]",
    ),
    "choice": ("steps = 8", "steps = 8\ndtype = 'float16'", "training.dtype: must be one of 'float32', 'bfloat16'"),
    "workload": (
        "linear",
        "linaer",
        "r.toml: workload.name: unknown workload 'linaer-regression'; did you mean 'lin",
    ),
    "no workload": ('name = "linear-regression"', "dim = 3", "r.toml: workload.name: must be a string, got None"),
    "executor": ('"serial"', '"seral"', "r.toml: executor.name: unknown executor 'seral'; did you mean 'serial'?"),
    "workers": ('"serial"', '"processes"\nworkers = -1', "r.toml: executor.workers: must be at least 0, got -1"),
    "strategy": ("semilocal", "semilocl", "r.toml: strategy.semilocl: unknown strategy; did you mean 'semilocal'?"),
    "no strategy table": (
        "[strategy.semilocal]",
        "[strategy]\nlocal = 1\n[divergence]",
        "strategy.local: must be a table",
    ),
    "segments": (
        "segments = 2",
        "segments = 9",
        "segments: 9 is more than the run's 8 steps; lower --segments or raise",
    ),
    "eps": ("segments = 2", "eps = -0.1", "r.toml: strategy.semilocal.eps: must be at least 0, got -0.1"),
    "nan": ("segments = 2", "eps = nan", "r.toml: strategy.semilocal.eps: must be a finite number, got nan"),
    "list": ("[0.1, 0.01]", "'0.1'", "strategy.semilocal.grid: must be a list of numbers, got '0.1'"),
    "item": ("[0.1, 0.01]", "[0.1, 'x']", "strategy.semilocal.grid[1]: must be a number, got 'x'"),
    "empty grid": (
        "[0.1, 0.01]",
        "[]",
        "strategy.semilocal.grid: must hold LRs greater than 0 and at most 3.4e+38, got []",
    ),
    "grid of 0": ("[0.1, 0.01]", "[0.1, 0]", "strategy.semilocal.grid: must hold LRs greater than 0"),
    "max_lr": ("[0.1, 0.01]", "[0.1]\nmax_lr = 0.01", "max_lr: no LR of the grid is at most 0.01; raise it above 0.1"),
    "betas": ("[executor]", "[optimizer]\nbetas = [1.5]\n[executor]", "optimizer.betas: must be two numbers in [0, 1)"),
    "divergence": ("[executor]", "[divergence]\nmargin = 0\n[executor]", "divergence.margin: must be greater than 0"),
    "not TOML": ("steps = 8", "steps = = 8", "r.toml: not TOML: Invalid value (at line 3, column 9)"),
}


@pytest.mark.parametrize(("old", "new", "message"), BAD_RECIPES.values(), ids=BAD_RECIPES)
def test_a_recipe_that_cannot_be_used_is_one_sentence(old: str, new: str, message: str, lrctl: Lrctl) -> None:
    text = RECIPE.replace(old, new)
    if old == "semilocal":
        text = text.replace("strategy.semilocal", "strategy.semilocl")
    assert text != RECIPE
    Path("r.toml").write_text(text)
    refused(lrctl("semilocal", "--recipe", "r.toml"), message)


def test_the_recipe_that_the_others_spoil_can_be_used(lrctl: Lrctl) -> None:
    Path("r.toml").write_text(RECIPE)
    assert lrctl("semilocal", "--recipe", "r.toml", "--quiet").code == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smok", "--recipe smok: unknown recipe; did you mean 'smoke'?"),
        ("mine.toml", "--recipe mine.toml: there is no such file; give a TOML file or choose from: "),
        ("./smoke", "--recipe ./smoke: there is no such file"),
        ("folder.toml", "--recipe folder.toml: cannot be read: not a regular file"),
        ("latin.toml", "latin.toml: not TOML: 'utf-8' codec can't decode byte 0xff"),
    ],
    ids=["name", "file", "path", "folder", "not UTF-8"],
)
def test_a_recipe_that_is_not_there_is_one_sentence(name: str, message: str, lrctl: Lrctl) -> None:
    Path("folder.toml").mkdir()
    Path("latin.toml").write_bytes(b"a = '\xff'")
    refused(lrctl("semilocal", "--recipe", name), message)


def test_a_recipe_that_may_not_be_read_is_one_sentence(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("r.toml").write_text(RECIPE)
    opened = os.open

    def locked(path: Path, *flags: int) -> int:
        if Path(path).name == "r.toml":
            raise PermissionError(13, "Permission denied")
        return opened(path, *flags)

    monkeypatch.setattr(os, "open", locked)
    refused(lrctl("semilocal", "--recipe", "r.toml"), "--recipe r.toml: cannot be read: Permission denied")


@pytest.mark.parametrize("file", ["net.py", "../net.py"], ids=["beside it", "outside"])
def test_a_recipe_runs_no_code_without_leave(file: str, lrctl: Lrctl) -> None:
    Path("folder").mkdir()
    Path("folder", file).write_text(f"open('ran', 'w').close()\n{NET}")
    Path("folder/r.toml").write_text(RECIPE.replace("linear-regression", f"{file}:Net"))
    command = ("semilocal", "--recipe", "folder/r.toml", "--quiet")
    for more in ((), ("--dry-run",), ("--fresh",)):
        refused(
            lrctl(*command, *more), "r.toml: workload.name: /", "is Python code, and a recipe runs none", "--allow-code"
        )
    settings = {"workload.width": 3}
    with pytest.raises(UsageError, match="allow_code=True in Python"):
        api.search("semilocal", "folder/r.toml", settings=settings)
    assert not Path("ran").exists()
    assert lrctl(*command, "--allow-code").code == 0
    assert api.search("semilocal", "folder/r.toml", settings=settings, allow_code=True)["status"] == "done"
    assert Path("ran").exists()
