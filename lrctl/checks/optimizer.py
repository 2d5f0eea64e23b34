"""What a workload's optimizer does with the LR.

Imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from lrctl.checks.purity import digest_of
from lrctl.checks.rules import LR, STEPS, Broken, Rule, Subject, constant
from lrctl.contracts.job import SegmentJob
from lrctl.optimizers.building import build_optimizer
from lrctl.optimizers.param_groups import own_lrs, scales
from lrctl.training.trainer import Training


@dataclass(frozen=True)
class Doubled:
    """The LR of the probes, but for one step."""

    at: int

    def __call__(self, step: float) -> float:
        return LR * (2 if step == self.at else 1)


def of_the_model(subject: Subject) -> str:
    model = subject.passes().model
    optimizer = build_optimizer(subject.workload, model, subject.spec.optimizer)
    own = {id(parameter): parameter for parameter in model.parameters()}
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if held - own.keys():
        raise Broken(
            f"{type(optimizer).__name__} steps {len(held - own.keys())} parameters that are not the model's",
            "take them from the model that optimizer(model) is given",
        )
    trained = {key for key, parameter in own.items() if parameter.requires_grad}
    left = len(trained - held)
    return f"{type(optimizer).__name__}, {len(held)} tensors" + (f"; {left} trainable ones are left out" * (left > 0))


def one_scale_each(subject: Subject) -> str:
    optimizer = build_optimizer(subject.workload, subject.passes().model, subject.spec.optimizer)
    found = scales(optimizer)
    if len(found) == 1:
        return "one group"
    lrs = own_lrs(optimizer)
    by_ratio = any(
        "lr_scale" not in group and lr != lrs[0] for group, lr in zip(optimizer.param_groups, lrs, strict=True)
    )
    told = "their own LRs over the first group's, since they have no lr_scale" if by_ratio else "lr_scale, or one LR"
    return f"{len(found)} groups: the schedule's LR times {', '.join(f'{scale:g}' for scale in found)} ({told})"


def at_every_step(subject: Subject) -> str:
    """Whether the LR of each step alone makes a difference."""
    plain = Training(subject.workload, subject.spec, SegmentJob(0, STEPS - 1, constant(LR)))
    plain.passes.train()
    for step in range(STEPS - 1):
        plain.update(step)
        other = subject.train(0, step + 1, schedule=Doubled(step)).state["model"]
        if digest_of(dict(plain.model.state_dict())) == digest_of(dict(other)):
            raise Broken(
                f"update {step} left the same weights with LR {LR:g} and with {2 * LR:g}",
                "an optimizer must step at each call, by the lr of its groups as it is then: gather gradients with "
                "training.micro_batches, and leave schedules of your own out",
            )
    return f"another LR at any of {STEPS - 1} steps gives other weights"


OPTIMIZER = Rule("optimizer", "the optimizer moves the model's parameters, and no others", of_the_model, ("model",))
GROUPS = Rule("groups", "the LR of a param group is the schedule's times its scale", one_scale_each, ("optimizer",))
EVERY_STEP = Rule("every lr", "the LR of each step is used at that step", at_every_step, ("lr",))
