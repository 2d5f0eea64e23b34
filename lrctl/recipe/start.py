"""A run that is under way: the checkpoint that it goes on from, and what it did before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from lrctl.contracts.piecewise import PiecewiseLinear, through
from lrctl.contracts.schedule import LRS, AdaptiveSchedule, Schedule, is_lr
from lrctl.errors import UsageError
from lrctl.registry.schedules import parse_schedule, read_schedule


@dataclass(frozen=True, slots=True)
class Start:
    """Where the search begins in a run that is under way. Without it, a run begins at step 0."""

    checkpoint: Annotated[str, "file with the model and optimizer, or what your program saved"]
    at: Annotated[int, "updates that the run has behind it"]
    past: Annotated[str | float, "the LR of those updates: one number, or a schedule.json of the run"]

    def check_within(self, steps: int, source: str) -> None:
        """Refuse a beginning that a run of so many steps has nothing left after."""
        if not 1 <= self.at < steps:
            raise UsageError(
                f"{source}: start.at: must be from 1 to below the run's {steps} steps, got {self.at}; --steps is the "
                "length of the whole run, with what is behind it"
            )

    @property
    def schedule(self) -> Schedule:
        """The schedule that the run has followed so far.

        Raises:
            UsageError: it is none, is too short, or its LRs are decided during a run.
        """
        where = "--past" if str(self.past).startswith("{") else f"--past {self.past}"
        if (lr := number(self.past)) is not None:
            if not is_lr(lr):
                raise UsageError(f"{where}: must be an LR {LRS}, or a schedule.json")
            return PiecewiseLinear(((0, lr),))
        text = str(self.past)
        given, steps = parse_schedule(text, where) if text.startswith("{") else read_schedule(text)
        if isinstance(given, AdaptiveSchedule):
            raise UsageError(
                f"{where}: its LRs are decided during a run; lrctl export RUN --to json writes those it used"
            )
        if steps < self.at:
            raise UsageError(
                f"{where}: it is for {steps} steps, and --at {self.at} says that more are done; lower --at"
            )
        schedule: Schedule = given
        return schedule

    @property
    def lrs(self) -> list[float]:
        """The LR of each step so far, as the schedule that is handed over has them."""
        lines = through([float(self.schedule(step)) for step in range(self.at)])
        return [lines(step) for step in range(self.at)]

    def joined(self, then: Schedule, steps: int) -> PiecewiseLinear:
        """The schedule of the whole run of so many steps: the past as it was, then another from `at` on."""
        knots = then.knots if isinstance(then, PiecewiseLinear) else [(step, then(step)) for step in range(steps + 1)]
        after = {self.at: float(then(self.at)), **dict(knots)}
        past = through([float(self.schedule(step)) for step in range(self.at)]).knots
        return PiecewiseLinear((*past, *((step, lr) for step, lr in sorted(after.items()) if step >= self.at)))


def number(text: Any) -> float | None:
    """A number, or text that is one."""
    try:
        return float(text)
    except ValueError:
        return None
