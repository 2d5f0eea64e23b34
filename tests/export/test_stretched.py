"""`lrctl export --steps`: a schedule for another number of steps, and what is known of its peak there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl import api
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import UsageError
from lrctl.export.stretched import stretched
from lrctl.registry.schedules import schedule_text
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.wsd import WSD

HILL = PiecewiseLinear(((0, 0.0), (10, 0.3), (40, 0.1), (50, 0.0)))
FACTOR = 4**-0.2


@pytest.mark.parametrize(
    "schedule",
    [HILL, WSD(50, 0.3, 5, 25, lengths="steps"), WSD(50, 0.3, 0.1, 0.5), Cosine(50, 0.3)],
    ids=lambda schedule: type(schedule).__name__,
)
def test_the_shape_stays_and_the_peak_is_carried(schedule: Any) -> None:
    long = stretched(schedule, 50, 200)
    assert long.steps == 200
    assert [long.schedule(4 * step) for step in range(51)] == pytest.approx(
        [FACTOR * schedule(step) for step in range(51)]
    )


def test_what_is_known_of_the_peak_is_told() -> None:
    told = stretched(HILL, 50, 200).told
    assert told == (
        "Stretched from 50 steps to 200. Its peak LR is 0.227, which is 0.3 times 4^-0.2, and the best is from 0.144 "
        "to 0.359 in 90 of 100 cases, with the same batch size and AdamW."
    )


@pytest.mark.parametrize(("steps", "words"), [(200, "from 0.0961 to 0.538 in"), (25, "from 0.183 to 0.649 in")])
def test_what_the_search_knew_of_its_peak_counts_too(steps: int, words: str) -> None:
    assert words in stretched(HILL, 50, steps, {"interval": [0.2, 0.45]}).told


def test_where_only_divergence_limits_the_lr_the_peak_stays() -> None:
    long = stretched(HILL, 50, 200, {"interval": [0.2, 0.4], "exponent": 0.0})
    assert max(lr for _, lr in long.schedule.knots) == 0.3


@pytest.mark.parametrize("steps", [None, 50])
def test_its_own_steps_leave_a_schedule_as_it_is(steps: int | None) -> None:
    long = stretched(HILL, 50, steps)
    assert (long.schedule, long.steps, long.told) == (HILL, 50, "")


@pytest.mark.parametrize("steps", [0, -1, 10_000_001, 10**12, 2.5, True])
def test_what_is_no_number_of_steps_is_refused(steps: Any) -> None:
    with pytest.raises(UsageError, match=f"--steps {steps}: must be a whole number from 1 to 10,000,000"):
        stretched(HILL, 50, steps)


def test_the_peak_that_is_told_is_one_that_a_step_has() -> None:
    short = stretched(HILL, 50, 4)
    here = max(short.schedule(step) for step in range(4))
    assert here < 12.5**0.2 * 0.3
    assert f"Its peak LR is {here:.3g}, in place of 0.497, which is 0.3 times 0.08^-0.2" in short.told


def test_a_run_of_no_lr_is_refused() -> None:
    with pytest.raises(
        UsageError, match="--steps 1: in a run so short no step has an LR above 0; give more, it has 50"
    ):
        stretched(HILL, 50, 1)


@pytest.mark.parametrize("to", ["torch", "transformers", "lightning", "optax", "csv", "json"])
def test_every_target_takes_a_stretched_schedule(to: str, lrctl: Lrctl, tmp_path: Path) -> None:
    (tmp_path / "hill.json").write_text(schedule_text(HILL, 50))
    done = lrctl("export", "hill.json", "--steps", "200", "--to", to)
    assert done.code == 0
    assert done.error.startswith("Stretched from 50 steps to 200.")
    assert ("Stretched from 50 steps to 200." in done.out) is (to != "csv")
    if to == "json":
        assert max(json.loads(done.out)["lr"]) == pytest.approx(FACTOR * 0.3)


def test_the_api_stretches_too(tmp_path: Path) -> None:
    (tmp_path / "hill.json").write_text(schedule_text(HILL, 50))
    assert len(api.export(tmp_path / "hill.json", "csv", steps=200).splitlines()) == 201
