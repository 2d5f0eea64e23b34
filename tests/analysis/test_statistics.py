"""What is said of paired differences."""

from __future__ import annotations

import math

import pytest

from lrctl.analysis.statistics import LEVEL, verdict

VERDICTS = {
    "at the level": (-0.1, LEVEL, 3, "better"),
    "just above it": (-0.1, math.nextafter(LEVEL, 1), 3, "no difference shown"),
    "higher": (0.1, LEVEL, 3, "worse"),
    "higher, above it": (0.1, math.nextafter(LEVEL, 1), 3, "no difference shown"),
    "no seed": (math.nan, None, 0, "no shared seed: no statement"),
    "one seed": (-0.1, None, 1, "one seed: no statement"),
    "not finite": (math.inf, None, 2, "not finite: no statement"),
}


@pytest.mark.parametrize(("mean", "p", "n", "expected"), VERDICTS.values(), ids=VERDICTS)
def test_a_difference_is_shown_where_p_is_at_most_the_level(
    mean: float, p: float | None, n: int, expected: str
) -> None:
    assert verdict(mean, p, n) == expected
