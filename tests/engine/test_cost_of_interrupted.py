"""What a search cost is the same, wherever it was interrupted and continued."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lrctl.storage.store import Store
from searches import search, small


class Killed(BaseException):
    """Ends a search at once, as a kill does."""


def interrupted(name: str, n: int, after: bool) -> Callable[..., Any]:
    """A method of the store that ends the search at its n-th call, before or after it has done its work."""
    original, calls = getattr(Store, name), count(1)

    def method(self: Store, *args: Any) -> Any:
        last = next(calls) == n
        if last and not after:
            raise Killed
        result = original(self, *args)
        if last:
            raise Killed
        return result

    return method


def cost(store: Path, command: str) -> dict[str, Any]:
    told: dict[str, Any] = search(store, small(strategy__baseline__family=("wsd",)), command)["cost"]
    return {name: value for name, value in told.items() if name != "seconds"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["put_record", "drop_checkpoints"])
@pytest.mark.parametrize("command", [pytest.param("baseline", marks=pytest.mark.slow), "greedy"])
def test_a_search_that_was_interrupted_anywhere_costs_the_same(
    command: str, name: str, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = cost(tmp_path / "whole", command)
    for n in count(1):
        with monkeypatch.context() as patched:
            patched.setattr(Store, name, interrupted(name, n, after))
            try:
                cost(tmp_path / str(n), command)
                break
            except Killed:
                pass
        assert cost(tmp_path / str(n), command) == expected, f"call {n}"
    assert n > 3
