"""The built-in schedule families."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrctl import hookimpl

if TYPE_CHECKING:
    from lrctl.hookspecs import Register


@hookimpl
def register_schedules(register: Register) -> None:
    """Register the families."""
    from lrctl.schedule import PiecewiseLinear

    register(PiecewiseLinear, name="piecewise-linear", help="straight lines between (step, LR) knots")
