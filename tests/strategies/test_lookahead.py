"""Lookahead search on made-up losses: what it finds, and what it trains for that."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import FORWARD
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.testing import SPEC, check_strategy
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.search import lookahead
from strategies.lookaheads import FREE, STEPS, level, looked, rough, summary, valley
from strategies.plain_lookahead import Line, plain_lookahead


def test_it_is_a_sound_strategy() -> None:
    check_strategy(lookahead, Lookahead())
    check_strategy(lookahead, Lookahead(score_on="validation", budget=3), steps=300)


@example(496, 0.6, 495, (1e-3, 3.33e-3, 1e-2), (1.2,), (0.4, 0.7, 0.85, 0.95), (0.1,), 0.0).via(
    "all first LRs diverge, but not one between two of them"
)
@example(1, 0.0, 8, (3e-3,), (2.25, 1.5, 1.2), (0.4, 0.7, 0.85, 0.95), (0.05, 0.0, 0.02, 0.1, 0.25), 0.0).via(
    "the only first LR learns nothing"
)
@given(
    seed=st.integers(0, 10**6),
    diverging=st.sampled_from([0.0, 0.0, 0.2, 0.6]),
    steps=st.integers(8, 700),
    grid=st.sampled_from(
        [(1e-3, 3.33e-3, 1e-2), (1e-1, 1e-4), (0.5, 1.0, 2.0, 4.0), (3e-3,), (1e-3, 1e-3, 2e-3, 1e-1)]
    ),
    ratio=st.sampled_from([(2.25, 1.5, 1.2), (1.5,), (3.0, 2.0)]),
    knot=st.sampled_from([(0.4, 0.7, 0.85, 0.95), (0.5,), (0.9, 0.3, 0.6, 0.6), (0.97, 0.98, 0.99)]),
    rise=st.sampled_from([(0.05, 0.0, 0.02, 0.1, 0.25), (0.1,), (0.0, 0.1, 0.2)]),
    floor=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_it_finds_what_a_plain_second_implementation_finds(
    seed: int,
    diverging: float,
    steps: int,
    grid: tuple[float, ...],
    ratio: tuple[float, ...],
    knot: tuple[float, ...],
    rise: tuple[float, ...],
    floor: float,
) -> None:
    params = {"grid": grid, "ratio": ratio, "knot": knot, "rise": rise, "floor": floor, **FREE}
    landscape = rough(seed, diverging)
    first = max(int(rise[0] > 0), round(rise[0] * steps))
    if not any(first < round(share * steps) < steps for share in knot):
        with pytest.raises(UsageError, match="too few"):
            looked(landscape, steps, **params)
        return
    expected = plain_lookahead(landscape, steps, Lookahead(**params))
    if expected is None:
        with pytest.raises(NoValidCandidateError):
            looked(landscape, steps, **params)
        return
    found, _ = looked(landscape, steps, **params)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert found.schedule.knots == expected[0]
    assert summary(found)["score"] == expected[1]


def test_a_run_of_three_steps_is_long_enough() -> None:
    found, _ = looked(rough(0), 3)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert [step for step, _ in found.schedule.knots] == [0, 1, 2, 3]


def test_the_lr_falls_to_a_share_of_its_peak() -> None:
    found, _ = looked(lambda line: abs(math.log10(max(lr for _, lr in line) or 1e-9) + 2.5), floor=0.2)
    assert isinstance(found.schedule, PiecewiseLinear)
    lrs = [lr for _, lr in found.schedule.knots]
    assert lrs[-1] == 0.2 * max(lrs) == min(lrs[1:])


@pytest.mark.parametrize(("share", "step"), [(0.05, 10), (0.4, 80), (0.7, 140), (0.95, 190)])
def test_the_lr_is_held_as_long_as_that_is_better(share: float, step: int) -> None:
    def score(line: Line) -> float:
        top = max(lr for _, lr in line)
        held = max(at for at, lr in line if lr == top) / max(1, line[-1][0])
        return (held - share) ** 2 + math.log10(top / 3e-3) ** 2 / 10 if top else 100.0

    found, _ = looked(score, **FREE, rise=(0.05,))
    assert isinstance(found.schedule, PiecewiseLinear)
    assert held_until(found.schedule) == step


def held_until(schedule: PiecewiseLinear) -> float:
    """The last step at which the LR is highest."""
    top = max(lr for _, lr in schedule.knots)
    return max(step for step, lr in schedule.knots if lr == top)


def test_a_rollout_trains_only_what_no_run_before_it_has_trained() -> None:
    _, batches = looked(valley(lambda u: 3e-3 * (1 - u)))
    seen: set[tuple[int, int, tuple[float, ...], str | None]] = set()
    for job in (job for batch in batches for job in batch.jobs):
        assert job.lrs is not None
        piece = (job.start, job.stop, tuple(job.lrs), job.parent)
        assert piece not in seen
        seen.add(piece)


def test_checkpoints_that_later_jobs_go_on_from_are_kept() -> None:
    for seed in range(5):
        _, batches = looked(rough(seed), **FREE)
        made: set[str | None] = {None}
        for batch in batches:
            kept = {None, *batch.keep, *(job.parent for job in batch.jobs)}
            assert {job.parent for job in batch.jobs} <= made
            made = (made & kept) | {job.key(SPEC) for job in batch.jobs if job.checkpoint}


@pytest.mark.parametrize("budget", [1.5, 3.0, 5.0, 40.0])
def test_no_rollout_but_the_first_goes_beyond_the_budget(budget: float) -> None:
    found, batches = looked(rough(7), budget=budget)
    trained = sum(job.stop - job.start for batch in batches for job in batch.jobs)
    scores = sum(bool(job.score_batches) for batch in batches for job in batch.jobs)
    spent = (trained + scores * 30 / 3) / STEPS
    assert summary(found)["full_runs"] == pytest.approx(spent)
    first = summary(found)["rollouts"][0]["full_runs"]
    assert first < 3.1 or budget >= 3
    assert spent <= max(budget, first) + 1e-9
    left_out = [note for note in found.notes if "--budget" in note]
    assert bool(left_out) == (budget < 40)


def test_where_only_divergence_limits_the_lr_it_is_searched_finely_below() -> None:
    found, _ = looked(valley(lambda _: 1.0, too_high=1.3), grid=(0.01, 0.1, 1.0), **FREE)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert 0.9 < found.schedule.knots[2][1] < 1.3
    assert any("x 1.2" in each["move"] for each in summary(found)["rollouts"])


def test_every_lr_is_at_most_the_largest_allowed() -> None:
    _, batches = looked(valley(lambda _: 1.0), max_lr=0.02, **FREE)
    assert max(lr for batch in batches for job in batch.jobs for lr in job.lrs or []) <= 0.02


def test_the_grid_is_extended_both_ways() -> None:
    for best in (1e-5, 0.3):
        found, _ = looked(valley(level(best)), **FREE)
        scores = {each["lr"]: each["score"] for each in summary(found)["short_runs"]}
        assert min(scores) < best < max(scores)


def test_a_score_on_validation_asks_for_no_reserved_batches() -> None:
    _, batches = looked(rough(1), score_on="validation")
    jobs = [job for batch in batches for job in batch.jobs]
    assert not any(job.score_batches for job in jobs)
    assert {job.evaluate for job in jobs} == {(), ("validation",)}


@pytest.mark.parametrize("budget", [2.9 + 0.1 * i for i in range(30)], ids="{:.1f}".format)
def test_the_budget_counts_scores_as_forward_passes(budget: float) -> None:
    """Where a run has few steps a score costs a good part of it, so that a rollout that is cheap to train is not."""
    found, batches = looked(valley(level(3e-3)), steps=40, budget=budget)
    jobs = {job.key(SPEC): job for batch in batches for job in batch.jobs}.values()
    spent = sum(job.stop - job.start + FORWARD * job.score_batches for job in jobs) / 40
    first, second, *others = summary(found)["rollouts"]
    assert summary(found)["full_runs"] == pytest.approx(spent)
    assert first["full_runs"] == second["full_runs"] > 2.8
    assert all(other["full_runs"] <= budget + 1e-9 for other in others)


def test_nothing_is_ever_chosen_by_test_data() -> None:
    for on in ("training", "validation"):
        _, batches = looked(rough(1), score_on=on)
        assert not any("test" in job.evaluate for batch in batches for job in batch.jobs)


def test_replacing_the_score_by_equal_values_keeps_the_first() -> None:
    found, _ = looked(lambda line: 1.0 if line[-1][0] == STEPS else rough(2)(line))
    assert summary(found)["rollouts"][0]["key"] == found.checkpoint


def test_where_whole_runs_stand_less_than_short_ones_the_lrs_are_lowered_until_they_are_sound() -> None:
    def score(line: Line) -> float:
        too_high = 2e-4 if line[-1][0] == STEPS else 2e-2
        return math.inf if max(lr for _, lr in line) > too_high else valley(level(3e-3))(line)

    found, _ = looked(score, **FREE)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert 1e-4 < max(lr for _, lr in found.schedule.knots) <= 2e-4


def test_with_one_knot_the_lr_may_still_go_up() -> None:
    found, _ = looked(valley(level(3e-2)), knot=(0.4,), rise=(0.05,), grid=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1), **FREE)
    assert any("all LRs x" in each["move"] for each in summary(found)["rollouts"])
