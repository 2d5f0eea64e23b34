"""What a workload's loss is.

Imports torch.
"""

from __future__ import annotations

import math

import torch

from lrctl.checks.purity import digest_of
from lrctl.checks.rules import STEPS, Broken, Rule, Subject, Untold
from lrctl.training.batches import mapped, rows

SUM = (1.8, 2.2)
"""A loss that is this many times as large on each row twice is a sum over rows; a mean is 1 times as large."""


def a_scalar(subject: Subject) -> str:
    passes = subject.passes()
    passes.train()
    loss = float(passes.backward(passes.batch(0)))
    if not math.isfinite(loss):
        raise Broken(f"the loss of the untrained model is {loss}", "check the model's first weights and the data")
    return f"a scalar with a gradient, {loss:.4g} for the untrained model"


def repeated(subject: Subject) -> str:
    losses = []
    for _ in range(3):
        passes = subject.passes()
        passes.train()
        batch = passes.batch(0)
        before = digest_of(batch)
        losses.append(float(passes.loss(batch).detach()))
        if digest_of(batch) != before and digest_of(passes.batch(0)) != before:
            raise Broken("loss() changes the data that batch() gives", "work on a copy: tensor.clone()")
    if not all(subject.same(losses[0], loss) for loss in losses):
        raise Broken(
            f"a new model had losses {losses[0]:.7g}, {losses[1]:.7g} and {losses[2]:.7g} on batch 0",
            "loss() and model() must depend on their arguments and the seed alone. Look for a generator or counter of "
            "your own, the clock, weights kept beside the model",
        )
    return "three new models have the same loss on batch 0"


def not_negative(subject: Subject) -> str:
    lowest = float(subject.whole.min())
    if getattr(subject.workload, "signed_loss", False):
        return f"signed_loss is true: {lowest:.4g} is allowed, and no job is stopped before its end"
    if lowest < 0:
        raise Broken(f"a loss is {lowest:.4g}", "set signed_loss = True in the class, if losses may be below 0")
    return f"the lowest of {STEPS} losses is {lowest:.4g}"


def a_mean(subject: Subject) -> str:
    passes = subject.passes()
    batch = passes.batch(0)
    if rows(batch) is None:
        raise Untold("the tensors of a batch share no first dimension")
    twice = mapped(batch, lambda tensor: torch.cat([tensor, tensor]))
    with passes.frozen():
        try:
            passes.seed(0)
            once = float(passes.loss(batch))
            passes.seed(0)
            ratio = float(passes.loss(twice)) / once
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise Untold(f"in evaluation mode, or with each row of a batch twice, loss() raised {why}") from error
    if SUM[0] <= ratio <= SUM[1]:
        raise Broken(
            f"with each row of a batch twice, the loss is {ratio:.3g} times as large: it is a sum",
            "return the mean over rows: a sum grows with the batch, and with it the steps at an LR",
        )
    return f"with each row of a batch twice, the loss is {ratio:.3g} times as large"


LOSS = Rule("loss", "loss(model, batch) gives a finite scalar with a gradient", a_scalar, ("model",))
REPEATED = Rule(
    "repeated loss", "the loss depends on model, batch and seed alone", repeated, ("model", "batch", "loss")
)
SIGN = Rule("sign", "the loss is at least 0, unless signed_loss is true", not_negative, ("lr",))
MEAN = Rule("mean", "the loss is a mean over the rows of the batch", a_mean, ("repeated loss",))
