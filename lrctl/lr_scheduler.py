"""A found schedule in a user's own PyTorch loop.

Imports torch.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

from lrctl.errors import UsageError
from lrctl.schedule import AdaptiveSchedule, Schedule


class ScheduleLR(LRScheduler):
    """Sets the LR of an optimizer to `schedule(step)`: a pure function of the step.

    With several param groups, each keeps the ratio of its LR to the largest group's, which is `schedule(step)`; that
    ratio is all that matters of the LRs the optimizer was made with. Update t, counted from 0, uses `schedule(t)`. A
    schedule that knows its length (a field `steps`) stays as it is at its end.

    Its `state_dict` resumes at any step, whether the optimizer's state is loaded before or after. The schedule is not
    part of the state: make the scheduler with it again.

    >>> from lrctl.schedule import PiecewiseLinear  # or lrctl.load_schedule("schedule.json")
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
        UsageError: the schedule is adaptive; it has to see the run.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule, last_epoch: int = -1) -> None:
        if isinstance(schedule, AdaptiveSchedule):
            raise UsageError(
                f"ScheduleLR: the LRs of {type(schedule).__name__} are decided during a run; export the run that used "
                "it with `lrctl export RUN --to torch`, which replays the LRs it used"
            )
        self.schedule = schedule
        groups = optimizer.param_groups
        # An optimizer that has gone some way tells its first LRs; those of now may all be 0.
        key = "initial_lr" if all("initial_lr" in group for group in groups) else "lr"
        first = [float(group[key]) for group in groups]
        for group, lr in zip(groups, first, strict=True):
            group["initial_lr"] = lr / max(first) if any(first) else 1.0
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | torch.Tensor]:
        """The LR of each param group at this step."""
        lr = self.schedule(min(self.last_epoch, getattr(self.schedule, "steps", math.inf)))
        return [share * lr for share in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """The step and the ratios of the param groups."""
        return {name: value for name, value in super().state_dict().items() if name != "schedule"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the step of a saved state."""
        super().load_state_dict(state_dict)
        # Making this scheduler set the optimizer's LRs to those of step 0, perhaps after its own state was loaded.
        self._last_lr = self.get_lr()
        for group, lr in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
