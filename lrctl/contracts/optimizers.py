"""The settings of the optimizers that any workload can be trained with, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

ClipNorm = Annotated[float, "scale gradients down to this L2 norm over all parameters; 0 is off"]
Decay = Annotated[float, "weight decay"]


def check(settings: Any, *at_least_0: str) -> None:
    """Refuse settings that are negative, and betas that are no decay rates."""
    betas = getattr(settings, "betas", (0.0, 0.0))
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas: must be two numbers in [0, 1), got {list(betas)}")
    for name in (*at_least_0, "weight_decay", "clip_norm"):
        if getattr(settings, name) < 0:
            raise ValueError(f"{name}: must be at least 0, got {getattr(settings, name)}")


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam, by torch's fused kernel; weight decay is part of the gradient."""

    name: ClassVar[str] = "adam"

    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: Decay = 0.0
    clip_norm: ClipNorm = 0.0

    def __post_init__(self) -> None:
        check(self, "eps")


@dataclass(frozen=True, slots=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, by torch's fused kernel."""

    name: ClassVar[str] = "adamw"

    weight_decay: Decay = 0.1


@dataclass(frozen=True, slots=True)
class SGD:
    """Stochastic gradient descent, plain unless `momentum` is set."""

    name: ClassVar[str] = "sgd"

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

    name: ClassVar[str] = "adagrad"

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

    name: ClassVar[str] = "adafactor"

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


OptimizerSettings = AdamW | Adam | SGD | Adagrad | Adafactor

OPTIMIZERS: dict[str, type[OptimizerSettings]] = {each.name: each for each in (AdamW, Adam, SGD, Adagrad, Adafactor)}
"""The settings of each optimizer. All defaults are torch's, but for AdamW's weight decay of 0.1 (torch: 0.01)."""
