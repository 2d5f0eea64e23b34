"""What people do instead of a search: cosine at a usual LR, and at what Lightning's LR range test suggests."""

from __future__ import annotations

import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.tuner.tuning import Tuner

from benchmarks.lookahead import fresh
from benchmarks.lookahead.panels import Case
from lrctl.optimizers.building import build_optimizer
from lrctl.recipe.task_workload import workload_of
from lrctl.training.passes import Passes
from lrctl_schedules.cosine import Cosine

USUAL = (3e-4, 1e-3)
"""LRs that a cosine is usually given, with 10 % warmup."""


class Module(pl.LightningModule):
    """A workload of lrctl as the range test wants it: a batch is the number of a step."""

    def __init__(self, passes: Passes, optimizer: torch.optim.Optimizer) -> None:
        super().__init__()
        self.passes, self.model, self.optimizer, self.lr = passes, passes.model, optimizer, 1e-3

    def training_step(self, step: Any, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        return self.passes.loss(self.passes.batch(int(step)))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(range(100_000), batch_size=None)  # type: ignore[arg-type]


def suggestion(case: Case) -> float:
    """What `Tuner(trainer).lr_find(module)` suggests at its defaults: 100 steps, the LR rising from 1e-8 to 1."""
    with fresh.session(case) as opened:
        spec = opened.runner.spec
        workload: Any = workload_of(spec)
        passes = Passes(workload, spec)
        module = Module(passes, build_optimizer(workload, passes.model, spec.optimizer))
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", max_steps=case.steps, enable_checkpointing=False, **quiet)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        finder = Tuner(trainer).lr_find(module)
    assert finder is not None
    found = finder.suggestion()
    assert found is not None
    return float(f"{found:.3g}")


def beside(case: Case) -> dict[str, float]:
    """Test losses of cosine at the usual LRs and at the suggested one, with the case's seed, by what they are."""
    suggested = suggestion(case)
    lrs = {f"cosine at {lr:g}": lr for lr in USUAL}
    lrs[f"cosine at {suggested:g}, which an LR range test suggests"] = suggested
    schedules = {name: Cosine(case.steps, lr, warmup=0.1) for name, lr in lrs.items()}
    found = fresh.test_losses(case, schedules, [case.seed])
    return {name: losses[0] for name, losses in found.items()}
