"""A family's formula is carried as it is, and whatever cannot be becomes a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import case
from lrctl.contracts.axes import Fixed, tunable
from lrctl.contracts.params import fields_of
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.export.formula import formula
from lrctl.registry.registry import registry
from testing.test_check_schedule import SCHEDULES

STEPS = 60


def examples() -> dict[str, list[Any]]:
    """Schedules of every registered family: of a tunable one with each of its choices, of the others as told."""
    found: dict[str, list[Any]] = {}
    for part in registry().of("schedule"):
        each = [s for s in SCHEDULES.get(part.name, []) if not isinstance(s, AdaptiveSchedule)]
        if tunable(part.target):
            each += [part.target(steps=STEPS, peak_lr=0.3, **choice) for choice in choices(part.target)]
        if each:
            found[part.name] = list(dict.fromkeys(each))
    return found


def choices(family: Any) -> list[dict[str, Any]]:
    """The defaults, and every value of each parameter that is a choice; lengths in steps need other numbers."""
    named = {field.name: field.type for field in fields_of(family) if Fixed() not in field.marks}
    literal = {name: kind for name, kind in named.items() if get_origin(kind) is Literal}
    return [{}] + [{n: value} for n, kind in literal.items() if n != "lengths" for value in get_args(kind)]


EXAMPLES = examples()

of_every_family = pytest.mark.parametrize("family", EXAMPLES)


def steps_of(schedule: Any) -> int:
    return int(getattr(schedule, "steps", STEPS))


def lrs_of(schedule: Any, steps: int) -> list[float]:
    return [float(schedule(step)) for step in range(steps)]


def imported(text: str) -> dict[str, Any]:
    """What a file of code defines, where nothing else is defined."""
    module: dict[str, Any] = {"__name__": "lr_schedule"}
    exec(compile(text, "lr_schedule.py", "exec"), module)
    return module


def test_every_family_has_an_example() -> None:
    families = {type(schedule) for schedules in EXAMPLES.values() for schedule in schedules}
    assert families >= {p.target for p in registry().of("schedule") if not hasattr(p.target, "update")}


@of_every_family
def test_the_formula_of_a_built_in_family_is_carried(family: str) -> None:
    for schedule in EXAMPLES[family]:
        with case(schedule=schedule):
            assert formula(schedule, steps_of(schedule), "x").why_table == ""


@given(st.dictionaries(st.integers(0, 99), st.floats(0, 1e3), min_size=1), st.integers(1, 120))
def test_any_piecewise_linear_schedule_is_carried(knots: dict[int, float], steps: int) -> None:
    schedule = PiecewiseLinear(tuple(sorted(knots.items())))
    found = formula(schedule, steps, "x")
    assert (found.why_table, found.lrs) == ("", tuple(lrs_of(schedule, steps + 1)))


FAMILIES = """
import functools
import math
from bisect import bisect_right as right
from dataclasses import dataclass

from third.shapes import hump

SCALE = 0.5
LEVELS = {"low": 0.25, "high": 1.0}

def lift(x: float, by: float = SCALE) -> float:
    '''Add something.

    At length.
    '''
    offset: float = by
    return x + offset * SCALE

def lr(step):
    return step

@dataclass(frozen=True)
class Plain:
    steps: int
    level: str = "high"

    def __call__(self, step: float, /) -> float:
        '''The LR.'''
        return lift(hump(step / self.steps)) * LEVELS[self.level] / right((0, 9), step)

@dataclass(frozen=True)
class Derived:
    steps: int

    @property
    def half(self):
        return self.steps / 2

    def __call__(self, step):
        return step / self.half

@dataclass(frozen=True)
class HandsOn:
    steps: int

    def __call__(self, step):
        return progress(self, step)

def progress(schedule, step):
    return step / schedule.steps

@dataclass(frozen=True)
class NamedLikeAnExport:
    def __call__(self, step):
        return lr(step)

@dataclass(frozen=True)
class FieldNamedLikeAnExport:
    table: tuple = (0.25,) * 13

    def __call__(self, step):
        return self.table[step]

@dataclass(frozen=True)
class AnotherField:
    line: float = 0.5

    def __call__(self, step):
        return self.line

@dataclass(frozen=True)
class WithNumpy:
    def __call__(self, step):
        import numpy
        return float(numpy.sqrt(step))

def counted():
    return functools.partial(math.pow, 2.0)

power = counted()

@dataclass(frozen=True)
class NotLiteral:
    def __call__(self, step):
        return power(-step)

@dataclass(frozen=True)
class ManyArguments:
    def __call__(self, step, scale=1.0):
        return step * scale

@dataclass(frozen=True)
class Shorter:
    steps: int = 9

    def __call__(self, step):
        return max(0, self.steps - step)

@dataclass(frozen=True)
class Restless:
    def __call__(self, step):
        return step + CHANGED[0]

CHANGED = [0.0]
"""

SHAPES = """
import math
from math import pi

def hump(x):
    return math.sin(pi * x) ** 2 + constants(x)

def constants(x):
    return sum(x * i for i in range(3)) if x else 0.0
"""


@pytest.fixture
def third(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package of families of somebody else."""
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "__init__.py").write_text(FAMILIES)
    (tmp_path / "third" / "shapes.py").write_text(SHAPES)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("third", "third.shapes"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import third  # type: ignore[import-not-found]

    return third


def test_a_formula_is_carried_from_all_modules_of_its_package(third: Any) -> None:
    found = formula(third.Plain(20, "low"), 20, "x")
    assert found.why_table == ""
    assert found.imports == ("from bisect import bisect_right as right", "import math")
    assert '"""Add something."""' in found.body
    assert "LEVELS = {'low': 0.25, 'high': 1.0}" in found.body
    assert "float" not in found.body
    assert "third" not in found.body
    assert lrs_of(imported("\n".join([*found.imports, found.body]))["lr"], 21) == lrs_of(third.Plain(20, "low"), 21)


TABLES = {
    "Derived": "it uses self.half, which is not a field",
    "HandsOn": "it hands self on",
    "NamedLikeAnExport": "two things in it are called lr",
    "FieldNamedLikeAnExport": "two things in it are called TABLE",
    "AnotherField": "two things in it are called LINE",
    "WithNumpy": "a function of it imports something",
    "NotLiteral": "power is partial, which cannot be written as a literal",
    "ManyArguments": "its __call__ takes more than the step",
    "Shorter": "it is made for 9 steps",
}


@pytest.mark.parametrize(("family", "why"), TABLES.items(), ids=TABLES)
def test_a_formula_that_cannot_be_carried_becomes_a_table(third: Any, family: str, why: str) -> None:
    make = getattr(third, family)
    schedule = make(12) if family in ("Derived", "HandsOn") else make()
    found = formula(schedule, 12, "x")
    assert found.why_table == why
    assert lrs_of(imported(found.body)["lr"], 13) == lrs_of(schedule, 13)


def test_a_formula_that_gives_other_lrs_by_itself_becomes_a_table(third: Any) -> None:
    schedule = third.Restless()
    third.CHANGED = Fickle()
    assert formula(schedule, 12, "x").why_table == "by itself it gives other LRs"


class Fickle(list[float]):
    """Says it is one thing, and is another."""

    def __repr__(self) -> str:
        return "[1.0]"

    def __eq__(self, other: object) -> bool:
        return True

    def __getitem__(self, _place: Any) -> Any:
        return 2.0
