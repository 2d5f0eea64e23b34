"""Passes over a batch, piece by piece: forward, backward, and those that score or evaluate a model.

Imports torch.
"""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from lrctl.contracts.job import TrainSpec
from lrctl.contracts.workload import Carrying, Scored, Weighted, Workload
from lrctl.errors import UsageError
from lrctl.training.batches import pieces, rows, tensors_in, to
from lrctl.training.doors import checked_loss, checked_metrics, checked_model, finite


class Passes:
    """A workload's new model on its device, with its passes over batches as a train spec wants them."""

    def __init__(self, workload: Workload, spec: TrainSpec) -> None:
        self.workload, self.spec, self.device = workload, spec, torch.device(spec.device)
        self.where = type(workload).__name__
        self.seed("model")
        self.model = checked_model(workload.model(), self.where).to(self.device)
        self.last: Any = None
        self.still = [part for part in self.model.modules() if not part.training]
        self.carrying = workload if isinstance(workload, Carrying) else None
        if self.carrying:
            self.carrying.carry(None)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, which is left as it is."""
        self.model.load_state_dict(state["model"])
        if self.carrying:
            self.carrying.carry(copy.deepcopy(state["carried"]))

    def state(self) -> dict[str, Any]:
        carried = {"carried": copy.deepcopy(self.carrying.carried())} if self.carrying else {}
        return {"model": self.model.state_dict(), **carried}

    def seed(self, purpose: int | str) -> None:
        seed_all(self.spec.seed, purpose, self.device)

    def precision(self) -> AbstractContextManager[Any]:
        return FULL if self.spec.dtype == "float32" else torch.autocast(self.device.type, torch.bfloat16)

    def batch(self, step: int) -> Any:
        """The batch of a step; from here on random numbers are those of that step."""
        self.seed(step)
        with self.precision():
            self.last = self.workload.batch(step)
        return self.last

    def loss(self, piece: Any) -> torch.Tensor:
        with self.precision():
            return checked_loss(self.workload.loss(self.model, to(piece, self.device)), self.where)

    def backward(self, batch: Any) -> torch.Tensor:
        """Add the gradient of a batch's loss to the parameters' gradients. Returns the loss, detached."""
        if self.spec.micro_batches > 1:
            return self.total(batch, lambda piece, share: self.descend(self.loss(piece) * share))
        return self.descend(self.loss(batch))  # as it is: a product with 1 would be a node more in the graph

    def descend(self, loss: torch.Tensor) -> torch.Tensor:
        if not loss.requires_grad:
            raise UsageError(
                f"{self.where}.loss: must return a loss that depends on the model's parameters, got one without a "
                "gradient; leave out no_grad() and detach()"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def forward(self, batch: Any, what: str = "batch") -> torch.Tensor:
        """The loss of a batch, detached: the bits that `backward` gives, and the same changes of the model's buffers.

        `what` names the batch in errors.
        """
        # Not under no_grad: torch may choose other kernels there, and compiles another graph.
        if self.spec.micro_batches > 1:
            return self.total(batch, lambda piece, share: self.loss(piece).detach() * share, what)
        return self.loss(batch).detach()

    def total(self, batch: Any, part: Callable[[Any, float], torch.Tensor], what: str = "batch") -> torch.Tensor:
        """The sum over the pieces of a batch of what `part` gives for a piece and its share.

        A piece counts by its rows, or by what the workload says (`Weighted`): so the weighted mean of the pieces'
        losses is the loss of the batch, where nothing, like batch normalisation, mixes rows.
        """
        weight = self.workload.weight if isinstance(self.workload, Weighted) else rows
        cut = pieces(batch, self.spec.micro_batches, f"workload {self.spec.workload}: {what}", weight)
        return torch.stack([part(*piece) for piece in cut]).sum()

    @torch.no_grad()
    def loss_again(self, step: int) -> torch.Tensor:
        """The loss of batch `step` with the weights as they are now; it leaves no trace in the model's buffers."""
        if self.carrying:
            raise UsageError(
                f"{self.where}: it carries state from step to step, so that the loss of a batch cannot be computed "
                "again, which this schedule asks for; choose another"
            )
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        loss = self.forward(self.batch(step))
        for buffer, before in buffers:
            buffer.copy_(before)
        return loss

    def train(self) -> None:
        """Put the model in training mode, but for the parts that are always evaluated."""
        self.model.train()
        for part in self.still:
            part.training = False

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The model as it is evaluated: in evaluation mode, without gradients, in the spec's precision."""
        self.model.eval()
        try:
            with torch.no_grad(), self.precision():
                yield
        finally:
            self.train()

    def evaluate(self, split: str, step: int = 0) -> tuple[dict[str, float], int]:
        """The workload's metrics on a split, after so many steps, +inf for one that is not finite, and what they cost.

        The cost is in forward passes of as many rows as a batch of training has; 0 where it is not known.
        """
        self.seed(split)
        with self.frozen(), self.counting() as seen:
            metrics = checked_metrics(self.workload.evaluate(self.model, split), self.where)
        return metrics, -(-sum(seen) // (self.rows_of_a_batch(step) or 1)) if seen else 0

    def rows_of_a_batch(self, step: int) -> int | None:
        """How many rows a batch of training has, which a job without steps has not drawn."""
        if self.last is None:
            self.batch(max(0, step - 1))
        return rows(self.last)

    @contextmanager
    def counting(self) -> Iterator[list[int]]:
        """How many rows the model is given at each call, for the length of a block."""
        seen: list[int] = []
        drawn = self.last is not None or not self.carrying  # to draw one more would carry its data on
        if not drawn or self.spec.compile:  # a hook would be compiled too
            yield seen
            return

        def count(_: Any, inputs: Any, named: Any) -> None:
            seen.append(rows([each for each in tensors_in([inputs, named]) if each.dim()][:1]) or 0)

        with self.model.register_forward_pre_hook(count, with_kwargs=True):
            yield seen

    def score(self, n: int) -> tuple[float, ...]:
        """The losses of score batches 0 to n - 1, or of those that there are; +inf for one that is not finite."""
        if not isinstance(self.workload, Scored):
            return ()
        self.seed("score")
        with self.frozen():
            losses = [self.forward(*each) for each in self.reserved(n)]
            return tuple(map(finite, torch.stack(losses).tolist())) if losses else ()  # one read of the device

    def reserved(self, n: int) -> Iterator[tuple[Any, str]]:
        """The first n batches that the workload has in reserve for scores, or those that it has."""
        assert isinstance(self.workload, Scored)
        for i in range(n):
            try:
                yield self.workload.score_batch(i), f"score batch {i}"
            except IndexError:
                return


FULL: AbstractContextManager[Any] = nullcontext()


def seed_all(seed: int, purpose: int | str, device: torch.device) -> None:
    """Seed torch's, numpy's and Python's random numbers from (seed, step or name of a purpose)."""
    # Hashed, since torch's CPU generator looks at the low 32 bits of a seed only.
    word = int.from_bytes(hashlib.sha256(f"{seed}:{purpose}".encode()).digest()[:8], "little") >> 1
    random.seed(word)
    np.random.seed(word & 0xFFFFFFFF)
    if device.type == "cpu":
        torch.default_generator.manual_seed(word)  # torch.manual_seed looks for other devices at every step
    else:
        torch.manual_seed(word)
