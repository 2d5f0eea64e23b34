"""Lookahead search on scripted landscapes: a run's score is a function of its schedule."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lrctl.contracts.job import FORWARD, SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, SearchResult
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.testing import SPEC, check_strategy, play, run_spec
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.search import lookahead
from lrctl_strategies.lookahead.short_runs import vertex
from strategies.plain_lookahead import Line, plain_lookahead

STEPS = 200
Landscape = Callable[[Line], float]
FREE: dict[str, Any] = {"budget": 1e9}


def looked(landscape: Landscape, steps: int = STEPS, **params: Any) -> tuple[SearchResult, list[Batch]]:
    """A search where a scored job has what the landscape says of its knots, and all other jobs 1e9."""

    def loss(job: SegmentJob) -> float:
        assert isinstance(job.schedule, PiecewiseLinear)
        scored = job.score_batches or job.evaluate
        return landscape(tuple((int(step), lr) for step, lr in job.schedule.knots)) if scored else 1e9

    return play(lookahead, Lookahead(**params), steps, loss)


def summary(found: SearchResult) -> dict[str, Any]:
    return dict(found.summary)


def rough(seed: int, diverging: float = 0.0) -> Landscape:
    """A landscape without any structure."""

    def score(line: Line) -> float:
        word = hashlib.sha256(repr((seed, line)).encode()).digest()
        return math.inf if word[0] < 256 * diverging else int.from_bytes(word[1:5], "big") / 2**32

    return score


def valley(best: Callable[[float], float], too_high: float = math.inf) -> Landscape:
    """The score is the squared distance of the log LR from what is best at each share of the run; inf above a limit."""

    def score(line: Line) -> float:
        if max(lr for _, lr in line) > too_high:
            return math.inf
        stop = line[-1][0]
        if not stop:
            return 100.0
        points = [(step / stop, lr) for step, lr in line[1:-1]]
        return sum((math.log10(lr / best(share))) ** 2 for share, lr in points) / len(points)

    return score


def level(lr: float) -> Callable[[float], float]:
    """The same LR at every share of the run."""
    return lambda _: lr


def test_it_is_a_sound_strategy() -> None:
    check_strategy(lookahead, Lookahead())
    check_strategy(lookahead, Lookahead(score_on="validation", budget=3), steps=300)


@example(496, 0.6, 495, (1e-3, 3.33e-3, 1e-2), 1.2, (0.4, 0.7, 0.85, 0.95), (0.1,)).via(
    "all first LRs diverge, but not one between two of them"
)
@given(
    seed=st.integers(0, 10**6),
    diverging=st.sampled_from([0.0, 0.0, 0.2, 0.6]),
    steps=st.integers(8, 700),
    grid=st.sampled_from(
        [(1e-3, 3.33e-3, 1e-2), (1e-1, 1e-4), (0.5, 1.0, 2.0, 4.0), (3e-3,), (1e-3, 1e-3, 2e-3, 1e-1)]
    ),
    ratio=st.sampled_from([1.2, 1.5, 2.0]),
    knot=st.sampled_from([(0.4, 0.7, 0.85, 0.95), (0.5,), (0.9, 0.3, 0.6, 0.6), (0.97, 0.98, 0.99)]),
    rise=st.sampled_from([(0.05, 0.02, 0.1), (0.1,)]),
)
def test_it_finds_what_a_plain_second_implementation_finds(
    seed: int,
    diverging: float,
    steps: int,
    grid: tuple[float, ...],
    ratio: float,
    knot: tuple[float, ...],
    rise: tuple[float, ...],
) -> None:
    params = {"grid": grid, "ratio": ratio, "knot": knot, "rise": rise, **FREE}
    landscape = rough(seed, diverging)
    if not any(round(share * steps) < steps for share in knot):
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


def test_the_lr_is_held_as_long_as_that_is_better() -> None:
    def until(share: float) -> Landscape:
        whole = valley(lambda u: 3e-3 if u <= share else 3e-3 * (1 - u) / (1 - share))
        short = valley(level(3e-3 / 0.15**0.3))
        return lambda line: (whole if line[-1][0] == STEPS else short)(line)

    for share, knots in ((0.4, 80), (0.7, 140), (0.95, 190)):
        found, _ = looked(until(share), **FREE)
        moves = [each["move"] for each in summary(found)["rollouts"] if each["move"].startswith("hold")]
        best = min(summary(found)["rollouts"][: len(moves)], key=lambda each: each["score"])
        assert best["move"].endswith(f"until step {knots}")


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


@pytest.mark.parametrize("budget", [1.5, 3.0, 5.0, 20.0])
def test_no_rollout_but_the_first_goes_beyond_the_budget(budget: float) -> None:
    found, batches = looked(rough(7), budget=budget)
    trained = sum(job.stop - job.start for batch in batches for job in batch.jobs)
    scores = sum(bool(job.score_batches) for batch in batches for job in batch.jobs)
    spent = (trained + scores * 64 / 3) / STEPS
    assert summary(found)["full_runs"] == pytest.approx(spent)
    first = summary(found)["rollouts"][0]["full_runs"]
    assert first < 3.1 or budget >= 3
    assert spent <= max(budget, first) + 1e-9
    left_out = [note for note in found.notes if "--budget" in note]
    assert bool(left_out) == (budget < 20)


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


@pytest.mark.parametrize("budget", [5.3 + 0.1 * i for i in range(30)], ids="{:.1f}".format)
def test_the_budget_counts_scores_as_forward_passes(budget: float) -> None:
    """Here a score costs half a full run, so that a rollout that is cheap to train is not cheap."""
    found, batches = looked(valley(level(3e-3)), budget=budget, score_batches=300)
    jobs = {job.key(SPEC): job for batch in batches for job in batch.jobs}.values()
    spent = sum(job.stop - job.start + FORWARD * job.score_batches for job in jobs) / STEPS
    first, *others = summary(found)["rollouts"]
    assert summary(found)["full_runs"] == pytest.approx(spent)
    assert first["full_runs"] > 5.2
    assert all(other["full_runs"] <= budget + 1e-9 for other in others)


def test_nothing_is_ever_chosen_by_test_data() -> None:
    for on in ("training", "validation"):
        _, batches = looked(rough(1), score_on=on)
        assert not any("test" in job.evaluate for batch in batches for job in batch.jobs)


def test_if_every_lr_diverges_the_search_fails_with_advice() -> None:
    with pytest.raises(NoValidCandidateError, match=r"all 12 diverged, down to .*; lower --grid"):
        looked(lambda _: math.inf)


def test_if_every_whole_run_diverges_the_search_fails_with_advice() -> None:
    with pytest.raises(NoValidCandidateError, match="rollouts diverged"):
        looked(lambda line: math.inf if line[-1][0] == STEPS else rough(3)(line))


@pytest.mark.parametrize("steps", [1, 2])
def test_too_short_a_run_is_refused(steps: int) -> None:
    with pytest.raises(UsageError, match="too few for a lookahead search"):
        looked(rough(0), steps)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"budget": 0}, "budget: must be greater than 0"),
        ({"score_batches": 0}, "score_batches: must be at least 1"),
        ({"grid": ()}, "grid: must hold LRs"),
        ({"grid": (1e-3, -1.0)}, "grid: must hold LRs"),
        ({"max_lr": 1e-9}, "max_lr: no LR of the grid"),
        ({"short_run": 1.0}, "short_run: must be greater than 0 and less than 1"),
        ({"rise": (0.2,)}, "rise: must hold shares"),
        ({"knot": (0.05,)}, "knot: must hold shares"),
        ({"ratio": 1.0}, "ratio: must be greater than 1"),
        ({"fine_ratio": 0.9}, "fine_ratio: must be greater than 1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_parameters_that_make_no_sense_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lookahead(**params)


def test_the_vertex_is_where_the_parabola_is_lowest() -> None:
    scores = {lr: (math.log(lr / 4e-3)) ** 2 for lr in (1e-3, 3e-3, 9e-3)}
    assert vertex(scores) == pytest.approx(4e-3)
    assert vertex({**scores, 9e-3: math.inf}) == 3e-3
    assert vertex({1e-3: 0.0, 3e-3: 1.0}) == 1e-3
    assert vertex({1e-3: 1.05, 2e-3: 1.0, 1e-1: 3.0}) == 2e-3  # unevenly spaced


def test_the_table_has_a_row_per_rollout_and_marks_the_answer() -> None:
    found, _ = looked(rough(4))
    (table,) = found.tables
    assert len(table.rows) == len(summary(found)["rollouts"])
    (marked,) = [row for row in table.rows if row[0].endswith("*")]
    assert marked[-2] == f"{summary(found)['score']:.4f}"


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


def test_bad_knots_are_refused_before_anything_is_trained() -> None:
    search = lookahead(Lookahead(knot=(0.9999,)), run_spec(STEPS))
    with pytest.raises(UsageError, match="too few"):
        next(search)


def test_what_the_short_runs_showed_is_told() -> None:
    found, _ = looked(valley(level(1.0), too_high=1.3), grid=(0.01, 0.1, 1.0), **FREE)
    assert summary(found)["limited_by_divergence"] is True
    assert any("LR 10 ended no better than it had begun" in note for note in found.notes)
    found, _ = looked(valley(level(1.0)), max_lr=0.05, **FREE)
    assert any("--max-lr 0.05 allowed no higher one" in note for note in found.notes)
    found, _ = looked(lambda line: 1.0 if line[-1][0] else 0.5)
    assert any("no better than the model before any training" in note for note in found.notes)
