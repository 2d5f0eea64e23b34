"""What `check_observer` finds."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from lrctl import hookimpl
from lrctl.testing import check_observer


def plugin(**hooks: Any) -> ModuleType:
    module = ModuleType("observer")
    vars(module).update({name: hookimpl(hook) for name, hook in hooks.items()})
    return module


def format_loss(result: Any) -> str:
    return f"{result.test_loss:.3f}"


def takes_seed(job: Any, seed: int) -> None: ...


def test_an_observer_that_takes_all_it_is_told_is_sound() -> None:
    seen: list[Any] = []
    check_observer(plugin(job_finished=lambda job, result: seen.append((job, result))))
    assert [result.status for _, result in seen] == ["ok", "ok", "stopped"]


@pytest.mark.parametrize(
    ("hooks", "found"),
    [
        pytest.param({"job_finishd": lambda: None}, "registering it raised", id="a misspelt hook"),
        pytest.param({"job_finished": takes_seed}, "registering it raised", id="an argument that there is not"),
        pytest.param({"search_finished": format_loss}, "trained nothing, whose losses are None, raised", id="None"),
        pytest.param(
            {"preparing": lambda done, total: done / total}, r"preparing\(\) raised ZeroDivision", id="total 0"
        ),
    ],
)
def test_what_is_wrong_with_an_observer_is_told(hooks: dict[str, Any], found: str) -> None:
    with pytest.raises(AssertionError, match=found):
        check_observer(plugin(**hooks))
