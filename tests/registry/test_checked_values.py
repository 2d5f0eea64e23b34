from __future__ import annotations

import math
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.errors import UsageError
from lrctl.registry import values as checked


@dataclass(frozen=True)
class Params:
    count: Annotated[int, "how many"]
    rate: float = 0.5
    name: Annotated[str, "what it is called", "not the help"] = "x"
    on: bool = False
    mode: Literal["a", "b"] = "a"
    most: Annotated[float | None, "no more than this"] = None
    sizes: tuple[int, ...] = (1, 2)
    made: tuple[float, ...] = field(default_factory=lambda: (0.1,))
    either: int | str = 1
    derived: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count: must be at least 1, got {self.count}")


def build(**values: Any) -> Params:
    built = checked.build(Params, {"count": 1} | values, "r.toml: t")
    assert isinstance(built, Params)
    return built


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("count", 3, 3),
        ("rate", 2, 2.0),
        ("rate", 1e-9, 1e-9),
        ("name", "", ""),
        ("on", True, True),
        ("mode", "b", "b"),
        ("most", None, None),
        ("most", 3, 3.0),
        ("sizes", [], ()),
        ("sizes", [3, 4], (3, 4)),
        ("made", [1, 0.5], (1.0, 0.5)),
        ("either", "s", "s"),
        ("either", 5, 5),
    ],
    ids=repr,
)
def test_a_value_is_kept_where_nothing_is_lost(name: str, value: Any, kept: Any) -> None:
    found = getattr(build(**{name: value}), name)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", 1.0, "must be a whole number, got 1.0"),
        ("count", True, "must be a whole number, got True"),
        ("count", "1", "must be a whole number, got '1'"),
        ("count", None, "must be a whole number, got None"),
        ("count", 0, "must be at least 1, got 0"),
        ("rate", "0.5", "must be a number, got '0.5'"),
        ("rate", True, "must be a number, got True"),
        ("rate", math.nan, "must be a finite number, got nan"),
        ("rate", -math.inf, "must be a finite number, got -inf"),
        ("name", 3, "must be a string, got 3"),
        ("on", 1, "must be a true or false, got 1"),
        ("mode", "c", "must be one of 'a', 'b', got 'c'"),
        ("most", "x", "must be a number, got 'x'"),
        ("sizes", 3, "must be a list of whole numbers, got 3"),
        ("sizes", "12", "must be a list of whole numbers, got '12'"),
        ("either", 1.5, "must be a string, got 1.5"),
    ],
    ids=repr,
)
def test_a_value_of_another_type_or_range_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        build(**{name: value})
    assert str(error.value) == f"r.toml: t.{name}: {message}"


def test_the_item_of_a_list_that_is_wrong_is_named() -> None:
    with pytest.raises(UsageError, match=r"^r.toml: t.sizes\[1\]: must be a whole number, got 'x'$"):
        build(sizes=[1, "x"])


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^r.toml: t.size: unknown key; did you mean 'sizes'\?$"):
        build(size=3)


def test_what_is_set_by_the_dataclass_itself_cannot_be_given() -> None:
    with pytest.raises(UsageError, match=r"^r.toml: t.derived: unknown key"):
        build(derived=3)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (int, "whole number"),
        (tuple[float, ...], "list of numbers"),
        (float | None, "number"),
        (Literal["a", "b"], "'a' or 'b'"),
    ],
    ids=str,
)
def test_a_missing_value_is_named_with_its_type_in_words(kind: Any, words: str) -> None:
    needed = make_dataclass("Needed", [("x", kind)])
    with pytest.raises(UsageError) as error:
        checked.build(needed, {}, "t")
    assert str(error.value) == f"t.x: missing; give a {words}"


VALUES = st.sampled_from([None, True, False, 0, 1, -1, 2**70, 0.5, -0.0, math.nan, math.inf, "", "1", "b"])


@given(st.dictionaries(st.sampled_from(["rate", "on", "most", "sizes", "mode"]), VALUES | st.lists(VALUES, max_size=3)))
def test_any_values_are_kept_as_they_are_or_refused_with_their_place(values: dict[str, Any]) -> None:
    refused = None
    try:
        built = build(**values)
    except UsageError as error:
        refused = str(error)
    if refused is None:
        assert all(getattr(built, name) == (tuple(v) if isinstance(v, list) else v) for name, v in values.items())
    else:
        assert refused.startswith(tuple(f"r.toml: t.{name}" for name in values))
