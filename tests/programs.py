"""Programs of the page on them, as files, and recipes that train with them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from docs.pages import ROOT, blocks
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe

PAGE = ROOT / "lrctl" / "guide" / "reference" / "program.md"
"""Its examples are the programs of the tests."""


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
