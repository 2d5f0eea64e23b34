"""`lrctl check`: what it prints, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.checks.check import RULES

ITERATING = """
import torch

print("loading")

class Mine:
    def __init__(self, seed):
        self.data = torch.randn(256, 2, generator=torch.Generator().manual_seed(seed))
        self.batches = iter(torch.utils.data.DataLoader(self.data[:128], 4))

    def model(self): return torch.nn.Linear(2, 1)
    def batch(self, step): return next(self.batches)
    def loss(self, model, batch): return model(batch).square().mean()
    def evaluate(self, model, split):
        return {"loss": float(self.loss(model, self.data[128:192] if split == "test" else self.data[192:]))}
"""
SOUND = ITERATING.replace("next(self.batches)", "self.data[4 * (step % 32):4 * (step % 32) + 4]")
COUNTING = SOUND.replace(
    "def loss(self, model, batch): ",
    """def loss(self, model, batch):
        self.calls = getattr(self, "calls", 0) + 1
        return self.plain(model, batch) * self.calls
    def plain(self, model, batch): """,
)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return tmp_path / "mine.py"


def test_a_sound_workload_is_told_as_a_document(mine: Path, lrctl: Lrctl) -> None:
    mine.write_text(SOUND)
    done = lrctl("check", "--workload", f"{mine}:Mine", "--json", "--seed", "3")
    assert done.code == 0
    told = done.document
    assert {name: told[name] for name in ("format", "seed", "device", "status")} == {
        "format": "lrctl-check/1", "seed": 3, "device": "cpu", "status": "holds",
    }  # fmt: skip
    assert [(rule["rule"], rule["status"]) for rule in told["rules"]] == [(rule.name, "holds") for rule in RULES]


def test_a_broken_rule_is_a_row_with_what_to_do(mine: Path, lrctl: Lrctl) -> None:
    mine.write_text(ITERATING)
    done = lrctl("check", "--workload", f"{mine}:Mine")
    assert done.code == 2
    (row,) = (line for line in done.out.splitlines() if "  broken  " in line)
    assert row.startswith("batch  ")
    assert "Look for an iterator over a DataLoader that goes on" in row
    (rests,) = (line for line in done.out.splitlines() if line.startswith("checkpoint  "))
    assert "could not be told  it rests on 'other jobs'" in rests


def test_a_bundled_recipe_keeps_every_rule(lrctl: Lrctl) -> None:
    assert lrctl("check", "--recipe", "smoke", "--set", "optimizer.name=sgd").code == 0


def test_what_cannot_be_built_is_told_as_a_search_tells_it(tmp_path: Path, lrctl: Lrctl) -> None:
    done = lrctl("check", "--workload", f"{tmp_path}/none.py:Mine")
    assert done.code == 2
    assert "there is no file" in done.error


def test_a_search_goes_on_unchecked_at_ones_own_risk(mine: Path, lrctl: Lrctl) -> None:
    mine.write_text(COUNTING)
    few = ["--steps", "10", "--segments", "2", "--grid-size", "1", "--no-reference"]
    document = lrctl("semilocal", *few, "--workload", f"{mine}:Mine", "--unchecked", "--json", "--quiet").document
    assert "training.unchecked: the search began without a first look at the workload" in document["notes"]
