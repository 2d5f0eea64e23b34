"""Metrics of a workload's own beside the loss: in the summary, and in what compares runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl

COUNTED = """
import torch


class Counted:
    def __init__(self, seed=0):
        self.seed = seed

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        return torch.ones(4, 2)

    def loss(self, model, batch):
        return (model(batch) - 1).square().mean()

    def evaluate(self, model, split):
        loss = float(self.loss(model, self.batch(0)))
        return {"loss": loss, "accuracy": 1 / (1 + loss) - 0.1 * (split == "test")}
"""
WORDS = ("--workload", "counted.py:Counted", "--steps", "12", "--executor", "serial", "--quiet")
SHORT = ("--segments", "2", "--grid", "0.1,0.01", "--grid-size", "1")


@pytest.fixture
def searched(lrctl: Lrctl, tmp_path: Path) -> Any:
    (tmp_path / "counted.py").write_text(COUNTED, encoding="utf-8")
    return lrctl("local", *WORDS, *SHORT)


def test_the_summary_shows_every_metric_beside_the_losses(searched: Any, lrctl: Lrctl) -> None:
    (line,) = (line for line in searched.out.splitlines() if line.startswith("accuracy: "))
    metrics = lrctl("local", *WORDS, *SHORT, "--json").document["metrics"]
    assert (
        line == f"accuracy: validation {metrics['validation']['accuracy']:.4f}, test {metrics['test']['accuracy']:.4f}"
    )
    (row,) = (line for line in searched.out.splitlines() if line.startswith("wsd, "))
    assert len(row.split()) == len(["wsd,", "LR", "0.1", "train", "validation", "test", "test accuracy"])


def test_compared_runs_have_a_table_of_them(searched: Any, lrctl: Lrctl, tmp_path: Path) -> None:
    assert searched.code == 0
    axes = ("--axis", "warmup=0.1", "--axis", "decay=0.1")
    tuned = lrctl("baseline", *WORDS, "--family", "wsd", "--grid", "0.1", *axes, "--metric", "accuracy", "--maximize")
    assert "validation accuracy" in tuned.out
    shown = lrctl("compare").out
    assert "Other metrics at the end" in shown
    document = lrctl("compare", "--json").document
    found = {method["label"].split()[0]: method["mean"]["metrics"]["accuracy"] for method in document["methods"]}
    assert found.keys() == {"local", "wsd"}
    assert all(f"{value:.4f}" in shown for value in found.values())
    assert lrctl("report", "--out", str(tmp_path / "page")).code == 0
    assert "Other metrics at the end" in (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
