"""Lookahead search on scripted landscapes: a run's score is a function of its schedule."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import FORWARD, JobResult
from lrctl.contracts.strategy import Batch, SearchResult, drive
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.testing import SPEC, Scripted, check_strategy, play, run_spec
from lrctl_strategies.lookahead.parabola import Parabola, through
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.scoring import Score, Scoring
from lrctl_strategies.lookahead.search import lookahead
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

    return play(lookahead, Lookahead(reference=False, **params), steps, loss)


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
        points = [(step / stop, lr) for step, lr in line if lr]
        return sum((math.log10(lr / best(share))) ** 2 for share, lr in points) / len(points)

    return score


def level(lr: float) -> Callable[[float], float]:
    """The same LR at every share of the run."""
    return lambda _: lr


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


@dataclass(slots=True)
class Noisy(Scripted):
    """Scores of batches that differ by so much, though not in their mean; none with `reserve` 0."""

    spread: float = 0.0
    reserve: int = 1000

    def result(self, job: SegmentJob) -> JobResult:
        draw = random.Random(job.key(SPEC))
        told = Scripted.result(self, job)
        lies = [draw.gauss(0, self.spread) for _ in told.scores[: self.reserve]]
        scores = tuple(told.scores[0] + lie - fmean(lies) for lie in lies)
        metrics = {
            split: {"loss": each["loss"] + draw.gauss(0, self.spread / 5)} for split, each in told.metrics.items()
        }
        return replace(told, scores=scores, metrics=metrics, evaluated=9 * len(job.evaluate))


def noisily(
    landscape: Landscape, spread: float = 0.01, reserve: int = 1000, **params: Any
) -> tuple[SearchResult, Noisy]:
    def loss(job: SegmentJob) -> float:
        assert isinstance(job.schedule, PiecewiseLinear)
        return landscape(tuple((int(step), lr) for step, lr in job.schedule.knots))

    script = Noisy(loss, spread=spread, reserve=reserve)
    return drive(
        lookahead(Lookahead(reference=False, **{"grid": GRID} | params), run_spec(STEPS)), script.run_batch
    ), script


def whole(of: Callable[[Line], float]) -> Landscape:
    """Short runs tell nothing; of a whole run this is the score."""
    return lambda line: of(line) if line[-1][0] == STEPS else 1.0 + (not line[-1][0])


def top(line: Line) -> float:
    return max(lr for _, lr in line)


GRID = (3e-3,)
FIRST = GRID[0] * 0.15**0.3
"""The LR that a search with this grid begins with where short runs tell nothing."""


@pytest.mark.parametrize("reserve", [1000, 0], ids=["training", "validation"])
@pytest.mark.parametrize("factor", [1 / 8, 1 / 3, 1.0, 3.0, 8.0])
def test_from_a_wrong_first_guess_the_lr_is_found_within_the_budget(factor: float, reserve: int) -> None:
    best = FIRST * factor
    found, _ = noisily(whole(lambda line: math.log10(top(line) / best) ** 2), reserve=reserve)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert abs(math.log(top(found.schedule.knots) / best)) < math.log(1.3)  # type: ignore[arg-type]
    assert summary(found)["full_runs"] <= 8


def test_lrs_that_short_runs_do_not_tell_apart_are_told() -> None:
    found, _ = noisily(whole(lambda line: math.log10(top(line) / FIRST) ** 2))
    low, high = summary(found)["alike"]
    assert low < 1e-3 < 9e-3 < high
    assert any(
        f"do not tell LRs from {low:.3g} to {high:.3g} apart; whole runs decided" in note for note in found.notes
    )
    found, _ = noisily(valley(level(3e-3)), spread=0.0)
    assert summary(found)["alike"] == [GRID[0]] * 2


def test_the_best_rise_is_found_on_whole_runs_where_short_ones_do_not_tell_it() -> None:
    for best in (0, 4, 10, 20, 50):

        def score(line: Line, best: int = best) -> float:
            rise = next(step for step, lr in line if lr)
            return abs(rise - best) / STEPS + math.log10(top(line) / FIRST) ** 2

        found, _ = noisily(whole(score), spread=1e-4, budget=16)
        assert isinstance(found.schedule, PiecewiseLinear)
        assert next(step for step, lr in found.schedule.knots if lr) == best


def test_what_the_noise_hides_is_looked_for_on_both_sides() -> None:
    """The lower of the first two LRs seems better by less than the noise, and what is best lies above the higher."""
    first, second = FIRST / 2.25, FIRST * 2.25

    def score(line: Line) -> float:
        lr = top(line)
        if lr > second * 1.5:
            return 0.5
        return 1.1 if lr < first / 1.5 else 1.0 + 0.001 * (lr > FIRST)

    for spread, best in ((0.0, 1.0), (0.5, 0.5)):
        found, _ = noisily(whole(score), spread=spread, reserve=9)
        assert summary(found)["score"] == pytest.approx(best)
        assert isinstance(found.schedule, PiecewiseLinear)
        assert (top(found.schedule.knots) > second) == (spread > 0)  # type: ignore[arg-type]


def test_the_search_goes_on_until_no_move_is_better() -> None:
    landscape = valley(lambda u: 4e-3 * (1 - u) ** 0.7)
    found, _ = looked(landscape, **FREE)
    assert isinstance(found.schedule, PiecewiseLinear)
    knots = [(int(step), lr) for step, lr in found.schedule.knots]
    for by in (1.2, 1 / 1.2):
        assert landscape(tuple((step, lr * by) for step, lr in knots)) > summary(found)["score"]
        for knot in (4, 5):
            moved = [(step, lr * by if n == knot else lr) for n, (step, lr) in enumerate(knots)]
            assert landscape(tuple(moved)) > summary(found)["score"]
    (stopped,) = [note for note in found.notes if note.startswith("stopped after")]
    assert "no other LR, hold, rise or turn that it tries is better" in stopped


def test_steps_shrink_round_by_round() -> None:
    """The last LR that may turn wants to be 1.3 times the straight line: 1.5 is too much, and 1.5 over 1.2 is near."""

    def score(line: Line) -> float:
        lrs = dict(line)
        if line[-1][0] < STEPS or not top(line):
            return valley(level(5e-3))(line)
        return math.log10(top(line) / 3e-3) ** 2 + math.log(lrs[190] / lrs[80] * 12 / 1.3) ** 2

    found, _ = looked(score, **FREE)
    assert isinstance(found.schedule, PiecewiseLinear)
    lrs = dict(found.schedule.knots)
    assert lrs[190] / lrs[80] * 12 == pytest.approx(1.3, rel=0.1)
    assert top(found.schedule.knots) == pytest.approx(3e-3, rel=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("off", [0.0, 0.5])
def test_a_run_that_is_off_the_parabola_through_its_neighbours_is_told(off: float) -> None:
    def score(line: Line) -> float:
        loss = math.log10(top(line) / 3e-3) ** 2 if top(line) else 100.0
        return loss + off * (line[-1][0] == STEPS and abs(math.log(top(line) / 3e-3)) < 0.05)

    # The short runs' vertex is not that of the whole ones, so that these lay a parabola.
    found, _ = looked(score, grid=(1e-3, 3e-3, 1e-2), **FREE)
    assert any("off the parabola" in note for note in found.notes) == (off > 0)
    assert summary(found)["misfit"] == pytest.approx(off, abs=0.01)


def test_what_a_larger_budget_would_try_next_is_told() -> None:
    found, _ = looked(valley(lambda u: 4e-3 * (1 - u) ** 0.7), budget=5.5)
    (left,) = [note for note in found.notes if "--budget" in note]
    more, _ = looked(valley(lambda u: 4e-3 * (1 - u) ** 0.7), budget=9)
    known = {each["key"] for each in summary(found)["rollouts"]}
    assert left.endswith(next(each["move"] for each in summary(more)["rollouts"] if each["key"] not in known))


def test_a_workload_without_scores_is_scored_by_validation_which_costs() -> None:
    found, script = noisily(whole(lambda line: math.log10(top(line) / FIRST) ** 2), reserve=0)
    assert found.chosen_by == "validation loss"
    assert any("no training batches, or too few, are kept aside" in note for note in found.notes)
    jobs = {job.key(SPEC): job for batch in script.batches for job in batch.jobs if not job.score_batches}
    spent = sum(job.stop - job.start + FORWARD * 9 * len(job.evaluate) for job in jobs.values()) / STEPS
    assert summary(found)["full_runs"] == pytest.approx(spent)


def test_a_run_without_any_score_is_never_the_best() -> None:
    scoring = Scoring(4)
    assert scoring.read(JobResult("key", "ok")) == Score(math.inf)
    assert scoring.read(JobResult("key", "ok", scores=(1.0, 3.0))) == Score(2.0, (1.0, 3.0))


def test_fewer_batches_in_reserve_than_wanted_are_told() -> None:
    found, _ = noisily(whole(lambda line: math.log10(top(line) / FIRST) ** 2), reserve=12)
    assert any("on 12 batches instead of 64, since there are no more" in note for note in found.notes)
    found, _ = noisily(whole(lambda line: math.log10(top(line) / FIRST) ** 2))
    assert any("on 30 batches instead of 64, since the run is short" in note for note in found.notes)


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
        ({"rise": (0.4,)}, "rise: must hold shares"),
        ({"rise": (0.2,)}, "rise: the first share must be less than short_run"),
        ({"knot": (1.0,)}, "knot: must hold shares"),
        ({"knot": (0.05,)}, "rise: must hold shares from 0 to below the first knot"),
        ({"floor": 1.5}, "floor: must be from 0 to 1"),
        ({"ratio": (2.0, 1.0)}, "ratio: must hold numbers greater than 1"),
        ({"ratio": ()}, "ratio: must hold numbers greater than 1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_parameters_that_make_no_sense_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lookahead(**params)


def test_the_vertex_is_where_the_parabola_is_lowest() -> None:
    scores = {lr: (math.log(lr / 4e-3)) ** 2 for lr in (1e-3, 3e-3, 9e-3)}
    assert through(scores).vertex == pytest.approx(4e-3)
    assert through(scores).gain == pytest.approx(scores[3e-3])
    assert through(scores).above(9e-3) == pytest.approx(scores[9e-3] - scores[3e-3])
    assert through({**scores, 9e-3: math.inf}).vertex == 3e-3
    assert through({1e-3: 0.0, 3e-3: 1.0}).vertex == 1e-3
    assert through({1e-3: 1.0, 3e-3: 1.0, 9e-3: 1.0}) == Parabola(1e-3, 0.0, 0.0)


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


def flat(learns_at: float, best: float) -> Landscape:
    """Short runs learn from an LR on only, and below it end a little worse than they began; whole runs are a valley."""

    def score(line: Line) -> float:
        if not line[-1][0] or line[-1][0] == STEPS:
            return valley(level(best))(line)
        top = max(lr for _, lr in line)
        return 100.01 if top < learns_at else 50 + valley(level(best))(line)

    return score


def test_short_runs_that_learn_nothing_are_no_sign_of_divergence() -> None:
    """As of a net whose LRs of the grid are all too low: alike, and all a little worse than the untrained one."""
    found, _ = looked(flat(math.inf, 0.1))
    assert summary(found)["limited_by_divergence"] is False
    assert max(each["lr"] for each in summary(found)["short_runs"]) == pytest.approx(1.0)  # four above the grid
    assert any("ended no better than they had begun" in note for note in found.notes)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert 0.05 < max(lr for _, lr in found.schedule.knots) < 0.5


def test_where_the_grid_learns_nothing_higher_lrs_are_tried() -> None:
    found, _ = looked(flat(0.05, 0.3))
    assert max(each["lr"] for each in summary(found)["short_runs"]) > 0.3
    assert not any("ended no better than they had begun" in note for note in found.notes)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert 0.1 < max(lr for _, lr in found.schedule.knots) < 0.9


def test_an_answer_at_the_edge_of_what_the_budget_allowed_is_told() -> None:
    found, _ = looked(flat(math.inf, 30.0), budget=4)
    assert any("highest LR of those tried" in note and "raise --budget" in note for note in found.notes)


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
