"""What holds for each tunable family."""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import math
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import case
from lrctl.contracts.axes import Fixed, axes
from lrctl.contracts.params import fields_of
from lrctl.registry.registry import registry
from lrctl.testing import check_schedule
from schedules.members import FAMILIES, members

EACH = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def test_the_families_are_these() -> None:
    assert list(FAMILIES) == [
        *("wsd", "cosine", "linear", "polynomial", "constant", "constant-with-warmup", "triangle", "quadratic", "step"),
        *("inverse-time", "inverse-sqrt", "cosine-with-restarts", "one-cycle", "cyclical", "rex", "power"),
        *("generalized-cosine", "square-root", "two-point-linear", "two-point-spline", "smooth-non-monotonic"),
    ]
    assert registry().get("schedule", "piecewise-linear").plugin == "lrctl_schedules"


@EACH
@given(st.data())
def test_it_keeps_the_contract_all_over_its_ranges(family: Any, data: st.DataObject) -> None:
    schedule = data.draw(members(family))
    check_schedule(schedule, schedule.steps)


@EACH
@given(st.data())
def test_it_is_never_above_its_peak(family: Any, data: st.DataObject) -> None:
    schedule = data.draw(members(family))
    step = data.draw(st.floats(0, schedule.steps) | st.integers(0, schedule.steps))
    assert 0 <= schedule(step) <= schedule.peak_lr


@EACH
@given(st.data())
def test_a_step_outside_of_the_run_has_an_lr_too(family: Any, data: st.DataObject) -> None:
    schedule = data.draw(members(family))
    assert schedule(-3) == schedule(0)
    assert 0 <= schedule(schedule.steps + 3) <= schedule.peak_lr


@EACH
@given(st.data())
def test_a_length_means_the_same_as_a_fraction_and_in_steps(family: Any, data: st.DataObject) -> None:
    names = [name for name, axis in axes(family).items() if axis.length]
    steps = data.draw(st.integers(2, 200))
    whole = {name: data.draw(st.integers(1, steps // 2), label=name) for name in names}
    unit = {"lengths": "steps"} if names else {}
    in_steps = family(steps, 0.3, **whole, **unit)
    as_fractions = family(steps, 0.3, **{name: length / steps for name, length in whole.items()})
    assert [in_steps(t) for t in range(steps + 1)] == [as_fractions(t) for t in range(steps + 1)]


@EACH
def test_it_declares_its_parameters(family: Any) -> None:
    hints = get_type_hints(family)
    names = [f.name for f in fields(family)]
    assert names[:2] == ["steps", "peak_lr"]
    assert [f.name for f in fields(family) if f.default is MISSING] == ["steps", "peak_lr"]
    assert ("lengths" in names) == any(axis.length for axis in axes(family).values())
    assert names.index("lengths") == len(names) - 1 if "lengths" in names else True
    fixed = {field.name for field in fields_of(family) if Fixed() in field.marks}
    assert set(axes(family)) == {name for name in names[2:] if hints[name] in (int, float)} - fixed
    assert fixed <= {"rise", "rise_rate"}
    assert all(field.help and "\n" not in field.help for field in fields_of(family))


@EACH
def test_an_axis_holds_its_grid_and_its_default(family: Any) -> None:
    for name, axis in axes(family).items():
        with case(name=name):
            assert axis.low <= getattr(family(60, 0.3), name) <= axis.high
            assert list(axis.grid) == sorted(set(axis.grid))
            assert all(axis.low <= value <= axis.high for value in axis.grid)
            assert axis.low > 0 or not axis.log


@EACH
def test_a_family_takes_every_value_that_its_axes_name(family: Any) -> None:
    for name, axis in axes(family).items():
        both = {"warmup", "decay"} <= set(axes(family)) and name in ("warmup", "decay")
        for value in (axis.low, *axis.grid, axis.high):
            with case(name=name, value=value):
                if value == 1.0 and both:
                    with pytest.raises(ValueError, match=r"^warmup \+ decay: must be at most 1, the run, got 1\.1$"):
                        family(60, 0.3, **{name: value})
                else:
                    check_schedule(family(60, 0.3, **{name: value}), 60)


@EACH
def test_a_family_takes_every_point_of_its_grid_on_short_runs_too(family: Any) -> None:
    grids = {name: axis.grid for name, axis in axes(family).items() if axis.grid}
    for steps, point in itertools.product((1, 2, 7), itertools.product(*grids.values())):
        check_schedule(family(steps, 0.3, **dict(zip(grids, point, strict=True))), steps)


# Values that are refused


BAD_NUMBERS = ("0.1", True, None, [0.1], math.nan, math.inf, -math.inf, -1, -1e-9, 10**400)
BAD_WORDS = ("", "Linear", 1, None, ["steps"])


@EACH
def test_a_bad_number_is_refused(family: Any) -> None:
    numbers = {field.name: field.type for field in fields_of(family) if field.type in (int, float)}
    for (name, kind), value in itertools.product(numbers.items(), BAD_NUMBERS):
        noun = "a whole number" if kind is int else "a number"
        expected = rf"^{name}: must be {noun} (from|of at least) .*, got {re.escape(repr(value))}$"
        with case(name=name, value=value), pytest.raises(ValueError, match=expected):
            family(**{"steps": 100, "peak_lr": 0.1, name: value})


@EACH
def test_a_bad_word_is_refused(family: Any) -> None:
    words = {field.name: get_args(field.type) for field in fields_of(family) if get_origin(field.type) is Literal}
    for (name, choices), value in itertools.product(words.items(), BAD_WORDS):
        expected = f"{name}: must be one of {', '.join(map(repr, choices))}, got {value!r}"
        with case(name=name, value=value), pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
            family(**{"steps": 100, "peak_lr": 0.1, name: value})


@EACH
def test_a_run_has_a_whole_number_of_steps(family: Any) -> None:
    for steps in (0, 0.5, 100.0):
        with case(steps=steps), pytest.raises(ValueError, match=r"^steps: must be a whole number from 1 to "):
            family(steps, 0.1)


@EACH
def test_a_schedule_cannot_be_changed(family: Any) -> None:
    schedule = family(100, 0.1)
    assert not hasattr(schedule, "__dict__")
    with pytest.raises(AttributeError):
        schedule.peak_lr = 0.2
    assert replace(schedule, peak_lr=0.2) == family(100, 0.2)


# What an export relies on


@EACH
def test_a_call_reads_only_fields_and_calls_only_math_and_functions_of_the_package(family: Any) -> None:
    names = {f.name for f in fields(family)}
    for function in reached(family.__call__):
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if isinstance(node, ast.Attribute):
                assert isinstance(node.value, ast.Name)
                assert node.attr in names if node.value.id == "self" else node.value.id == "math"


def reached(function: Callable[..., Any]) -> Iterator[Any]:
    """A function and the functions that it calls, each of which is the package's own, or built in."""
    yield function
    module = sys.modules[function.__module__]
    for name in function.__code__.co_names:
        value = vars(module).get(name, getattr(builtins, name, None))
        if inspect.isfunction(value):
            assert value.__module__.startswith("lrctl_schedules.")
            yield from reached(value)
        else:
            assert value in (None, math) or name in vars(builtins)
