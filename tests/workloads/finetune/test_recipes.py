from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cases import case
from lrctl.recipe import files as recipe_file
from lrctl.recipe import parse as recipe
from lrctl.registry.registry import registry
from lrctl.testing import run_spec

SUMMARY = "greedylr/summary"
"""Not a row of the paper: all of them together, at a small scale."""

OURS = {n: path for n, path in recipe_file.bundled().items() if n.startswith("greedylr/") and n != SUMMARY}
ROWS = {name: path for name, path in OURS.items() if "extends = " in path.read_text(encoding="utf-8")}
SCHEDULERS = {"adamw": "linear", "adafactor": "cosine", "adagrad": "polynomial", "sgd": "constant-with-warmup"}
"""Optimizer -> the one scheduler that it meets in the paper."""
PRINTED = re.compile(
    r"Printed: GreedyLR is better: \S+ at 10 %, \S+ at 50 %, \S+ at 100 % .*: (-?[0-9.]+|none.*)\.$", re.S
)


def header(path: Path) -> list[str]:
    """The comment that a recipe begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("#").strip() for line in lines[: next(i for i, x in enumerate(lines) if x[:1] != "#")]]


def test_every_row_of_the_paper_has_its_recipe() -> None:
    text = "\n".join(" ".join(header(path)) for path in ROWS.values())
    tables = Counter(re.findall(r"Table ([VIX]+) ", text))
    assert tables == {"V": 18, "VI": 12, "VII": 12, "VIII": 4, "IX": 8, "X": 12}
    assert len(set(re.findall(r"Table [VIX]+ \([a-z ]+\), row \d+", text))) == len(ROWS) == 66


def test_a_recipe_is_read_and_its_search_can_begin() -> None:
    for name in OURS:
        with case(recipe=name):
            can_begin(name)


def can_begin(name: str) -> None:
    read = recipe.read(name)
    assert read.training.steps in (1000, 5000)
    registry().get("workload", read.workload.name)
    params = read.params("greedy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = next(registry().get("strategy", "greedy").target(params, run_spec(read.training.steps)))
    greedy: Any = batch.jobs[0].schedule
    assert (greedy.variant, greedy.patience, greedy.window_size, greedy.factor) == ("authors", 10, 50, 0.95)
    assert greedy.bounds.low == pytest.approx([0.1 * greedy.initial_lr])
    assert len(batch.jobs) == (2 if name in ROWS else 5)


def test_a_row_names_its_command_and_what_the_paper_prints() -> None:
    for name in ROWS:
        with case(recipe=name):
            names_its_command(name)


def names_its_command(name: str) -> None:
    lines, read = header(ROWS[name]), recipe.read(name)
    assert lines[0] == f"lrctl greedy --recipe {name}"
    assert re.search(r"Table [VIX]+ \(.*\), row \d+: ", " ".join(lines))
    assert f"{read.training.steps} steps from LR {read.params('greedy').initial_lr[0]}" in " ".join(lines)
    assert PRINTED.search("\n".join(line for line in lines if line.startswith(("Printed", "final"))))
    assert lines[-1] == "cost: not measured"
    (optimizer,) = read.params("greedy").optimizer
    assert (optimizer, read.optimizer.name) == (name.rpartition("-")[2],) * 2
    assert read.params("greedy").against == (SCHEDULERS[optimizer],)
    assert read.optimizer.settings.clip_norm == 1
