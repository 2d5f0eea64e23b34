"""A workload of the user's own parts.

Imports torch.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from lrctl.adapters.batches import CPU, Loaded
from lrctl.adapters.parts import WHERE, Parts
from lrctl.adapters.sets import sets_of
from lrctl.adapters.stream import Stream
from lrctl.errors import UsageError
from lrctl.training.batches import rows, to
from lrctl.training.doors import checked_loss


class FromParts:
    """What `lrctl.workload` returns. It has the optional methods of a workload that its parts ask for.

    Attributes:
        state: what the user's functions keep from step to step.
        step: the update that is at work.
        whole: whether its batch has not been to the loss yet.
    """

    def __init__(self, parts: Parts, seed: int = 0) -> None:
        self.parts, self.seed, self.signed_loss = parts, seed, parts.signed_loss
        self.sets = sets_of(parts, seed)
        self.state: dict[str, Any] = {}
        self.step, self.moved, self.whole = 0, True, True
        functions = {"loss": parts.loss, "evaluate": parts.evaluate, "after_step": parts.after_step}
        self.names = {name: names(function) for name, function in functions.items()}
        optional: dict[str, Any] = {
            "optimizer": self.of_class if isinstance(wrapped(parts.optimizer), type) else parts.optimizer,
            "param_groups": parts.param_groups,
            "before_update": parts.clip_norm and self.clip,
            "after_update": parts.after_step and self.follow,
            "score_batch": self.sets.aside and self.reserved,
            "steps_per_epoch": self.sets.epoch and (lambda: self.sets.epoch),
        }
        if "state" in set().union(*self.names.values()) or isinstance(self.sets.train, Stream):
            optional |= {"carry": self.go_on, "carried": self.left}
        vars(self).update({name: method for name, method in optional.items() if method})

    def __call__(self, *, seed: int = 0, **settings: Any) -> FromParts:
        """The same with another seed, and with other settings."""
        return type(self)(self.parts.changed(settings), seed)

    def export_settings(self) -> dict[str, Any]:
        """What a loop that uses a schedule has to have as well."""
        return {name: getattr(self.parts, name) for name in ("batch_size", "shuffle", "clip_norm")}

    def model(self) -> Any:
        given = self.parts.model
        return copy.deepcopy(given) if isinstance(given, torch.nn.Module) else given()

    def of_class(self, model: Any) -> Any:
        """An optimizer of the class that was given, or of a partial of one."""
        assert self.parts.optimizer is not None
        return self.parts.optimizer(model.parameters())

    def batch(self, step: int) -> Any:
        self.step, self.whole, train = step, True, self.sets.train
        return train.get(step) if isinstance(train, Loaded) else train.batch(step)

    def reserved(self, i: int) -> Any:
        assert self.sets.aside is not None
        if i >= len(self.sets.aside):
            raise IndexError(i)
        return self.sets.aside.get(i)

    def loss(self, model: Any, batch: Any) -> Any:
        if model.training:
            if "state" in self.names["loss"] and not self.whole:
                raise UsageError(
                    f"{WHERE}: loss: its state goes from batch to batch, and not from piece to piece of one; set "
                    "training.micro_batches to 1"
                )
            self.whole = False
            return self.outcome(model, batch, self.step, self.state_on(model))
        return self.outcome(model, batch, None, {})

    def outcome(self, model: Any, batch: Any, step: int | None, state: dict[str, Any]) -> Any:
        """What the user's loss returns."""
        loss = self.parts.loss
        if loss is None:
            return model(**batch) if isinstance(batch, Mapping) else model(*as_tuple(batch))
        if is_criterion(loss):
            x, y = pair(batch)
            return loss(model(x), y)
        return loss(model, batch, **self.wanted("loss", step=step, state=state))

    def evaluate(self, model: Any, split: str) -> Any:
        batches = self.batches(model, split)
        if self.parts.evaluate is None:
            return self.mean_loss(model, batches)
        state = dict(self.state_on(model))
        return self.parts.evaluate(model, batches, **self.wanted("evaluate", step=None, state=state, split=split))

    def mean_loss(self, model: Any, batches: Iterator[Any]) -> dict[str, float]:
        """The mean over the rows of all batches; a state goes on from batch to batch."""
        losses, weights = [], []
        state: dict[str, Any] = {}
        for batch in batches:
            losses.append(checked_loss(self.outcome(model, batch, None, state), type(self).__name__).double())
            weights.append(float(rows(batch) or 1))
        if not losses:
            raise UsageError(f"{WHERE}: held_out: it gave no batch; give data that can be read again from their start")
        weight = torch.tensor(weights, dtype=torch.float64, device=losses[0].device)
        return {"loss": float((torch.stack(losses) * weight).sum() / weight.sum())}

    def batches(self, model: Any, split: str) -> Iterator[Any]:
        """The batches of a split, on the model's device."""
        data, device = self.sets.held_out[split], device_of(model)
        if isinstance(data, Loaded):
            return (to(data.get(i), device) for i in range(len(data)))
        return (to(batch, device) for batch in data)

    def clip(self, model: Any, _step: int) -> None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), self.parts.clip_norm)

    def follow(self, model: Any, step: int) -> None:
        function = self.parts.after_step
        assert function is not None
        function(model, **self.wanted("after_step", step=step, state=self.state_on(model)))

    def go_on(self, state: Mapping[str, Any] | None) -> None:
        """Go on from a checkpoint, or begin anew."""
        if isinstance(self.sets.train, Stream):
            self.sets.train.carry(state and state["data"])
        self.state, self.moved = dict(state["state"]) if state else {}, False
        self.whole = True

    def left(self) -> dict[str, Any]:
        data = self.sets.train.carried() if isinstance(self.sets.train, Stream) else None
        return {"data": data, "state": self.state}

    def wanted(self, function: str, **offered: Any) -> dict[str, Any]:
        """What a function of the user's has a parameter for."""
        return {name: value for name, value in offered.items() if name in self.names[function]}

    def state_on(self, model: Any) -> dict[str, Any]:
        """The state, on the model's device once it comes from a checkpoint."""
        if not self.moved:
            self.state, self.moved = to(self.state, device_of(model)), True
        return self.state


def device_of(model: Any) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), CPU)


def names(function: Any) -> set[str]:
    """The names of a function's parameters; none where it does not tell them."""
    try:
        return {*inspect.signature(function).parameters}
    except (TypeError, ValueError):
        return set()


def is_criterion(loss: Any) -> bool:
    """Whether it is one of torch's, which is given outputs and targets."""
    return isinstance(loss, torch.nn.Module) or str(getattr(wrapped(loss), "__module__", "")).startswith("torch.")


def wrapped(function: Any) -> Any:
    """What a partial is of."""
    return getattr(function, "func", function)


def as_tuple(batch: Any) -> Any:
    return batch if isinstance(batch, list | tuple) else (batch,)


def pair(batch: Any) -> Any:
    if isinstance(batch, list | tuple) and len(batch) == 2:
        return batch
    held = f"{len(batch)} items" if isinstance(batch, list | tuple) else f"a {type(batch).__name__}"
    raise UsageError(
        f"{WHERE}: loss: a criterion of torch's is for batches (x, y), and this one holds {held}; give a function "
        "loss(model, batch)"
    )
