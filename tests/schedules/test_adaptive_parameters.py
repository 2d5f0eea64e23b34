"""The families that see the run refuse what is out of range, and warn of what cannot be meant."""

from __future__ import annotations

import itertools
import json
import math
import re
import warnings
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin

import pytest

from cases import case
from lrctl.contracts.params import fields_of
from lrctl.contracts.schedule import params_of
from lrctl.lr_scheduler import GreedyLR
from lrctl.registry.registry import registry
from lrctl.registry.schedules import build_schedule
from lrctl.registry.values import build
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.hypergradient import Hypergradient
from lrctl_schedules.line_search import LineSearch
from lrctl_schedules.plateau import Plateau
from schedules.streams import optimizer_of

FAMILIES: dict[str, Any] = {
    "greedy": Greedy,
    "plateau": Plateau,
    "hypergradient": Hypergradient,
    "line-search": LineSearch,
}
EACH = pytest.mark.parametrize("name", FAMILIES)


@EACH
def test_it_is_registered_and_says_what_its_parameters_are(name: str) -> None:
    assert registry().get("schedule", name).target is FAMILIES[name]
    assert all(field.help and "\n" not in field.help for field in fields_of(FAMILIES[name]))


@EACH
def test_it_cannot_be_changed_and_is_built_from_what_json_holds(name: str) -> None:
    family = FAMILIES[name]
    schedule = family(initial_lr=0.5)
    assert not hasattr(schedule, "__dict__")
    assert hash(schedule) == hash(replace(schedule))
    given = json.loads(json.dumps(params_of(schedule), allow_nan=False))
    assert build_schedule(family, given) == schedule
    assert build(family, given, "schedule") == schedule


BAD_NUMBERS = ("0.1", math.nan, math.inf, -math.inf, -1, -1e-9, 10**400, ["0.1"], (), (0.1, "a"))
BAD_WORDS = ("", "Min", 1, None)


@EACH
def test_a_bad_number_is_refused(name: str) -> None:
    others = [field for field in fields_of(FAMILIES[name]) if get_origin(field.type) is not Literal]
    for field, value in itertools.product(others, BAD_NUMBERS):
        with case(field=field.name, value=value):
            refuses_number(FAMILIES[name], field, value)


def refuses_number(family: Any, field: Any, value: Any) -> None:
    negative = isinstance(value, int | float) and -math.inf < value < 0
    if family is Hypergradient and field.name == "min_lr" and negative:
        assert family(0.1, min_lr=value).signed
        return
    # A bound of hypergradient descent may be negative, but then it is below the initial LR.
    named = "initial_lr" if family is Hypergradient and field.name == "max_lr" and negative else field.name
    with pytest.raises(ValueError, match=rf"^{named}: must (be|hold) "):
        family(**{"initial_lr": 0.5, field.name: value})


@EACH
def test_a_bad_word_is_refused(name: str) -> None:
    words = [field for field in fields_of(FAMILIES[name]) if get_origin(field.type) is Literal]
    for field, value in itertools.product(words, BAD_WORDS):
        expected = f"{field.name}: must be one of {', '.join(map(repr, get_args(field.type)))}, got {value!r}"
        with case(field=field.name, value=value), pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
            FAMILIES[name](**{"initial_lr": 0.5, field.name: value})


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "factor 0": (Greedy, {"factor": 0.0}, "factor: must be greater than 0 and less than 1, got 0.0"),
    "factor 1": (Plateau, {"factor": 1.0}, "factor: must be greater than 0 and less than 1, got 1.0"),
    "patience that is no whole number": (Greedy, {"patience": 2.0}, "patience: must be a whole number from 0"),
    "an empty window": (Greedy, {"window_size": 0}, "window_size: must be a whole number from 1"),
    "a relative threshold of all": (
        *(Plateau, {"threshold": 1.0}),
        "threshold: must be less than 1 with threshold_mode 'rel', got 1.0",
    ),
    "smooth 1": (Greedy, {"smooth": 1}, "smooth: must be true or false, got 1"),
    "bounds that cross": (
        Greedy,
        {"min_lr": 0.6, "max_lr": 0.4},
        "min_lr: must be at most max_lr, by param group, got 0.6 and 0.4",
    ),
    "relative bounds that cross": (
        *(Greedy, {"relative_min_lr": 3.0, "relative_max_lr": 2.0}),
        "min_lr: must be at most max_lr, by param group, got 1.5 and 1",
    ),
    "bounds for other groups": (
        *(Greedy, {"initial_lr": (0.5, 0.5), "max_lr": (1.0,)}),
        "max_lr: must hold as many LRs as initial_lr does, got 1",
    ),
    "bounds for groups of one LR": (
        *(Plateau, {"min_lr": (0.1, 0.1)}),
        "min_lr: must hold as many LRs as initial_lr does, got 2",
    ),
    "no group": (Plateau, {"initial_lr": ()}, "initial_lr: must hold an LR for each param group, got none"),
    "above its bound": (
        *(Hypergradient, {"max_lr": 0.4}),
        "initial_lr: must be from min_lr to max_lr, 0 to 0.4, got 0.5",
    ),
    "eta above its bound": (LineSearch, {"max_lr": 0.4}, "initial_lr: must be a number from 0 to 0.4, got 0.5"),
    "eta 0": (LineSearch, {"initial_lr": 0.0}, "initial_lr: must be greater than 0"),
    "c 0": (LineSearch, {"c": 0.0}, "c: must be greater than 0 and less than 1, got 0.0"),
    "c 1": (LineSearch, {"c": 1}, "c: must be greater than 0 and less than 1, got 1"),
    "shrink 1": (LineSearch, {"shrink": 1.0}, "shrink: must be greater than 0 and less than 1, got 1.0"),
    "gamma less than 1": (LineSearch, {"gamma": 0.9}, "gamma: must be a number of at least 1"),
    "no trial": (LineSearch, {"max_trials": 0}, "max_trials: must be a whole number from 1"),
}


@pytest.mark.parametrize(("family", "given", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(family: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        family(**{"initial_lr": 0.5, **given})


WARNED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "above": (
        Greedy,
        {"min_lr": 0.6},
        "Greedy: min_lr, 0.6, is above the initial LR, 0.5, which can therefore never fall",
    ),
    "below": (
        Greedy,
        {"max_lr": 0.4},
        "Greedy: max_lr, 0.4, is below the initial LR, 0.5, which can therefore never rise",
    ),
    "one group of two": (
        *(Greedy, {"initial_lr": (0.5, 2.0), "max_lr": 1.0}),
        "Greedy: max_lr, 1, is below the initial LR, 2, which can therefore never rise",
    ),
    "relative": (
        *(Greedy, {"relative_min_lr": 2.0}),
        "Greedy: min_lr, 1, is above the initial LR, 0.5, which can therefore never fall",
    ),
    "above, where it never rises": (
        *(Greedy, {"min_lr": 1.0, "max_lr": 0.0}),
        "Greedy: min_lr, 1, is above the initial LR, 0.5, which can therefore never fall",
    ),
    "plateau": (
        *(Plateau, {"min_lr": 1.0}),
        "Plateau: min_lr, 1, is above the initial LR, 0.5, which can therefore never fall",
    ),
}


@pytest.mark.parametrize(("family", "given", "message"), WARNED.values(), ids=WARNED)
def test_bounds_that_exclude_the_initial_lr_are_warned_of_where_it_is_made(
    family: Any, given: dict[str, Any], message: str
) -> None:
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        schedule = family(**{"initial_lr": 0.5, **given})
    assert [warning.filename for warning in caught] == [__file__]
    state = schedule.init()
    schedule(0, state)  # warns no more


@pytest.mark.parametrize(
    "given", [{"min_lr": 0.5, "max_lr": 0.5}, {"max_lr": 0.0}, {"initial_lr": 0.0}, {"initial_lr": (0.5, 0.0)}], ids=str
)
def test_an_initial_lr_at_its_bounds_is_not_warned_of(given: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Greedy(**{"initial_lr": 0.5, **given})


def test_the_defaults_of_transformers_are_warned_of_where_they_do_nothing() -> None:
    with pytest.warns(
        UserWarning, match=r"^Greedy: min_lr, 0\.001, is above the initial LR, 5e-05, which can therefore"
    ):
        GreedyLR(optimizer_of(5e-5), min_lr=1e-3, max_lr=1.0)


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="verbose"):
        GreedyLR(optimizer_of(0.1), verbose=True)
    assert "verbose" not in {field.name for field in fields(Greedy)}
