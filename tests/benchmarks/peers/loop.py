"""The training loop of the rivals: that of the trainer in plain torch, for any optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch

from benchmarks.peers.contest import Contest
from lrctl.contracts.workload import WithParamGroups
from lrctl.optimizers.building import build_optimizer
from lrctl.optimizers.param_groups import scales
from lrctl.training.passes import Passes

Lr = Callable[[int], float]
Make = Callable[[Sequence[dict[str, Any]]], torch.optim.Optimizer]
"""Makes an optimizer of param groups."""


@runtime_checkable
class Switched(Protocol):
    """An optimizer that keeps other weights for training than for evaluation."""

    def train(self) -> None: ...

    def eval(self) -> None: ...


class Run:
    """One run. Its first `step` updates are done.

    Without `make` the optimizer is the recipe's.
    """

    def __init__(self, contest: Contest, make: Make | None = None) -> None:
        self.spec, self.workload, self.step = contest.spec, contest.workload, 0
        self.passes = Passes(self.workload, self.spec)
        self.model = self.passes.model
        if make is None:
            self.optimizer = build_optimizer(self.workload, self.model, self.spec.optimizer)
        else:
            self.optimizer = make(self.groups())
        self.scales = scales(self.optimizer)

    def groups(self) -> list[dict[str, Any]]:
        """The workload's param groups, such as those without weight decay."""
        if isinstance(self.workload, WithParamGroups):
            return [dict(group) for group in self.workload.param_groups(self.model)]
        return [{"params": list(self.model.parameters())}]

    def train(self, stop: int, lr: Lr) -> None:
        """Go on to step `stop`, each update with the LR of its step."""
        if isinstance(self.optimizer, Switched):
            self.optimizer.train()
        clip_norm = self.spec.optimizer.clip_norm if self.spec.optimizer else 0.0
        self.model.train()
        for step in range(self.step, stop):
            self.passes.backward(self.passes.batch(step))
            if clip_norm:
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm)
            for group, scale in zip(self.optimizer.param_groups, self.scales, strict=True):
                group["lr"] = lr(step) * scale
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self.step = stop

    def loss(self, split: str) -> float:
        """The loss of a held-out split; +inf if it is not finite."""
        with self.weights_to_evaluate():
            return self.passes.evaluate(split)[0]["loss"]

    @contextmanager
    def weights_to_evaluate(self) -> Iterator[None]:
        """The weights that the optimizer keeps for evaluation, for the length of a block."""
        if isinstance(self.optimizer, Switched):
            self.optimizer.eval()
        yield
        if isinstance(self.optimizer, Switched):
            self.optimizer.train()

    def state(self) -> dict[str, Any]:
        """What `resume` goes on from."""
        return {"step": self.step, "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from the state of another run."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
