"""Members of the built-in tunable families, drawn from the ranges of their parameters."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hypothesis import assume
from hypothesis import strategies as st

from lrctl.contracts.axes import Axis, axes, tunable
from lrctl.registry.registry import registry

FAMILIES = {
    part.name: part.target
    for part in registry().of("schedule")
    if part.plugin == "lrctl_schedules" and tunable(part.target)
}


@st.composite
def members(draw: st.DrawFn, family: Any) -> Any:
    """A member of a family; lengths are fractions or steps."""
    steps = draw(st.integers(1, 120))
    hints = get_type_hints(family)
    words = {f.name: get_args(hints[f.name]) for f in fields(family) if get_origin(hints[f.name]) is Literal}
    params: dict[str, Any] = {name: draw(st.sampled_from(choices)) for name, choices in words.items()}
    for name, axis in axes(family).items():
        value = draw(values(axis, hints[name]))
        params[name] = value * steps if axis.length and params["lengths"] == "steps" else value
    try:
        return family(steps, draw(st.floats(1e-6, 10)), **params)
    except ValueError as error:
        assume(not str(error).startswith("warmup + decay: must be at most"))
        raise


def values(axis: Axis, kind: type) -> st.SearchStrategy[Any]:
    """The values of an axis, those of its grid and its ends above all."""
    if kind is int:
        return st.integers(int(axis.low), int(axis.high))
    return st.sampled_from([axis.low, *axis.grid, axis.high]) | st.floats(axis.low, axis.high)
