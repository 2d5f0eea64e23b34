"""The settings of the optimizers that any workload can be trained with, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from keyword import iskeyword
from pathlib import PurePath
from typing import Annotated, Any, ClassVar

from lrctl.contracts.params import UNKEYED, identity

Decay = Annotated[float, "weight decay"]
Betas = tuple[float, ...]
ByRole = Mapping[str, float]
ROLES = ("embedding", "output", "matrix", "vector")
"""What a parameter may be to a model, see `lrctl.optimizers.roles`; a workload's param groups may have other names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """What all optimizers have in common.

    Attributes:
        made_by: the class that the optimizer is of. The settings are named as its arguments are, but for those in
            `SHARED`.
        averages: whether the weights to evaluate are an average of the run already.
    """

    name: ClassVar[str]
    made_by: ClassVar[str]
    averages: ClassVar[bool] = False

    weight_decay: Decay = 0.0
    clip_norm: Annotated[float, "scale gradients down to this L2 norm over all parameters; 0 is off"] = 0.0
    lr_scale: Annotated[
        ByRole, "by role (embedding, output, matrix, vector, or a group of the workload's): LR over the schedule's"
    ] = field(default_factory=dict, hash=False)
    decay_scale: Annotated[ByRole, "by role: weight decay over `weight_decay`"] = field(
        default_factory=dict, hash=False
    )

    def __post_init__(self) -> None:
        check(self)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the class is built with, beside parameters and an LR."""
        return arguments(self)

    @property
    def by_role(self) -> bool:
        """Whether param groups are cut by the roles of parameters."""
        return bool(self.lr_scale or self.decay_scale)


def arguments(settings: OptimizerSettings) -> dict[str, Any]:
    """All settings but the shared ones."""
    return {each.name: getattr(settings, each.name) for each in fields(settings) if each.name not in SHARED}


def recipe_table(settings: OptimizerSettings) -> dict[str, Any]:
    """The recipe's table `[optimizer]` that gives these settings, defaults left out."""
    return {"name": settings.name, **{name: value for name, value in identity(settings).items() if name != "code"}}


SHARED = frozenset({"clip_norm", "lr_scale", "decay_scale", "rest_lr"})
"""Settings that are heeded where groups are made and gradients clipped: no class is built with them."""


def check(settings: Any, *at_least_0: str, betas: int = 2) -> None:
    """Refuse settings that are negative, and betas that are no decay rates."""
    rates = getattr(settings, "betas", (0.0,) * betas)
    if len(rates) != betas or not all(0 <= beta < 1 for beta in rates):
        raise ValueError(f"betas: must be {('two', 'three')[betas - 2]} numbers in [0, 1), got {list(rates)}")
    for name in (*at_least_0, "weight_decay", "clip_norm"):
        if getattr(settings, name) < 0:
            raise ValueError(f"{name}: must be at least 0, got {getattr(settings, name)}")
    for table in ("lr_scale", "decay_scale"):
        for role, scale in getattr(settings, table).items():
            if not 0 <= scale < math.inf:
                raise ValueError(f"{table}.{role}: must be at least 0 and finite, got {scale}")


def check_class(name: str) -> None:
    """Refuse what is no class's name: it comes from stores too, and exports write it into code."""
    place, _, own = name.rpartition(":")
    parts = [PurePath(place).stem, own] if place.endswith(".py") else name.replace(":", ".").split(".")
    if wrong := [part for part in parts if not is_name(part)]:
        raise ValueError(
            f"name: must be names joined by dots, pkg.module:Class or file.py:Class, and {wrong[0]!r} in {name!r} "
            "cannot be imported; rename it"
        )


def is_name(text: str) -> bool:
    """Whether Python code can hold it as a name."""
    return text.isidentifier() and not iskeyword(text)


def check_momentum(momentum: float) -> None:
    """Refuse a momentum that is no decay rate."""
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum: must be in [0, 1), got {momentum}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam(OptimizerSettings):
    """Adam, by torch's fused kernel; weight decay is part of the gradient."""

    name: ClassVar[str] = "adam"
    made_by: ClassVar[str] = "torch.optim.Adam"

    betas: Betas = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check(self, "eps")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay, by torch's fused kernel."""

    name: ClassVar[str] = "adamw"
    made_by: ClassVar[str] = "torch.optim.AdamW"

    weight_decay: Decay = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SGD(OptimizerSettings):
    """Stochastic gradient descent, plain unless `momentum` is set."""

    name: ClassVar[str] = "sgd"
    made_by: ClassVar[str] = "torch.optim.SGD"

    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        check(self)
        check_momentum(self.momentum)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: needs momentum greater than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adagrad(OptimizerSettings):
    """Adagrad."""

    name: ClassVar[str] = "adagrad"
    made_by: ClassVar[str] = "torch.optim.Adagrad"

    lr_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        check(self, "lr_decay", "initial_accumulator_value", "eps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adafactor(OptimizerSettings):
    """Adafactor as in torch: the LR is that relative to the size of the weights, and at most 1 / sqrt(step).

    The class in transformers, as its Trainer makes it, takes the LR as it is; so the two need different LRs.
    """

    name: ClassVar[str] = "adafactor"
    made_by: ClassVar[str] = "torch.optim.Adafactor"

    beta2_decay: float = -0.8
    d: Annotated[float, "updates are scaled down to this root mean square"] = 1.0

    def __post_init__(self) -> None:
        check(self)
        if self.beta2_decay > 0:
            raise ValueError(f"beta2_decay: must be at most 0, got {self.beta2_decay}")
        if self.d < 1:
            raise ValueError(f"d: must be at least 1, got {self.d}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Muon(OptimizerSettings):
    """Muon for hidden matrices and convolutions, AdamW for all else, at an LR `rest_lr` times as high.

    An update is the momentum made orthogonal in float32, of the size that AdamW's has (`match_rms_adamw` in torch).
    """

    name: ClassVar[str] = "muon"
    made_by: ClassVar[str] = "lrctl.optimizers.muon.Muon"

    momentum: Annotated[float, "of Muon, which is Nesterov's"] = 0.95
    rest_lr: Annotated[float, "LR of embeddings, output and vectors over that of hidden matrices"] = 4.0
    betas: Annotated[Betas, "of AdamW"] = (0.9, 0.999)
    eps: Annotated[float, "of AdamW"] = 1e-8

    def __post_init__(self) -> None:
        check(self, "rest_lr", "eps")
        check_momentum(self.momentum)

    @property
    def by_role(self) -> bool:
        """It always takes hidden matrices apart."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFree(OptimizerSettings):
    """Schedule-free AdamW: weights are evaluated at an average of the run, so the LR rises, and need not fall.

    `lrctl baseline --family constant-with-warmup` tunes it.
    """

    name: ClassVar[str] = "schedule-free"
    made_by: ClassVar[str] = "lrctl.optimizers.schedule_free.ScheduleFree"
    averages: ClassVar[bool] = True

    betas: Annotated[Betas, "the first is where gradients are taken between last weights (0) and average (1)"] = (
        0.9,
        0.999,
    )
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check(self, "eps")
        if not self.betas[0]:
            raise ValueError("betas: the first must be greater than 0, got 0.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prodigy(OptimizerSettings):
    """Prodigy, which estimates the LR: the schedule's is a factor of that, about 1. Needs `lrctl[optimizers]`."""

    name: ClassVar[str] = "prodigy"
    made_by: ClassVar[str] = "prodigyopt.Prodigy"

    betas: Betas = (0.9, 0.999)
    beta3: Annotated[float | None, "of the estimate; the square root of the second of betas where there is none"] = None
    eps: float = 1e-8
    d0: Annotated[float, "the estimate to begin with"] = 1e-6
    d_coef: Annotated[float, "what the estimate is multiplied by"] = 1.0
    growth_rate: Annotated[float, "by which the estimate grows in an update at the most; 0 is any"] = 0.0
    use_bias_correction: bool = False
    safeguard_warmup: bool = False

    def __post_init__(self) -> None:
        check(self, "eps", "d0", "d_coef")
        if 0 < self.growth_rate < 1:
            raise ValueError(f"growth_rate: must be 0 or at least 1, got {self.growth_rate}")

    @property
    def arguments(self) -> dict[str, Any]:
        """No limit of growth is infinite there."""
        return arguments(self) | {"growth_rate": self.growth_rate or math.inf}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdEMAMix(OptimizerSettings):
    """AdEMAMix: Adam with a second, slow average of gradients. Needs `lrctl[optimizers]`."""

    name: ClassVar[str] = "ademamix"
    made_by: ClassVar[str] = "pytorch_optimizer.AdEMAMix"

    betas: Betas = (0.9, 0.999, 0.9999)
    alpha: Annotated[float, "the weight of the slow average"] = 5.0
    t_alpha_beta3: Annotated[float | None, "updates in which alpha and the third of betas rise"] = None
    weight_decouple: Annotated[bool, "weight decay as AdamW has it"] = True
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check(self, "alpha", "eps", betas=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class SOAP(OptimizerSettings):
    """SOAP: Adam in the eigenbasis of Shampoo's preconditioner. Needs `lrctl[optimizers]`."""

    name: ClassVar[str] = "soap"
    made_by: ClassVar[str] = "pytorch_optimizer.SOAP"

    weight_decay: Decay = 0.01
    betas: Betas = (0.95, 0.95)
    shampoo_beta: Annotated[float | None, "of the preconditioner; the second of betas where there is none"] = None
    precondition_frequency: Annotated[int, "updates from one eigenbasis to the next"] = 10
    max_precondition_dim: Annotated[int, "sides that are longer have no preconditioner"] = 10000
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check(self, "precondition_frequency", "eps")


@dataclass(frozen=True, slots=True, kw_only=True)
class ByName(OptimizerSettings):
    """Any class of an optimizer as torch has them, such as `torch.optim.NAdam` or `pkg.module:Class`.

    Attributes:
        code: tells its code, where it is not torch's.
    """

    name: str = field(metadata=UNKEYED)  # type: ignore[misc]  # of the others the class tells it
    options: Annotated[Mapping[str, Any], "what the class is built with, beside parameters and an LR"] = field(
        default_factory=dict, hash=False
    )
    code: str = ""

    def __post_init__(self) -> None:
        check(self)
        check_class(self.name)
        for option in self.options:
            if not is_name(option):
                raise ValueError(f"options: {option!r} is no name of an argument; leave it out")
        if self.weight_decay:
            raise ValueError("weight_decay: set optimizer.options.weight_decay for a class of your own")
        if "lr" in self.options:
            raise ValueError("options.lr: the LR is what a search finds: leave it out")

    @property
    def made_by(self) -> str:  # type: ignore[override]
        """The class itself."""
        return self.name

    @property
    def arguments(self) -> dict[str, Any]:
        """The options; a list, as of betas, becomes a tuple."""
        return {name: tuple(value) if isinstance(value, list) else value for name, value in self.options.items()}


OPTIMIZERS: dict[str, type[OptimizerSettings]] = {
    each.name: each for each in (AdamW, Adam, SGD, Adagrad, Adafactor, Muon, ScheduleFree, Prodigy, AdEMAMix, SOAP)
}
"""The settings of each optimizer. Defaults are the classes' own, but for AdamW's weight decay of 0.1 (torch: 0.01)."""
