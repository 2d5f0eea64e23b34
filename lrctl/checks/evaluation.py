"""What a workload's evaluation says, and leaves behind.

Imports torch.
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol, runtime_checkable

import torch

from lrctl.checks.purity import digest_of
from lrctl.checks.rules import CUT, LR, STEPS, Broken, Rule, Subject, Untold, constant
from lrctl.contracts.workload import Scored
from lrctl.storage import checkpoint
from lrctl.training.doors import checked_metrics, is_number
from lrctl.training.passes import Passes

SPLITS = ("validation", "test")

FAR = 1.25
"""An evaluated loss that is so many times the mean of loss(), or as many times less, is taken for something else."""

SCORES = 4
"""How many score batches are looked at."""


def metrics_of(passes: Passes, split: str) -> tuple[dict[str, float], bool]:
    """The metrics of a model on a split, and whether the model was in evaluation mode afterwards."""
    passes.seed(split)
    with passes.frozen():
        metrics = checked_metrics(passes.workload.evaluate(passes.model, split), passes.where)
        return metrics, not any(part.training for part in passes.model.modules())


def repeatable(subject: Subject) -> str:
    passes = subject.trained_passes()
    before = digest_of(dict(passes.model.state_dict()))
    first = {split: metrics_of(passes, split) for split in SPLITS}
    if digest_of(dict(passes.model.state_dict())) != before:
        raise Broken("evaluate() changed the model", "let it leave weights and buffers as they are")
    if not all(still for _, still in first.values()):
        raise Broken(
            "evaluate() left the model in training mode",
            "leave out model.train(): lrctl sets the mode",
        )
    for split in SPLITS:
        again, _ = metrics_of(passes, split)
        if not subject.same(list(first[split][0].values()), list(again.values())):
            raise Broken(
                f"evaluating {split} twice gave different metrics: {first[split][0]} and {again}",
                "evaluate the whole split, or rows that are drawn by a generator seeded anew each time",
            )
    return f"validation loss {first['validation'][0]['loss']:.4g}, test loss {first['test'][0]['loss']:.4g}, twice"


@runtime_checkable
class Averaged(Protocol):
    """A workload that can give the mean of its loss over a split itself."""

    def mean_loss(self, model: torch.nn.Module, batches: Any) -> dict[str, float]: ...

    def batches(self, model: torch.nn.Module, split: str) -> Any: ...


def a_loss(subject: Subject) -> str:
    workload: Any = subject.workload
    passes = subject.trained_passes()
    passes.seed("validation")
    with passes.frozen():
        outcome = workload.evaluate(passes.model, "validation")
        if not is_number(outcome):
            return "evaluate() names its loss"
        if not isinstance(workload, Averaged):
            raise Untold("only a workload of lrctl.workload gives the mean of its loss over a split")
        given = float(outcome)
        try:
            mean = workload.mean_loss(passes.model, workload.batches(passes.model, "validation"))["loss"]
        except Exception as error:
            raise Untold(f"loss() raised {type(error).__name__} on the validation data") from error
    if not mean / FAR <= given <= mean * FAR:
        far = f"evaluate() returned {given:.4g}, which is taken for the loss; the mean of loss() is {mean:.4g}"
        warnings.warn(f"validation: {far}; of an accuracy return {{'loss': ..., 'accuracy': ...}}", stacklevel=2)
        raise Untold(far)
    return f"evaluate() returned {given:.4g} for validation, and the mean of loss() is {mean:.4g}"


def no_trace(subject: Subject) -> str:
    whole = subject.whole
    subject.train(0, CUT, evaluate=SPLITS)
    if not subject.same(whole, subject.train().losses):
        raise Broken(
            "the same steps gave other losses after an evaluation",
            "let evaluate() change nothing that batch() or loss() reads",
        )
    return f"{STEPS} steps gave the same losses before and after an evaluation"


def from_checkpoint(subject: Subject) -> str:
    trained = subject.train(0, CUT, evaluate=SPLITS)
    state = checkpoint.round_trip(trained.state)
    subject.train(schedule=constant(2 * LR))
    again = subject.train(CUT, CUT, state, evaluate=SPLITS)
    for split in SPLITS:
        if not subject.same(*(list(each.metrics[split].values()) for each in (trained, again))):
            raise Broken(
                f"a model has {split} metrics {trained.metrics[split]}, and from its checkpoint {again.metrics[split]}",
                "evaluate what is in the model's state_dict: keep averaged weights in buffers of the model",
            )
    return "a model and its checkpoint have the same metrics"


def same_scores(subject: Subject) -> str:
    if not isinstance(subject.workload, Scored):
        return "there is no score_batch(i); `lrctl lookahead` judges by validation losses"
    passes = subject.passes()
    first, again = ([digest_of(batch) for batch, _ in passes.reserved(SCORES)] for _ in range(2))
    if first != again:
        raise Broken("score_batch(i) gave two batches for one i", "let it depend on i alone")
    return f"{len(first)} score batches are the same twice"


REPEATABLE = Rule("evaluation", "evaluate() depends on model and split alone", repeatable, ("checkpoint",))
A_LOSS = Rule("evaluated loss", "a number that evaluate() returns alone is the loss", a_loss, ("evaluation",))
NO_TRACE = Rule("trace", "an evaluation changes nothing of what is trained", no_trace, ("other jobs", "evaluation"))
FROM_CHECKPOINT = Rule("checkpointed model", "a checkpoint holds all that is evaluated", from_checkpoint, ("trace",))
SAME_SCORES = Rule("scores", "score_batch(i) depends on i alone", same_scores, ("batch",))
