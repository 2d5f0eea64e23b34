"""A schedule as plain Python that needs no lrctl: its family's own formula, with the parameters as constants.

What comes out is run and compared with the schedule at every step: a formula that cannot be carried, or is not equal,
becomes a table of LRs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrctl.errors import UsageError
from lrctl.export.source import NotCarriedError, carried, constant, layout

BEYOND = "raise ValueError(f'the schedule has {STEPS} steps, and step {step} is after them')"
LOOK_UP = f"def lr(step):\n    if step > STEPS:\n        {BEYOND}\n    return LRS[int(step)]"


@dataclass(frozen=True, slots=True)
class Formula:
    """Source that defines `STEPS` and `lr(step)`, equal to the schedule bit for bit; beyond `STEPS` it raises.

    Attributes:
        imports: what the body needs of the standard library, a statement each.
        lrs: the LR of each step from 0 to `STEPS`, both included.
        why_table: why `lr` only looks its values up; empty where it is the family's formula.
    """

    imports: tuple[str, ...]
    body: str
    lrs: tuple[float, ...]
    why_table: str = ""


def formula(schedule: Any, steps: int, where: str) -> Formula:
    """The formula of a schedule for a run of `steps` steps; `where` names it in errors."""
    lrs = evaluated(schedule, steps, where)
    try:
        imports, body = carried(schedule, steps)
        check_equal("\n".join((*imports, body)), lrs)
    except NotCarriedError as reason:
        return Formula((), layout([constant("STEPS", steps), constant("LRS", lrs), LOOK_UP]), lrs, str(reason))
    return Formula(imports, body, lrs)


def evaluated(schedule: Any, steps: int, where: str) -> tuple[float, ...]:
    """The LRs of steps 0 to `steps`, both included."""
    lrs = []
    for step in range(steps + 1):
        try:
            lr = float(schedule(step)) + 0.0  # turns -0.0 into 0.0, as a job does
        except Exception as error:
            wrong = f"fails at step {step} with {type(error).__name__}: {error}"
        else:
            wrong = "" if math.isfinite(lr) and lr >= 0 else f"gives LR {lr} at step {step}, not one finite and >= 0"
        if wrong:
            raise UsageError(f"{where}: schedule family {type(schedule).__name__} {wrong}; check its params")
        lrs.append(lr)
    return tuple(lrs)


def check_equal(source: str, lrs: Sequence[float]) -> None:
    """Run a formula by itself and compare its bits with the schedule's."""
    alone: dict[str, Any] = {"__name__": "lr_schedule"}
    try:
        exec(source, alone)
        given = [float(alone["lr"](step)) + 0.0 for step in range(len(lrs))]
    except Exception as error:
        raise NotCarriedError(f"by itself it fails with {type(error).__name__}: {error}") from error
    if struct.pack(f"{len(given)}d", *given) != struct.pack(f"{len(given)}d", *lrs):
        raise NotCarriedError("by itself it gives other LRs")
