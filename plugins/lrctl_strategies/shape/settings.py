"""The settings that a search is repeated for, such as `optimizer.weight_decay=0,0.1` or `steps=300,600`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from lrctl.contracts.optimizers import OptimizerSettings
from lrctl.contracts.strategy import RunSpec
from lrctl.errors import UsageError, unknown
from lrctl_strategies.grids import combined

BETAS = {"beta1": 0, "beta2": 1}
"""Names for the two settings that are one list."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a search is repeated for.

    Attributes:
        label: such as `weight_decay=0.1`; empty where nothing is varied.
        optimizer: in place of the recipe's; None leaves it as it is.
        independent: the weight decay is that of an update at the peak, whatever the base LR; else it is times the LR.
    """

    label: str
    steps: int
    optimizer: OptimizerSettings | None = None
    independent: bool = False

    def optimizer_at(self, base_lr: float) -> OptimizerSettings | None:
        if self.optimizer is None or not self.independent:
            return self.optimizer
        return replace(self.optimizer, weight_decay=self.optimizer.weight_decay / base_lr)


def settings(texts: Sequence[str], run: RunSpec, *, independent: bool = False) -> list[Setting]:
    """Every combination of the values of `--vary`; one setting without a label where nothing is varied."""
    varied: dict[str, dict[float, None]] = {}
    for key, values in map(axis, texts):
        varied.setdefault(key, {}).update(dict.fromkeys(values))
    return [setting(values, run, independent=independent) for values in combined(varied)]


def axis(text: str) -> tuple[str, tuple[float, ...]]:
    """The key and values of `--vary`.

    >>> axis("optimizer.weight_decay=0,0.1")
    ('optimizer.weight_decay', (0.0, 0.1))
    """
    key, equals, values = text.partition("=")
    key = key.strip().removeprefix("training.")
    try:
        numbers = tuple(dict.fromkeys(float(value) for value in values.split(",") if value.strip()))
    except ValueError:
        numbers = ()
    if not (
        equals and numbers and all(map(math.isfinite, numbers)) and (key == "steps" or key.startswith("optimizer."))
    ):
        raise ValueError(
            "vary: must be steps or a setting of the optimizer, with numbers, such as optimizer.weight_decay=0,0.1, "
            f"got {text!r}"
        )
    return key, numbers


def setting(values: Mapping[str, float], run: RunSpec, *, independent: bool) -> Setting:
    label = ", ".join(f"{key.removeprefix('optimizer.')}={value:g}" for key, value in values.items())
    steps = values.get("steps", run.steps)
    if not (float(steps).is_integer() and steps >= 1):
        raise UsageError(f"--vary steps: must be whole numbers of at least 1, got {steps:g}")
    changes = {key.removeprefix("optimizer."): value for key, value in values.items() if key != "steps"}
    optimizer = changed(changes, run) if changes or independent else None
    return Setting(label, int(steps), optimizer, independent)


def changed(changes: Mapping[str, float], run: RunSpec) -> OptimizerSettings:
    if run.optimizer is None:
        raise UsageError(
            "--vary optimizer.*, --weight-decay: the workload brings its own optimizer; "
            "name one, as in --set optimizer.name=adamw"
        )
    settings = run.optimizers[run.optimizer]
    own = asdict(settings)
    for name, value in changes.items():
        # What the optimizer would refuse in the middle of the search.
        if (name in BETAS or name == "momentum") and not 0 <= value < 1:
            raise UsageError(f"--vary optimizer.{name}: must be in [0, 1), got {value:g}")
        default = own.get(name, 0.0)
        if value < 0 and not (isinstance(default, float) and default < 0):
            raise UsageError(f"--vary optimizer.{name}: must be at least 0, got {value:g}")
        if name in BETAS and "betas" in own:
            betas = list(own["betas"])
            betas[BETAS[name]] = value
            own["betas"] = tuple(betas)
        elif isinstance(own.get(name), bool | str | tuple | list | None):
            numbers = [key for key, each in own.items() if isinstance(each, float)] + list(BETAS) * ("betas" in own)
            raise unknown("setting", name, numbers, f"--vary optimizer.{name}")
        else:
            own[name] = value
    return replace(settings, **own)
