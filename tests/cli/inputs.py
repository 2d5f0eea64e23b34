"""Input that can be used, for tests to spoil."""

from __future__ import annotations

NET = """
import torch

class Net:
    def __init__(self, seed, width=2):
        self.width = width

    def model(self):
        return torch.nn.Linear(self.width, 1)

    def batch(self, step):
        return torch.ones(4, self.width), torch.zeros(4, 1)

    def loss(self, model, batch):
        return torch.nn.functional.mse_loss(model(batch[0]), batch[1])

    def evaluate(self, model, split):
        return {"loss": {"validation": 1.0, "test": 2.0}[split]}
"""

SMOKE = ("semilocal", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1,0.01", "--grid-size", "1")
