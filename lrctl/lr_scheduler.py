"""Schedules in a user's own PyTorch loop: one that was found, and those that see the run.

Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal, SupportsFloat

import torch
from torch.optim.lr_scheduler import LRScheduler

from lrctl.contracts.canonical import listed
from lrctl.contracts.schedule import AdaptiveSchedule, Schedule, family_of, params_of
from lrctl.errors import UsageError
from lrctl.optimizers.param_groups import keep_own_lrs, own_lrs, scales, set_lr
from lrctl.registry.registry import registry
from lrctl.registry.schedules import tupled
from lrctl.training.lr_control import Control, check_lr, scope_of

__all__ = ["AdaptiveLR", "GreedyLR", "ScheduleLR"]


class ScheduleLR(LRScheduler):
    """Sets the LR of an optimizer to `schedule(step)`: a pure function of the step.

    With several param groups, the LR of each is `schedule(step)` times its scale: the group's `lr_scale` if it has one,
    else its own LR over the first group's. That is all that matters of the LRs the optimizer was made with; as with
    torch's schedulers, `initial_lr` keeps them. Update t, counted from 0, uses `schedule(t)`. A schedule that knows its
    length (a field `steps`) stays as it is at its end.

    Its `state_dict` resumes at any step, whether the optimizer's state is loaded before or after. The schedule is not
    part of the state: make the scheduler with it again.

    >>> from lrctl.contracts.piecewise import PiecewiseLinear  # or lrctl.load_schedule("schedule.json")
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters())
    >>> scheduler = ScheduleLR(optimizer, PiecewiseLinear(((0, 0.0), (4, 0.5))))
    >>> for step in range(3):
    ...     print(scheduler.get_last_lr())
    ...     optimizer.step()
    ...     scheduler.step()
    [0.0]
    [0.125]
    [0.25]

    Args:
        optimizer: whose LRs are set.
        schedule: from `lrctl.load_schedule`, or any registered family.
        last_epoch: the last update done, -1 for none; a loop that saves no state can resume with it.

    Raises:
        UsageError: the schedule is adaptive, so that it has to see the run; or the param groups' LRs have no ratio.
        ValueError: the schedule gives an LR that is negative or not finite.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule, last_epoch: int = -1) -> None:
        if isinstance(schedule, AdaptiveSchedule):
            raise UsageError(
                f"ScheduleLR: the LRs of {type(schedule).__name__} are decided during a run; use AdaptiveLR, or export "
                "the run that used it with `lrctl export RUN --to torch`, which replays the LRs it used"
            )
        self.schedule = schedule
        self.scales = scales(optimizer)
        keep_own_lrs(optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | torch.Tensor]:
        """The LR of each param group at this step."""
        if len(self.scales) != len(self.optimizer.param_groups):  # one was added
            self.scales = scales(self.optimizer)
            keep_own_lrs(self.optimizer)
        step = min(self.last_epoch, getattr(self.schedule, "steps", math.inf))
        lr = float(self.schedule(step))
        check_lr(self.schedule, step, lr)
        return [scale * lr for scale in self.scales]

    def state_dict(self) -> dict[str, Any]:
        """The step and the scales of the param groups."""
        return {name: value for name, value in super().state_dict().items() if name != "schedule"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the step of a saved state.

        Raises:
            UsageError: the state is of another kind of scheduler, or for other param groups.
        """
        check_groups(self, state_dict)
        super().load_state_dict(state_dict)
        # Making this scheduler set the optimizer's LRs to those of step 0, perhaps after its own state was loaded.
        self._last_lr = self.get_lr()
        for group, lr in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            set_lr(group, float(lr))


def first_lrs(optimizer: torch.optim.Optimizer) -> list[float]:
    """The LRs that a schedule with one for each param group starts at: the first's where `lr_scale` tells the ratio."""
    own = own_lrs(optimizer)
    return [own[0] if "lr_scale" in group else lr for group, lr in zip(optimizer.param_groups, own, strict=True)]


def check_groups(scheduler: LRScheduler, state: Mapping[str, Any]) -> None:
    """Refuse a state that is of another kind of scheduler, or for other param groups."""
    name = type(scheduler).__name__
    if "scales" not in state:
        raise UsageError(f"{name}: this is no state_dict of a {name}: 'scales' is missing")
    theirs, ours = len(state["scales"]), len(scheduler.optimizer.param_groups)
    if theirs != ours:
        raise UsageError(f"{name}: the state is of {theirs} param groups, the optimizer has {ours}")


class AdaptiveLR(LRScheduler):
    """Drives an adaptive schedule: one that decides the LR by what it sees of the run.

    The schedule is the name of a registered one (greedy, plateau, hypergradient, line-search, or a plugin's) with its
    settings, or such a schedule itself. By name it starts at the optimizer's LRs unless `initial_lr` is given.

    Call `step(metric)` after each optimizer update with the training loss, or after each evaluation with its metric.
    Param groups are scaled as with `ScheduleLR`. A schedule with an LR for each of them says their ratio itself: these
    LRs are scaled by a group's `lr_scale` alone.

    A schedule that looks into each update, such as hypergradient descent and line search, needs a second call, between
    `loss.backward()` and `optimizer.step()`: `probe(loss)`, for line search with a closure that computes the loss of
    the same batch again.

    `state_dict` holds numbers, lists and tensors only, and resumes at any step; make the scheduler with the same
    schedule again.

    >>> optimizer = torch.optim.SGD(torch.nn.Linear(2, 1).parameters(), lr=0.5)
    >>> scheduler = AdaptiveLR(optimizer, "plateau", patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     optimizer.step()
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.05]

    Args:
        optimizer: whose LRs are set, at once and after each step.
        schedule: an adaptive schedule, or the name of one; `ScheduleLR` takes the others.
        settings: of the schedule that was named; `help(scheduler.schedule)` tells them.

    Raises:
        UsageError: the schedule is not known or not adaptive, or does not fit the optimizer's param groups.
        ValueError: a setting is out of its range.
        TypeError: there is no such setting.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: AdaptiveSchedule | str, **settings: Any) -> None:
        # Not LRScheduler's: it would take a step, and this one has seen nothing yet. ReduceLROnPlateau does the same.
        if isinstance(schedule, str):
            schedule = named(schedule, settings, first_lrs(optimizer))
        elif settings:
            raise TypeError(f"AdaptiveLR: settings are for a schedule given by name, got {', '.join(settings)}")
        if not isinstance(schedule, AdaptiveSchedule):
            raise UsageError(f"AdaptiveLR: {type(schedule).__name__} knows its LRs before the run; use ScheduleLR")
        self.optimizer, self.last_epoch = optimizer, 0
        self.follow(schedule)

    def follow(self, schedule: AdaptiveSchedule) -> None:
        """Begin with a schedule: set its first LR."""
        self.schedule = schedule
        self.control = Control(self.optimizer, schedule)
        keep_own_lrs(self.optimizer)
        self.set()

    def set(self) -> None:
        """Set the LRs of the update to come."""
        if len(self.control.scales) != len(self.optimizer.param_groups):  # one was added
            self.control.scales = scales(self.optimizer, scope_of(self.schedule))
            keep_own_lrs(self.optimizer)
        self.lr, self.probed = self.control.set(self.last_epoch), False
        self._last_lr = list(self.control.lrs)

    def probe(self, loss: SupportsFloat, closure: Callable[[], torch.Tensor] | None = None) -> None:
        """Let the schedule look into the update to come; to be called with its gradient in place.

        Args:
            loss: of the batch, as it was before `backward`.
            closure: computes the loss of the same batch again, for schedules that try steps. It must give the same
                number again (dropout, batch norm), and is called without gradients.

        Raises:
            UsageError: the schedule asks for what the optimizer or the closure cannot give.
        """
        self.lr, self.probed = self.control.decide(self.last_epoch, detached(loss), closure), True
        self._last_lr = list(self.control.lrs)

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Let the schedule see an update or evaluation that is done, and set the LRs that follow.

        Args:
            metrics: the loss, or whatever the schedule is to follow.
            epoch: the number of the update to come, in place of one more than the last.

        Raises:
            UsageError: the schedule has to look into each update, and `probe` was not called.
        """
        if self.control.probing is not None and not self.probed:
            raise UsageError(
                f"AdaptiveLR: {type(self.schedule).__name__} decides each LR by the gradient; call "
                "scheduler.probe(loss) between loss.backward() and optimizer.step()"
            )
        self.control.observe(self.last_epoch, self.lr, detached(metrics))
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self.set()

    def get_lr(self) -> list[float | torch.Tensor]:
        """The LR of each param group as set last."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """The step and the state of the schedule, without the schedule itself."""
        return {"last_epoch": self.last_epoch, "scales": list(self.control.scales), **self.control.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the step of a saved state, whether the optimizer's was loaded before or after.

        Raises:
            UsageError: the state is of another kind of schedule, or for other param groups.
        """
        check_groups(self, state_dict)
        if not self.control.restore(state_dict):
            family, ours = state_dict.get("family"), family_of(self.schedule)
            raise UsageError(f"{type(self).__name__}: the state is that of a schedule {family}, not {ours}")
        self.last_epoch, self.control.scales = state_dict["last_epoch"], list(state_dict["scales"])
        self.set()


class GreedyLR(AdaptiveLR):
    """GreedyLR: the LR rises while the metric improves, and falls while it does not.

    The schedule `greedy` of `lrctl list` with the optimizer's own LRs to start from; `help(scheduler.schedule)` tells
    each variant in full, with every setting and its default. The parameters are named as in the class of Hugging Face
    transformers, and there are bounds relative to the initial LR. Defaults are those of the paper (Subramanian &
    Ganapathiraman, section III), which differ from transformers' in this: `min_lr` is a tenth of the initial LR instead
    of 1e-3, `max_lr` ten times it instead of 1.0 (the paper gives none), `smooth` is on, and `eps` is 0 instead of
    1e-8, so that the LR can reach its bounds.

    >>> optimizer = torch.optim.SGD(torch.nn.Linear(2, 1).parameters(), lr=0.1)
    >>> scheduler = GreedyLR(optimizer, patience=1, factor=0.5, smooth=False)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     optimizer.step()
    ...     scheduler.step(loss)
    ...     print(scheduler.get_last_lr())
    [0.1]
    [0.2]
    [0.2]
    [0.1]

    Args:
        optimizer: whose LRs are set.
        variant: `hf` as in transformers; `authors` as in the first author's code, where the best metric moves during
            cooldown and warmup too; `paper` Algorithm 1 to the letter, for study only: any cooldown forbids every rise,
            any warmup every fall, and after `reset_start` steps the LR is pinned to its initial value.
        settings: of the schedule: `mode`, `factor`, `patience`, `threshold`, `threshold_mode`, `cooldown`, `warmup`,
            `min_lr`, `max_lr` (a number, or one for each param group), `relative_min_lr`, `relative_max_lr`, `eps`,
            `smooth`, `window_size`, `reset_start`.

    Raises:
        ValueError: a setting is out of its range.
        TypeError: there is no such setting.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, variant: Literal["hf", "authors", "paper"] = "hf", **settings: Any
    ) -> None:
        start = {"initial_lr": first_lrs(optimizer), "variant": variant}
        super().__init__(optimizer, "greedy", **start | settings)

    def state_dict(self) -> dict[str, Any]:
        """The step, the state, and the settings."""
        return {**super().state_dict(), "settings": params_of(self.schedule)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state, with its settings; that of transformers' GreedyLR is taken too."""
        state = state_dict if "settings" in state_dict else from_transformers(state_dict)
        check_groups(self, state)
        self.follow(named("greedy", state["settings"]))
        super().load_state_dict(state)


def metric_family(name: str, place: str, instead: str) -> Any:
    """The registered adaptive schedule of a name, which must look at a metric alone.

    Raises:
        UsageError: there is none, it looks at gradients, or it knows its LRs before the run and is used `instead`.
    """
    family = registry().get("schedule", name, place).target
    if not hasattr(family, "init"):
        raise UsageError(f"{place}: schedule '{name}' knows its LRs before the run; {instead}")
    if hasattr(family, "probe"):
        raise UsageError(
            f"{place}: schedule '{name}' decides each LR by the gradient, not by a metric alone; choose greedy or "
            "plateau, or use AdaptiveLR in a loop of your own"
        )
    return family


def named(name: str, settings: Mapping[str, Any], first: Sequence[float] = ()) -> AdaptiveSchedule:
    """A registered schedule with its settings; it starts at the LRs `first` if it takes an initial LR and has none."""
    family = registry().get("schedule", name, "AdaptiveLR").target
    if not hasattr(family, "init"):
        raise UsageError(f"AdaptiveLR: '{name}' knows its LRs before the run; use ScheduleLR")
    own = {key: tupled(listed(value)) for key, value in settings.items()}
    if first and "initial_lr" in {field.name for field in fields(family)}:
        own = {"initial_lr": tuple(first) if own.get("scope") == "group" else first[0]} | own
    schedule: AdaptiveSchedule = family(**own)
    return schedule


def detached(value: SupportsFloat) -> SupportsFloat:
    """A loss without what it was computed from."""
    return value.detach() if isinstance(value, torch.Tensor) else value


def from_transformers(state: Mapping[str, Any]) -> dict[str, Any]:
    """The `state_dict` of the GreedyLR of Hugging Face transformers as one of ours."""
    settings = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "warmup", "eps", "smooth")
    counters = ("num_good_epochs", "num_bad_epochs", "cooldown_counter", "warmup_counter")
    try:
        average = state.get("_streaming_avg", {"values": [], "sum": 0.0})
        window = [value for value in average["values"] if math.isfinite(value)]
        return {
            "last_epoch": state["last_epoch"],
            "scales": [1.0] * len(state["_last_lr"]),
            "schedule": {
                **{name: state[name] for name in counters},
                "lrs": list(state["_last_lr"]),
                "best": state["best"] if math.isfinite(state["best"]) else None,
                "reset_counter": state["reset_start"],
                "window": window,
                "sum": average["sum"] if math.isfinite(average["sum"]) else math.fsum(window),
                "epoch": 0,
            },
            "settings": {
                **{name: state[name] for name in (*settings, "window_size")},
                "initial_lr": state["_init_lrs"],
                "min_lr": state["min_lrs"],
                "max_lr": state["max_lrs"],
                "reset_start": state["reset_start_original"],
            },
        }
    except KeyError as error:
        raise UsageError(f"GreedyLR: this is no state_dict of a GreedyLR: {error} is missing") from error
