from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, Search, SearchResult, Tolerance, advance, drive, relayed
from lrctl.errors import UsageError

LOSSES = st.floats(0.0, 100.0)


@given(best=LOSSES, part=st.floats(0.0, 1.0), frozen=LOSSES, eps=st.floats(0.0, 3.0), share=st.booleans())
def test_a_lower_loss_never_raises_the_limit_above_its_bound(
    best: float, part: float, frozen: float, eps: float, share: bool
) -> None:
    tolerance = Tolerance(eps, share)
    bound = tolerance.bound(best, frozen)
    assert bound is not None
    assert tolerance.limit(part * best, frozen) <= math.nextafter(bound, math.inf)


def test_without_the_loss_of_the_frozen_weights_a_share_has_no_bound() -> None:
    assert Tolerance(0.5, share=True).bound(1.0) is None
    assert Tolerance(0.5).bound(-1.0) is None
    assert Tolerance(0.5).bound(1.0) == 1.5


def search(*, catches: bool) -> Search:
    """Asks for two batches, of which the first cannot be answered."""
    try:
        yield Batch("first", [])
    except UsageError as error:
        if not catches:
            raise
        yield Batch("second", [])
        return SearchResult(None, None, notes=(str(error),))
    raise AssertionError("the first batch was answered")


def run_batch(batch: Batch) -> list[JobResult]:
    if batch.title == "first":
        raise UsageError("it cannot be made")
    return []


def relay(search: Search) -> Search:
    return relayed(search, advance(search))


@pytest.mark.parametrize("through", [lambda search: search, relay], ids=["driven", "relayed"])
def test_a_search_that_is_told_what_cannot_be_made_may_go_on_without(through: Callable[[Search], Search]) -> None:
    assert drive(through(search(catches=True)), run_batch).notes == ("it cannot be made",)
    with pytest.raises(UsageError, match="it cannot be made"):
        drive(through(search(catches=False)), run_batch)
