"""The peak LR of a long run from short ones, on scripted landscapes: a score is a function of the length and the LR."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.contracts.strategy import Batch, SearchResult, drive
from lrctl.errors import LrctlError, NoValidCandidateError, UsageError
from lrctl.testing import Scripted, play, run_spec
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.wsd import WSD
from lrctl_strategies.transfer.params import Transfer
from lrctl_strategies.transfer.search import transfer

STEPS = 2400
UNTRAINED = 10.0
Landscape = Callable[[int, float], float]
"""The score of a run of so many steps with this LR."""


def valley(
    best: Callable[[int], float], curvature: float = 0.1, loss: Callable[[int], float] | None = None
) -> Landscape:
    """A parabola over the logarithm of the LR, whose bottom falls as a power of the steps."""
    bottom = loss or (lambda steps: 2.0 + steps**-0.3)
    return lambda steps, lr: bottom(steps) + curvature * math.log(lr / best(steps)) ** 2


def power(exponent: float, at: float = 5e-3) -> Callable[[int], float]:
    """A best LR that is `at` for an eighth of the run, and goes with the steps to this power."""
    return lambda steps: at * (steps / (STEPS // 8)) ** exponent


def cliff(limit: float) -> Landscape:
    """Larger LRs are better, up to one that diverges."""
    return lambda steps, lr: math.inf if lr > limit else 2.0 + steps**-0.3 + 0.01 * math.log(limit / lr)


def scored(landscape: Landscape) -> Callable[[SegmentJob], float]:
    def loss(job: SegmentJob) -> float:
        if not (job.score_batches or job.evaluate):
            return 1e9
        if not job.stop:
            return UNTRAINED
        assert not isinstance(job.schedule, AdaptiveSchedule)
        return landscape(job.stop, max(map(job.schedule, range(job.stop))))

    return loss


def transferred(landscape: Landscape, steps: int = STEPS, **params: Any) -> SearchResult:
    return play(transfer, Transfer(**params), steps, scored(landscape))[0]


def asked(landscape: Landscape, **params: Any) -> list[Batch]:
    return play(transfer, Transfer(**params), STEPS, scored(landscape))[1]


def test_the_answer_is_what_a_power_of_minus_a_fifth_says() -> None:
    found = transferred(valley(power(-0.2)))
    assert found.summary["peak_lr"] == pytest.approx(power(-0.2)(STEPS), rel=5e-3)
    assert [rung["best_lr"] for rung in found.summary["rungs"]] == pytest.approx([5e-3, 5e-3 * 2**-0.2])
    assert [rung["exponent"] for rung in found.summary["rungs"]] == [None, pytest.approx(-0.2)]
    assert found.notes == ()


@pytest.mark.parametrize("exponent", [-0.7, 0.0, 0.3])
def test_what_the_rungs_say_of_the_exponent_is_told_and_not_used(exponent: float) -> None:
    found = transferred(valley(power(exponent)))
    first, second = 5e-3 * 8**-0.2, 5e-3 * 2**exponent * 4**-0.2
    assert found.summary["rungs"][1]["exponent"] == pytest.approx(exponent)
    assert found.summary["peak_lr"] == pytest.approx(math.sqrt(first * second), rel=5e-3)


@pytest.mark.parametrize(
    ("budget", "lengths", "factor"), [(0.5, [300], 1.98), (0.9, [300, 600], 1.77), (1.9, [300, 600, 1200], 1.58)]
)
def test_a_larger_budget_buys_longer_rungs_and_a_narrower_interval(
    budget: float, lengths: list[int], factor: float
) -> None:
    found = transferred(valley(power(-0.2)), budget=budget)
    low, high = found.summary["interval"]
    assert [rung["steps"] for rung in found.summary["rungs"]] == lengths
    assert (found.summary["peak_lr"] / low, high / found.summary["peak_lr"]) == pytest.approx(
        (factor, factor), rel=0.01
    )
    assert found.summary["full_runs"] <= budget + 0.1


def test_being_off_costs_what_the_parabola_says_and_as_much_again() -> None:
    found = transferred(valley(power(-0.2), curvature=0.05), budget=0.5)
    assert found.summary["off_costs"] == pytest.approx(2 * 0.05 * math.log(1.982) ** 2, rel=0.01)


def test_one_trunk_serves_two_lengths() -> None:
    jobs = [job for batch in asked(valley(power(-0.2))) for job in batch.jobs if job.stop]
    trunks = [(job.start, job.stop) for job in jobs if job.checkpoint]
    assert trunks == [(0, 75)] * 3 + [(75, 150)] * 3 + [(0, 75)] * 2 + [(75, 150)] * 2 + [(150, 300)] * 2
    assert [(job.start, job.stop) for job in jobs if not job.checkpoint] == [(150, 300)] * 3 + [
        (75, 150),
        (300, 600),
        (300, 600),
    ]


def test_the_trunk_that_a_later_rung_goes_on_from_is_kept() -> None:
    batches = asked(valley(power(-0.2, at=3e-2)))
    used = [{job.parent for job in batch.jobs if job.parent} for batch in batches]
    made: set[str] = set()
    for batch, parents in zip(batches, used, strict=True):
        assert parents <= made, "a trunk was deleted before its cooldown"
        made &= batch.keep | parents
        made |= {result.key for result in Scripted(lambda _: 1.0).run_batch(batch)}


def test_all_rungs_have_the_same_warmup_and_wind_down_over_half() -> None:
    jobs = [job for batch in asked(valley(power(-0.2))) for job in batch.jobs if job.stop and not job.checkpoint]
    for job in jobs:
        assert isinstance(job.schedule, PiecewiseLinear)
        assert [step for step, _ in job.schedule.knots] == [0, 48, job.stop // 2, job.stop]


def test_the_schedule_winds_down_over_half_with_the_rungs_warmup() -> None:
    found = transferred(valley(power(-0.2)))
    assert found.schedule == WSD(STEPS, found.summary["peak_lr"], 0.02, 0.5)
    assert found.checkpoint is None


@pytest.mark.parametrize(
    ("family", "ratio"), [("linear", 1.5), ("cosine", 1.46), ("wsd:decay=0.2", 0.78), ("wsd:decay=0.5", 1.0)]
)
def test_another_family_has_its_peak_by_the_convex_bound(family: str, ratio: float) -> None:
    wsd, other = transferred(valley(power(-0.2))), transferred(valley(power(-0.2)), family=family)
    assert other.summary["peak_lr"] / wsd.summary["peak_lr"] == pytest.approx(ratio, rel=0.02)
    assert other.summary["interval"][0] / wsd.summary["interval"][0] == pytest.approx(ratio, rel=0.02)
    assert family != "cosine" or isinstance(other.schedule, Cosine)


def test_further_lrs_are_tried_until_the_best_lies_inside() -> None:
    first = transferred(valley(power(-0.2, at=0.1)), budget=0.5).summary["rungs"][0]
    assert [each["lr"] for each in first["scores"]] == [1.5e-3, 3.4e-3, 7.6e-3, 0.0171, 0.0385, 0.0866, 0.195]
    assert first["best_lr"] == pytest.approx(0.1)


def test_a_second_rung_whose_lowest_point_lies_far_off_tries_further_lrs() -> None:
    second = transferred(valley(power(-1.4))).summary["rungs"][1]
    assert len(second["scores"]) > 2
    assert second["best_lr"] == pytest.approx(5e-3 * 2**-1.4)


def test_no_lr_is_above_the_cap() -> None:
    batches = asked(valley(power(-0.2, at=0.1)), max_lr=5e-3, family="linear")
    assert max(lr for batch in batches for job in batch.jobs for lr in job.lrs or [0.0]) <= 5e-3
    found = transferred(valley(power(-0.2, at=0.1)), max_lr=5e-3, family="linear")
    assert found.summary["peak_lr"] <= 5e-3
    assert any("--max-lr 0.005" in note for note in found.notes)


def test_where_only_divergence_limits_the_lr_three_quarters_of_the_edge_are_held() -> None:
    found = transferred(cliff(0.05), family="linear")
    edge = found.summary["rungs"][0]["best_lr"]
    assert 0.05 / 2.25 ** (1 / 8) < edge <= 0.05
    assert found.summary["peak_lr"] == pytest.approx(0.75 * edge, rel=5e-3)
    assert found.summary["interval"] == pytest.approx([edge / 2, edge], rel=5e-3)
    assert (found.summary["exponent"], len(found.summary["rungs"]), found.summary["off_costs"]) == (0.0, 1, None)
    assert "only divergence limits the LR" in found.notes[0]


def test_the_run_is_trained_where_that_is_asked_for() -> None:
    found, batches = play(transfer, Transfer(train=True), STEPS, scored(valley(power(-0.2))))
    (last,) = batches[-1].jobs
    assert (last.start, last.stop, last.schedule) == (1800, STEPS, found.schedule)
    assert found.checkpoint is not None


@pytest.mark.parametrize("quarter", [1, 4])
def test_a_long_run_that_diverges_ends_the_search_and_is_not_handed_over(quarter: int) -> None:
    script = Scripted(
        lambda job: math.inf if job.stages and job.stop == quarter * STEPS // 4 else scored(valley(power(-0.2)))(job)
    )
    with pytest.raises(NoValidCandidateError, match=f"diverged before step {quarter * STEPS // 4}; .* --max-lr"):
        drive(transfer(Transfer(train=True), run_spec(STEPS)), script.run_batch)


# Refusals and warnings


@pytest.mark.parametrize(
    ("landscape", "steps", "params", "error", "words"),
    [
        (valley(power(-0.2)), 799, {}, UsageError, ["an eighth of 799 is 99", "--steps to 800", "lookahead"]),
        (valley(power(-0.2)), STEPS, {"warmup": 51}, UsageError, ["--warmup 51", "at most 50"]),
        (valley(power(-0.2)), STEPS, {"family": "greedy"}, UsageError, ["--family greedy", "cannot be tuned"]),
        (valley(power(-0.2)), STEPS, {"family": "wsd:decay=2"}, UsageError, ["--family wsd:decay=2", "decay"]),
        (valley(power(-0.2)), STEPS, {"family": "wsd:peak_lr=1"}, UsageError, ["peak_lr: the rungs tell the peak"]),
        (valley(lambda _: 1e3), STEPS, {}, NoValidCandidateError, ["8 LRs", "outermost, 0.439", "--grid"]),
        (valley(lambda _: 1e-9), STEPS, {}, NoValidCandidateError, ["8 LRs", "outermost, 2.61e-05", "--grid"]),
        (cliff(1e-9), STEPS, {}, NoValidCandidateError, ["all 8 LRs diverged", "lower --grid"]),
        (valley(power(-1.6)), STEPS, {}, NoValidCandidateError, ["an exponent of -1.6", "lookahead"]),
        (valley(power(0.8)), STEPS, {}, NoValidCandidateError, ["an exponent of 0.8", "lookahead"]),
    ],
    ids=["short", "warmup", "adaptive", "no family", "the peak", "too low", "too high", "diverged", "falls", "rises"],
)
def test_what_tells_no_lr_is_refused(
    landscape: Landscape, steps: int, params: dict[str, Any], error: type[LrctlError], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        transferred(landscape, steps, **params)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("budget", [0.3, math.nan])
def test_a_budget_for_less_than_one_rung_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="budget: must be at least"):
        Transfer(budget=budget)


def test_gains_that_grow_from_rung_to_rung_are_told() -> None:
    found = transferred(valley(power(-0.2), loss=lambda steps: 4.0 - 0.1 * (steps / 150) ** 1.1))
    assert found.summary["breaks_through"]
    assert "the model breaks through" in found.notes[0]
    assert "lookahead" in found.notes[0]
    assert not transferred(valley(power(-0.2))).summary["breaks_through"]


def test_with_another_optimizer_the_interval_is_wider_and_that_is_told() -> None:
    script = Scripted(scored(valley(power(-0.2))))
    found = drive(transfer(Transfer(), replace(run_spec(STEPS), optimizer="sgd")), script.run_batch)
    low, high = found.summary["interval"]
    assert high / low == pytest.approx(math.exp(2 * 1.645 * 0.3 * math.log(32) / 2), rel=0.01)
    assert "for sgd it is not known" in found.notes[0]


def noisy(landscape: Landscape, spread: float) -> Callable[[Batch], list[JobResult]]:
    """Runs whose scores differ from batch to batch, each LR in its own way."""
    script = Scripted(scored(landscape))

    def run_batch(batch: Batch) -> list[JobResult]:
        results = script.run_batch(batch)
        return [
            replace(result, scores=tuple(s + spread * math.sin(i * (1 + n)) for i, s in enumerate(result.scores)))
            for n, result in enumerate(results)
        ]

    return run_batch


def test_lrs_that_the_noise_does_not_tell_apart_give_their_middle() -> None:
    run_batch = noisy(valley(power(-0.2, at=3.4e-3), curvature=1e-6), 0.1)
    found = drive(transfer(Transfer(budget=0.5), run_spec(STEPS)), run_batch)
    (rung,) = found.summary["rungs"]
    assert rung["alike"] == [1.5e-3, 7.6e-3]
    assert rung["best_lr"] == pytest.approx(math.sqrt(1.5e-3 * 7.6e-3))
    assert found.summary["off_costs"] is None
    assert "do not tell LRs from 0.0015 to 0.0076 apart" in found.notes[0]


def test_a_rung_that_is_cut_below_a_cliff_is_told_from_all_its_runs() -> None:
    """LRs that were alike are no longer, once the gap below the cliff holds a far better one."""

    def landscape(_: int, lr: float) -> float:
        return 1.0 if 0.02 < lr < 0.03 else 6.0 if lr > 0.02 else 3.0 - 0.03 * math.log(lr)

    params = Transfer(budget=0.5, grid=(1.5e-3, 3.4e-3, 7.6e-3, 0.0171, 0.0385))
    found = drive(transfer(params, run_spec(STEPS)), noisy(landscape, 0.5))
    (rung,) = found.summary["rungs"]
    assert rung["alike"] is None
    assert 0.0171 < rung["best_lr"] < 0.0385
    assert rung["curvature"] > 0


def test_noise_in_the_scores_widens_the_interval() -> None:
    widths = []
    for spread in (0.0, 0.05, 0.2):
        found = drive(transfer(Transfer(), run_spec(STEPS)), noisy(valley(power(-0.2)), spread))
        low, high = found.summary["interval"]
        widths.append(high / low)
    assert all(wider > narrower for narrower, wider in pairwise(widths))


def test_without_batches_in_reserve_validation_loss_decides_and_that_is_told() -> None:
    script = Scripted(scored(valley(power(-0.2))))
    found = drive(
        transfer(Transfer(), run_spec(STEPS)), lambda batch: [replace(r, scores=()) for r in script.run_batch(batch)]
    )
    assert found.chosen_by == "validation loss"
    assert found.summary["peak_lr"] == pytest.approx(power(-0.2)(STEPS), rel=5e-3)
    assert "scored by validation loss" in found.notes[0]


def test_each_rung_is_drawn_with_its_parabola() -> None:
    found = transferred(valley(power(-0.2)))
    assert [chart.name for chart in found.charts] == ["rung-300", "rung-600"]
    score, parabola = found.charts[0].series
    low, high = (parabola.y[end] for end in (0, -1))
    assert (low, high) == pytest.approx((score.y[0], score.y[-1]))
    lowest = min(zip(parabola.y, parabola.x, strict=True))
    assert lowest[1] == pytest.approx(5e-3, rel=0.05)


# While the long run trains


def watched(at: Callable[[int], float], **params: Any) -> tuple[SearchResult, list[Batch]]:
    """A transfer whose long run has these smoothed losses; the rungs fall from 4 to 3.8, by 0.2 with a doubling."""
    landscape = valley(power(-0.2), loss=lambda steps: 4.0 - 0.2 * math.log2(steps / 300))
    script = Scripted(lambda job: at(job.stop) if job.stages else scored(landscape)(job))
    found = drive(transfer(Transfer(train=True, **params), run_spec(STEPS)), script.run_batch)
    return found, script.batches


def test_a_long_run_that_stays_above_the_line_is_left_alone() -> None:
    found, _ = watched(lambda step: 4.0 - 0.2 * math.log2(step / 300) + 0.01)
    assert (found.summary["left_at"], found.notes) == (None, ())
    assert found.summary["watched_by"]["gain"] == pytest.approx(0.2, abs=0.02)


def test_a_long_run_that_falls_below_the_line_is_told_of_while_it_trains_and_at_its_end() -> None:
    found, batches = watched(lambda step: 3.0 if step >= STEPS // 2 else 4.0)
    assert found.summary["left_at"] == STEPS // 2
    assert "the regime has changed" in found.notes[0]
    assert "lookahead" in found.notes[0]
    told = ["the regime has changed" in batch.title for batch in batches[-4:]]
    assert told == [False, False, True, True]


def test_how_far_below_the_line_counts_what_an_error_of_the_lr_costs() -> None:
    line = watched(lambda _: 4.0)[0].summary["watched_by"]
    at = line["loss"] - line["gain"]
    for below, left in ((0.9, None), (1.1, STEPS // 2)):
        found, _ = watched(lambda step, off=below * line["tolerance"]: at - off if step == STEPS // 2 else 4.0)  # type: ignore[misc]
        assert found.summary["left_at"] == left


def test_one_rung_makes_no_line() -> None:
    found, _ = watched(lambda _: 0.0, budget=0.5)
    assert (found.summary["watched_by"], found.summary["left_at"]) == (None, None)


@pytest.mark.parametrize(
    ("epoch", "told"),
    [(None, False), (5000.0, False), (2400.0, False), (2000.0, True), (300.0, True), (100.0, False)],
    ids=["unknown", "longer than the run", "as long", "a part is repeated", "rungs of two epochs", "rungs of six"],
)
def test_a_run_that_repeats_what_its_rungs_do_not_is_told_of(epoch: float | None, told: bool) -> None:
    script = Scripted(scored(valley(power(-0.2))))
    found = drive(
        transfer(Transfer(), run_spec(STEPS)), lambda batch: [replace(r, epoch=epoch) for r in script.run_batch(batch)]
    )
    assert any("goes through its data" in note for note in found.notes) is told
