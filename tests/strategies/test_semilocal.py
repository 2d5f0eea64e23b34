"""Semi-local and local search on scripted landscapes."""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import asdict
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.testing import Landscape, check_strategy, play
from lrctl_strategies.grids import GEOMETRIC
from lrctl_strategies.semilocal.candidates import ratios
from lrctl_strategies.semilocal.choice import largest_within, margin
from lrctl_strategies.semilocal.params import Local, SemiLocal
from lrctl_strategies.semilocal.search import local, semilocal
from strategies.plain_algorithm1 import algorithm1


def ends(job: SegmentJob) -> tuple[int, int, float, float]:
    """A ramp's steps and LRs."""
    assert isinstance(job.schedule, PiecewiseLinear)
    return job.start, job.stop, job.schedule(job.start), job.schedule(job.stop)


def random_loss(seed: int, levels: int, diverging: float) -> Landscape:
    """A landscape without any structure: few levels make ties, some candidates diverge."""

    def loss(job: SegmentJob) -> float:
        word = hashlib.sha256(repr((seed, *ends(job))).encode()).digest()
        if word[0] < 256 * diverging and not job.frozen:
            return math.inf
        return (int.from_bytes(word[1:4], "big") % levels) / levels

    return loss


def valley(best: float) -> Landscape:
    """A smooth landscape: the loss is lowest where a segment's mean LR is `best`."""

    def loss(job: SegmentJob) -> float:
        _, stop, a, b = ends(job)
        return (math.log10((a + b) / 2 + 1e-7) - math.log10(best)) ** 2 + 1 / (1 + stop)

    return loss


@given(
    seed=st.integers(0, 10**6),
    levels=st.sampled_from([2, 5, 1000, 10**6]),
    diverging=st.sampled_from([0.0, 0.1, 0.6]),
    steps=st.integers(12, 200),
    segments=st.integers(1, 12),
    n=st.integers(1, 10),
    eps=st.sampled_from([0.0, 0.01, 0.2, 0.48, 2.0]),
    unit=st.sampled_from(["nats", "progress"]),
    decay=st.booleans(),
    max_lr=st.sampled_from([None, 0.05, 0.0101]),
)
def test_choices_are_those_of_a_plain_implementation(
    seed: int,
    levels: int,
    diverging: float,
    steps: int,
    segments: int,
    n: int,
    eps: float,
    unit: Literal["nats", "progress"],
    decay: bool,
    max_lr: float | None,
) -> None:
    loss = random_loss(seed, levels, diverging)
    p = SemiLocal(eps, unit, decay, segments=segments, grid_size=n, max_lr=max_lr)

    def plain_loss(start: int, stop: int, a: float, b: float) -> float:
        return loss(SegmentJob(start, stop, PiecewiseLinear(((start, a), (stop, b)))))

    expected = algorithm1(plain_loss, steps, segments, n, eps, unit=unit, decay=decay, max_lr=max_lr or math.inf)
    try:
        found, _ = play(semilocal, p, steps, loss)
    except NoValidCandidateError:
        assert expected is None
    else:
        assert [segment.chosen for segment in found.trace] == expected


@pytest.mark.parametrize("best", [3e-4, 1e-2, 0.3], ids=str)
@pytest.mark.parametrize("unit", ["nats", "progress"])
@pytest.mark.parametrize("decay", [False, True], ids=["constant", "decaying"])
def test_choices_on_a_smooth_landscape_are_those_of_a_plain_implementation(
    best: float, unit: Literal["nats", "progress"], decay: bool
) -> None:
    loss = valley(best)
    found, _ = play(semilocal, SemiLocal(0.3, unit, decay), 600, loss)
    expected = algorithm1(
        lambda start, stop, a, b: loss(SegmentJob(start, stop, PiecewiseLinear(((start, a), (stop, b))))),
        600,
        10,
        10,
        0.3,
        unit=unit,
        decay=decay,
    )
    assert [segment.chosen for segment in found.trace] == expected


def test_grid_size_10_gives_the_papers_20_ratios() -> None:
    assert ratios(10) == [i / (i + 1) for i in range(10)] + [1.0] + [(i + 1) / i for i in range(9, 0, -1)]
    assert len(ratios(10)) == 20
    assert ratios(10) == sorted(ratios(10))
    assert (ratios(10)[0], ratios(10)[-1]) == (0.0, 2.0)


def test_the_first_segment_tries_the_geometric_grid_and_the_whole_search_189_jobs() -> None:
    _, batches = play(semilocal, SemiLocal(1e-6, "nats"), 600, lambda job: abs(ends(job)[3] - 1e-3))
    assert sorted(ends(job)[3] for job in batches[0].jobs) == sorted(GEOMETRIC)
    assert sum(len(batch.jobs) for batch in batches) == 9 + 9 * 20


def test_eps_zero_is_local_search() -> None:
    loss = random_loss(3, 10**6, 0.0)
    ours, asked = play(semilocal, SemiLocal(0.0, "nats"), 600, loss)
    theirs, also_asked = play(local, Local(reference=False), 600, loss)
    assert (ours.schedule, ours.checkpoint, ours.trace) == (theirs.schedule, theirs.checkpoint, theirs.trace)
    assert [batch.jobs for batch in asked] == [batch.jobs for batch in also_asked]


def test_local_search_takes_the_lowest_loss_of_every_segment() -> None:
    found, _ = play(local, Local(reference=False), 600, random_loss(5, 10**6, 0.1))
    for segment in found.trace:
        assert segment.winner.mean_loss == min(c.mean_loss for c in segment.candidates)
        assert segment.eps == 0


def test_ties_are_broken_toward_the_larger_lr() -> None:
    found, _ = play(local, Local(reference=False), 600, lambda _: 1.0)
    assert found.trace[0].chosen == max(GEOMETRIC)
    assert [segment.chosen / segment.lr_start for segment in found.trace[1:]] == [2.0] * 9


def test_a_huge_eps_takes_the_largest_candidate_except_in_the_first_and_last_segment() -> None:
    found, _ = play(semilocal, SemiLocal(1e9, "nats"), 600, valley(1e-3))
    chosen = [segment.chosen for segment in found.trace]
    assert chosen[0] < max(GEOMETRIC)
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(chosen[:9]))
    assert chosen[9] == 0


def test_the_schedule_is_continuous_and_starts_at_zero() -> None:
    found, batches = play(semilocal, SemiLocal(0.2, "nats"), 605, valley(1e-3))
    assert isinstance(found.schedule, PiecewiseLinear)
    assert found.schedule.knots[0] == (0, 0.0)
    assert [step for step, _ in found.schedule.knots] == [k * 605 // 10 for k in range(11)]
    for earlier, later in itertools.pairwise(found.trace):
        assert later.lr_start == earlier.chosen
    for batch in batches:
        assert len({(job.start, job.stop, job.parent) for job in batch.jobs}) == 1


def test_eps_decays_from_the_second_segment_and_is_zero_in_the_first_and_last() -> None:
    found, _ = play(semilocal, SemiLocal(0.48, "nats", decay=True), 600, valley(1e-3))
    expected = [0.0, *(0.48 * (10 - k) / 9 for k in range(2, 10)), 0.0]
    assert [segment.eps for segment in found.trace] == expected


def test_eps_in_progress_is_a_share_of_the_gain_over_frozen_weights() -> None:
    def loss(job: SegmentJob) -> float:
        return 5.0 if job.frozen else 1.0 + (ends(job)[3] - 2e-3) ** 2

    found, batches = play(semilocal, SemiLocal(0.25, "progress"), 600, loss)
    second = found.trace[1]
    best = min(c.mean_loss for c in second.candidates)
    assert second.frozen_loss == 5.0
    assert second.eps == 0.25 * (5.0 - best)
    assert [sum(job.frozen for job in batch.jobs) for batch in batches] == [0, *[1] * 8, 0]
    assert not any(job.checkpoint for batch in batches for job in batch.jobs if job.frozen)


def test_no_progress_leaves_no_room_for_a_worse_loss() -> None:
    found, _ = play(semilocal, SemiLocal(0.5, "progress"), 600, lambda job: 0.0 if job.frozen else 1.0 + ends(job)[3])
    assert found.trace[1].eps == 0


def test_a_segment_that_starts_at_zero_tries_the_absolute_grid_with_eps_zero() -> None:
    def loss(job: SegmentJob) -> float:
        start, _, a, b = ends(job)
        return b if start == 120 else abs(b - 3.33e-3) + a

    found, batches = play(semilocal, SemiLocal(0.0, "nats"), 600, loss)
    third, fourth = found.trace[2], found.trace[3]
    assert (third.chosen, fourth.lr_start, fourth.eps) == (0.0, 0.0, 0.0)
    assert any("segment 3 chose LR 0, so segment 4 restarts" in note for note in third.notes)
    assert sorted(ends(job)[3] for job in batches[3].jobs) == sorted(GEOMETRIC)
    assert fourth.chosen == 3.33e-3


def test_lr_zero_at_the_end_of_the_last_but_one_segment_is_noted() -> None:
    def loss(job: SegmentJob) -> float:
        start, _, _, b = ends(job)
        return b if start == 480 else abs(b - 1e-2)

    found, _ = play(local, Local(reference=False), 600, loss)
    assert found.trace[8].chosen == 0
    assert any("segment 9 chose LR 0, so the last segment restarts" in note for note in found.trace[8].notes)
    assert found.trace[9].lr_start == 0


def test_eps_in_nats_beyond_the_spread_of_all_losses_is_noted() -> None:
    found, _ = play(semilocal, SemiLocal(100.0, "nats"), 600, valley(1e-3))
    assert all(any("exceeds the spread" in note for note in s.notes) for s in found.trace[1:9])
    found, _ = play(semilocal, SemiLocal(1e-6, "nats"), 600, valley(1e-3))
    assert not any("exceeds the spread" in note for segment in found.trace for note in segment.notes)


def test_the_largest_lr_of_the_absolute_grid_is_noted() -> None:
    found, _ = play(local, Local(reference=False), 600, lambda job: -ends(job)[3] if job.start == 0 else ends(job)[3])
    assert any("the largest LR of the grid" in note for note in found.trace[0].notes)
    assert not any("the largest LR" in note for segment in found.trace[1:2] for note in segment.notes)


def test_no_candidate_exceeds_max_lr() -> None:
    _, batches = play(semilocal, SemiLocal(1e9, "nats", max_lr=0.02), 600, valley(1e-3))
    tried = [ends(job)[3] for batch in batches for job in batch.jobs]
    assert max(tried) <= 0.02
    assert max(ends(job)[3] for job in batches[0].jobs) == 0.01


def test_diverged_candidates_are_never_chosen() -> None:
    found, _ = play(semilocal, SemiLocal(1e9, "nats"), 600, lambda job: math.inf if ends(job)[3] > 2e-3 else 1.0)
    assert max(segment.chosen for segment in found.trace) <= 2e-3


def test_the_search_fails_when_every_candidate_diverged() -> None:
    with pytest.raises(NoValidCandidateError, match=r"segment 3 of 10 \(steps 120 to 180\): all 20 .*lower --max-lr"):
        play(semilocal, SemiLocal(0.1, "nats"), 600, lambda job: math.inf if job.start == 120 else 1.0 + ends(job)[3])


def test_more_segments_than_steps_is_an_error() -> None:
    with pytest.raises(UsageError, match="segments: 10 is more than the run's 9 steps"):
        play(semilocal, SemiLocal(), 9, lambda _: 1.0)


@pytest.mark.parametrize(
    ("eps", "losses", "expected"),
    [
        pytest.param(0.0, {1e-3: 1.0, 1e-2: 1.25}, 0.25, id="best chosen, the other may fall below"),
        pytest.param(0.5, {1e-3: 1.0, 1e-2: 1.25}, 0.25, id="larger chosen, it may leave the range"),
        pytest.param(0.125, {1e-3: 1.0, 1e-2: 1.25}, 0.125, id="larger just outside"),
        pytest.param(0.0, {1e-3: 1.0}, math.inf, id="nothing to choose from"),
    ],
)
def test_the_margin_is_what_would_change_the_choice(eps: float, losses: dict[float, float], expected: float) -> None:
    grid = tuple(losses)

    def loss(job: SegmentJob) -> float:
        _, _, a, b = ends(job)
        return losses[b] if a == 0 and b else b + (job.start == 0)

    found, _ = play(local, Local(segments=3, grid_size=1, grid=grid, reference=False), 30, loss)
    tried = found.trace[0].candidates
    assert margin(eps, tried, largest_within(eps, tried, "")) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [("eps", -1.0), ("segments", 0), ("grid_size", 0), ("grid", ()), ("grid", (0.0,)), ("max_lr", 1e-9)],
)
def test_a_parameter_out_of_range_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{field}: "):
        SemiLocal(**{**asdict(SemiLocal()), field: value})


@pytest.mark.parametrize("p", [SemiLocal(), SemiLocal(0.4, "progress", True)], ids=repr)
def test_semilocal_keeps_the_contract(p: SemiLocal) -> None:
    check_strategy(semilocal, p)


def test_local_keeps_the_contract() -> None:
    check_strategy(local, Local())
