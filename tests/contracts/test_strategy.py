from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from lrctl.contracts.strategy import Tolerance

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
