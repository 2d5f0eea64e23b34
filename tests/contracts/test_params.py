from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from typing import Annotated

from lrctl.contracts.params import Field, fields_of


@dataclass(frozen=True)
class Params:
    count: Annotated[int, "how many"]
    rate: float = 0.5
    name: Annotated[str, "what it is called", "not the help"] = "x"
    most: Annotated[float | None, "no more than this"] = None
    made: tuple[float, ...] = field(default_factory=lambda: (0.1,))
    derived: int = field(init=False, default=0)


def test_fields_tell_name_type_default_and_help() -> None:
    found = {f.name: f for f in fields_of(Params)}
    assert list(found) == ["count", "rate", "name", "most", "made"]
    assert found["count"] == Field("count", int, MISSING, "how many")
    assert found["name"] == Field("name", str, "x", "what it is called")
    assert found["rate"] == Field("rate", float, 0.5, "")
    assert found["most"].help == "no more than this"
    assert found["made"].default == (0.1,)


def test_no_parameters_are_no_fields() -> None:
    assert fields_of(None) == []
