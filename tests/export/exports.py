"""Texts of exports, and what they are tried with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import searches
from export.test_formula import steps_of
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.export.export import export
from lrctl.export.found_with import found_with
from lrctl.storage.runs import finished

HILL = PiecewiseLinear(((0, 0.0), (4, 0.3), (9, 0.0), (12, 0.1)))


def text_of(schedule: Any, to: str, steps: int | None = None) -> str:
    return export(schedule, steps or steps_of(schedule), to, source="run r")


def optimizer_of(*lrs: float, tensor: bool = False) -> torch.optim.Optimizer:
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": torch.tensor(lr) if tensor else lr} for lr in lrs]
    return torch.optim.SGD(groups)


def used(optimizer: torch.optim.Optimizer, scheduler: Any, start: int, stop: int) -> list[tuple[float, ...]]:
    """The LRs that these updates use."""
    lrs = []
    for _ in range(start, stop):
        lrs.append(tuple(float(group["lr"]) for group in optimizer.param_groups))
        optimizer.step()
        scheduler.step()
    return lrs


class Rows(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return 1000

    def __getitem__(self, place: int) -> Any:
        return {"x": torch.ones(2), "labels": torch.zeros(1)}


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x: Any, labels: Any) -> Any:
        return {"loss": (self.layer(x) - labels).square().mean()}


def fit_with_lightning(configure: Callable[[Any], Any], steps: int, folder: Path, **settings: Any) -> None:
    """Train the net with the Trainer of Lightning, by what `configure(parameters)` gives it."""
    import lightning

    class Model(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def training_step(self, batch: Any) -> Any:
            return self.net(**batch)["loss"]

        def configure_optimizers(self) -> Any:
            return configure(self.parameters())

    quiet: Any = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = lightning.Trainer(max_steps=steps, accelerator="cpu", default_root_dir=folder, **quiet, **settings)
    trainer.fit(Model(), torch.utils.data.DataLoader(Rows(), batch_size=2))


def found_on(store: Path, **settings: Any) -> str:
    recipe = searches.small(**{"workload__batch_size": 6, "training__micro_batches": 2, **settings})
    return str(searches.search(store, recipe)["run"])


def exported(store: Path, run: str, to: str) -> str:
    found = finished(store, run)
    return export(found.schedule, found.result.steps, to, source=f"run {run}", found=found_with(found))


SCHEDULE = {"family": "piecewise-linear", "params": {"knots": [[0, 0.1]]}}
DOCUMENT = {"format": "lrctl-schedule/1", "steps": 10, "schedule": SCHEDULE}
