"""The examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
    for folder, pattern in ((ROOT, "lrctl/**/*.py"), (ROOT / "plugins", "*/**/*.py"))
    for path in folder.glob(pattern)
    if path.name != "__main__.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_are_true(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [test for module in MODULES for test in finder.find(importlib.import_module(module)) if test.examples]
    assert len(examples) >= 4
