"""The contract of schedules, and of those that see the run."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from lrctl.contracts.axes import stretch, tunable, with_peak
from lrctl.contracts.schedule import AdaptiveSchedule, Observation, Probing, Schedule, Scope, params_of
from lrctl.registry.schedules import build_schedule
from lrctl.testing.faults import calling


def check_schedule(schedule: Schedule, steps: int) -> None:
    """A schedule is a frozen, comparable dataclass, finite and >= 0 on [0, steps], and survives JSON.

    If its family is tunable, its LR is linear in its peak, and stretching it keeps its shape.
    """
    assert isinstance(schedule, Schedule), f"{schedule!r} cannot be called"
    check_frozen(schedule)
    with calling(f"hash() of {schedule!r}"):
        assert hash(schedule) == hash(dataclasses.replace(schedule)), "equal schedules must have equal hashes"  # type: ignore[type-var]
    for step in (half / 2 for half in range(2 * steps + 1)):  # plots ask between the steps too
        with calling(f"{schedule!r} at step {step:g}"):
            lr = schedule(step)
        assert isinstance(lr, int | float), f"{schedule!r} gives {lr!r} at step {step:g}; it must be a number"
        assert math.isfinite(lr), f"{schedule!r} gives {lr} at step {step:g}"
        assert lr >= 0, f"{schedule!r} gives {lr} at step {step:g}"
        assert schedule(step) == lr, f"{schedule!r} gives two values at step {step:g}"
    check_json(schedule)
    if hasattr(schedule, "lrs"):
        check_lrs(schedule, range(steps))
    if tunable(type(schedule)):
        check_tunable(schedule)


def check_frozen(built: object) -> None:
    """An instance of a dataclass that cannot be changed."""
    kind = type(built)
    assert dataclasses.is_dataclass(built), f"{kind.__name__} is no dataclass"
    assert kind.__dataclass_params__.frozen, f"{kind.__name__} can be changed: write @dataclass(frozen=True)"  # type: ignore[attr-defined]


def check_lrs(schedule: Any, steps: Sequence[int]) -> None:
    """What `lrs` gives for many steps at once is what a call gives for each."""
    with calling(f"{schedule!r}.lrs()"):
        given = [float(lr) for lr in schedule.lrs(steps)]
    expected = [schedule(step) for step in steps]
    near = (math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(given, expected, strict=False))
    alike = len(given) == len(expected) and all(near)
    assert alike, f"{schedule!r}.lrs() gives other LRs than a call for each step"


def check_tunable(schedule: Any) -> None:
    """A tunable schedule's LR is linear in its peak, and the shape stays the same when it is stretched."""
    lower, higher = with_peak(schedule, schedule.peak_lr / 2), with_peak(schedule, schedule.peak_lr * 3)
    longer = stretch(schedule, schedule.steps, schedule.steps * 2)
    for step in range(schedule.steps + 1):
        lr = schedule(step)
        # A family may leave out a warmup of at most one step, which would give LR 0 to the first update and no more.
        begins = step == 0 and longer(0) == 0
        for other, expected in ((lower(step), lr / 2), (higher(step), lr * 3)):
            near = math.isclose(other, expected, rel_tol=1e-9, abs_tol=schedule.peak_lr * 1e-9)
            assert near, f"{schedule!r} is not linear in peak_lr at step {step}: {other}, not {expected}"
        near = math.isclose(longer(step * 2), lr, rel_tol=1e-9, abs_tol=schedule.peak_lr * 1e-9)
        assert near or begins, (
            f"{schedule!r}, stretched to twice its steps, has LR {longer(step * 2)} at step {step * 2}, not {lr}"
        )


def check_json(schedule: object) -> None:
    """A schedule's parameters survive JSON."""
    with calling(f"{schedule!r} on its way through JSON"):
        again = build_schedule(type(schedule), json.loads(json.dumps(params_of(schedule), allow_nan=False)))
    assert again == schedule, f"{schedule!r} comes back from JSON as {again!r}"


def check_adaptive_schedule(schedule: AdaptiveSchedule, losses: list[float]) -> None:
    """An adaptive schedule is pure, its LRs are finite, and its state survives being saved at every step.

    Its LRs are >= 0 unless it is `signed`, and several only if its `scope` says so. One that probes is shown a scripted
    `UpdateContext` of two param groups; its state may hold the arrays that this gives.
    """
    assert isinstance(schedule, AdaptiveSchedule), f"{schedule!r} lacks init() or update()"
    check_json(schedule)
    state = schedule.init()
    for step, loss in enumerate(losses):
        if isinstance(schedule, Probing):
            state = changed("probe()", schedule.probe, state, ScriptedContext(step, loss))
        before = saved(state)
        lrs = lrs_of(schedule, step, state)
        assert lrs == lrs_of(schedule, step, state), f"{schedule!r} gives two values at step {step}"
        assert saved(state) == before, "asking for the LR changed the state"
        for lr in lrs:
            assert math.isfinite(lr), f"{schedule!r} gives {lr} at step {step}"
            assert lr >= 0 or getattr(schedule, "signed", False), f"{schedule!r} gives {lr} at step {step}"
        observation = Observation(step, math.fsum(lrs) / len(lrs), loss)
        state = changed("update()", schedule.update, state, observation)


@dataclasses.dataclass(frozen=True, slots=True)
class ScriptedContext:
    """Stands for an update: products that swing about 0, and a parabola along the gradient step.

    There are two param groups, of one parameter each; arrays are numpy's.
    """

    step: int
    loss: float

    def products(self, scope: Scope) -> tuple[Any, ...]:
        """As `UpdateContext` says."""
        import numpy as np

        arrays = np.sin(np.arange(1.0, 7.0) + self.step).reshape(2, 3), np.cos(np.arange(4.0) + self.step)
        sums = tuple(float(array.sum()) for array in arrays)
        return {"element": arrays, "group": sums, "global": (sum(sums),)}[scope]

    def slope(self) -> float:
        """As `UpdateContext` says."""
        return 1.0 + self.step % 3

    def loss_at(self, lr: float) -> float:
        """As `UpdateContext` says."""
        return self.loss - lr * self.slope() + lr * lr


def lrs_of(schedule: AdaptiveSchedule, step: int, state: Any) -> list[float]:
    """Every LR that a schedule gives for an update."""
    given, scope = schedule(step, state), getattr(schedule, "scope", "global")
    if not isinstance(given, tuple | list):
        return [float(given)]
    assert scope != "global", f"{schedule!r} gives several LRs, but its scope is global"
    return [float(lr) for each in given for lr in (each.ravel() if scope == "element" else [each])]


def changed(what: str, change: Callable[[Any, Any], Any], state: Any, seen: Any) -> Any:
    """What `change` makes of a state, which it must leave as it is, and take as JSON brings it back."""
    before = saved(state)
    after = change(state, seen)
    assert saved(state) == before, f"{what} changed the state it was given"
    assert saved(change(json.loads(before, object_hook=array), seen)) == saved(after), "the state lost by JSON"
    return after


def saved(state: Any) -> str:
    """A state as JSON, arrays and all."""
    try:
        return json.dumps(state, sort_keys=True, allow_nan=False, default=lambda each: {"array": each.tolist()})
    except (AttributeError, TypeError, ValueError) as error:
        raise AssertionError(f"the state {state!r} cannot be saved: {error}") from error


def array(saved: dict[str, Any]) -> Any:
    """The inverse of what `saved` makes of an array."""
    import numpy as np

    return np.array(saved["array"]) if set(saved) == {"array"} else saved
