"""Optimizers by name, for any workload: their settings, which recipes check, and how each is built.

Torch is imported when one is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lrctl.contracts.workload import WithOptimizer, WithParamGroups, Workload

if TYPE_CHECKING:
    import torch

ClipNorm = Annotated[float, "scale gradients down to this L2 norm over all parameters; 0 is off"]
Decay = Annotated[float, "weight decay"]


def check(settings: Any, *at_least_0: str) -> None:
    """Refuse settings that are negative, and betas that are no decay rates.

    Raises:
        ValueError: names the setting.
    """
    betas = getattr(settings, "betas", (0.0, 0.0))
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas: must be two numbers in [0, 1), got {list(betas)}")
    for name in (*at_least_0, "weight_decay", "clip_norm"):
        if getattr(settings, name) < 0:
            raise ValueError(f"{name}: must be at least 0, got {getattr(settings, name)}")


@dataclass(frozen=True, slots=True)
class AdamW:
    """Adam with decoupled weight decay, by torch's fused kernel."""

    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: Decay = 0.1
    clip_norm: ClipNorm = 0.0

    def __post_init__(self) -> None:
        check(self, "eps")


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam, by torch's fused kernel; weight decay is part of the gradient."""

    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: Decay = 0.0
    clip_norm: ClipNorm = 0.0

    def __post_init__(self) -> None:
        check(self, "eps")


@dataclass(frozen=True, slots=True)
class SGD:
    """Stochastic gradient descent, plain unless `momentum` is set."""

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: Decay = 0.0
    clip_norm: ClipNorm = 0.0

    def __post_init__(self) -> None:
        check(self)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: must be in [0, 1), got {self.momentum}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: needs momentum greater than 0")


@dataclass(frozen=True, slots=True)
class Adagrad:
    """Adagrad."""

    lr_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10
    weight_decay: Decay = 0.0
    clip_norm: ClipNorm = 0.0

    def __post_init__(self) -> None:
        check(self, "lr_decay", "initial_accumulator_value", "eps")


@dataclass(frozen=True, slots=True)
class Adafactor:
    """Adafactor as in torch: the LR is that relative to the size of the weights, and at most 1 / sqrt(step).

    The class in transformers, as its Trainer makes it, takes the LR as it is; so the two need different LRs.
    """

    beta2_decay: float = -0.8
    d: Annotated[float, "updates are scaled down to this root mean square"] = 1.0
    weight_decay: Decay = 0.0
    clip_norm: ClipNorm = 0.0

    def __post_init__(self) -> None:
        check(self)
        if self.beta2_decay > 0:
            raise ValueError(f"beta2_decay: must be at most 0, got {self.beta2_decay}")
        if self.d < 1:
            raise ValueError(f"d: must be at least 1, got {self.d}")


OPTIMIZERS: dict[str, Any] = {"adamw": AdamW, "adam": Adam, "sgd": SGD, "adagrad": Adagrad, "adafactor": Adafactor}
"""The settings of each optimizer. All defaults are torch's, but for AdamW's weight decay of 0.1 (torch: 0.01)."""

AUTO = "auto"
"""The workload's own optimizer if it has one, else AdamW."""


def defaults(name: str) -> dict[str, Any]:
    """An optimizer's name and default settings, as `build` takes them."""
    return {"name": name, **asdict(OPTIMIZERS[name]())}


def build(workload: Workload, model: torch.nn.Module, settings: Mapping[str, Any] | None) -> torch.optim.Optimizer:
    """The optimizer of `model`: the workload's own where `settings` is None, else the one that `settings` names.

    The LR is set at every step by the trainer, which clips too.

    Raises:
        TypeError: the settings are None and the workload has no optimizer.
    """
    import torch

    if settings is None:
        if not isinstance(workload, WithOptimizer):
            raise TypeError(f"{type(workload).__name__} has no method optimizer(model)")
        return workload.optimizer(model)
    groups: Any = workload.param_groups(model) if isinstance(workload, WithParamGroups) else model.parameters()
    made: dict[str, Any] = {
        "adamw": (torch.optim.AdamW, {"fused": True}),
        "adam": (torch.optim.Adam, {"fused": True}),
        "sgd": (torch.optim.SGD, {}),
        "adagrad": (torch.optim.Adagrad, {}),
        "adafactor": (torch.optim.Adafactor, {}),
    }
    kind, extra = made[settings["name"]]
    given = {name: value for name, value in settings.items() if name not in ("name", "clip_norm")}
    optimizer: torch.optim.Optimizer = kind(groups, **extra, **given)
    return optimizer
