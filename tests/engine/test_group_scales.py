"""Searches on param groups with several LRs: the result says what those that it tells are."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrctl.engine.group_scales import told
from lrctl.storage.store import Store
from searches import search, smoke

GROUPS = """
import torch


class Grouped:
    def __init__(self, seed):
        self.seed = seed

    def model(self):
        torch.manual_seed(self.seed)
        return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Linear(4, 1))

    def batch(self, step):
        return torch.randn(8, 2, generator=torch.Generator().manual_seed(step))

    def loss(self, model, batch):
        return (model(batch) - batch.sum(1, keepdim=True)).square().mean()

    def evaluate(self, model, split):
        return {"loss": float(self.loss(model, self.batch(10**6 + (split == "test"))))}

    def optimizer(self, model):
        first, second = model
        return torch.optim.SGD([{"params": first.parameters()}, {"params": second.parameters(), OTHERS}], lr=0.1)
"""


@pytest.mark.parametrize(
    ("others", "scales"),
    [("'lr': 0.05", (1.0, 0.5)), ("'lr_scale': 8.0", (1.0, 8.0)), ("'momentum': 0.0", ())],
    ids=["by their own LRs", "by lr_scale", "with one LR"],
)
def test_a_result_says_what_its_lrs_are_of(tmp_path: Path, others: str, scales: tuple[float, ...]) -> None:
    code = tmp_path / "mine.py"
    code.write_text(GROUPS.replace("OTHERS", others))
    given = {"workload__name": f"{code}:Grouped", "training__steps": 20, "training__unchecked": True}
    recipe = smoke(**given, strategy__local__segments=2, strategy__local__reference=False)
    found = search(tmp_path / "store", recipe, "local")
    record = Store(tmp_path / "store").record(found["checkpoint"])
    assert record is not None
    assert record.lr_scales == scales
    assert [note for note in found["notes"] if "param groups" in note] == ([told(scales)] if scales else [])


def test_of_many_scales_the_ends_are_told() -> None:
    assert "with 0.1 to 0.9 times the LRs" in told([n / 10 for n in range(1, 10)])
