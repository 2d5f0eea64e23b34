"""The search for the best shape: what is drawn, how it is scored, what is picked and handed over."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any, cast

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, RunSpec, drive
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.testing import SPEC, Scripted, run_spec
from lrctl_strategies.shape.params import FAMILIES, ShapeSearch
from lrctl_strategies.shape.search import shape
from strategies.shape_landscapes import (
    GRID,
    STEPS,
    at_one,
    bowl,
    jobs,
    off_lr,
    searched,
    seed_of,
    setting,
)

# What is tried


def test_every_shape_is_crossed_with_every_base_lr_and_seed() -> None:
    _, (first, _) = searched(bowl(), score_seeds=2)
    tried = [(at_one(job.schedule), job.schedule.peak_lr, seed_of(job, run_spec(STEPS))) for job in jobs([first])]
    shapes = {shape for shape, _, _ in tried}
    assert len(shapes) == 4
    assert len(tried) == len(set(tried))
    assert set(tried) == set(itertools.product(shapes, GRID, (0, 1)))
    assert all((job.start, job.stop, job.stages, job.parent) == (0, STEPS, (STEPS,), None) for job in first.jobs)


def drawn(**params: Any) -> list[Any]:
    """The shapes of a search in the order in which they are tried."""
    _, batches = searched(bowl(), **params)
    return list(dict.fromkeys(at_one(job.schedule) for job in batches[0].jobs))


def test_the_first_shapes_are_the_same_however_many_are_drawn() -> None:
    assert drawn(shapes=3) == drawn(shapes=9)[:3]


def test_shapes_do_not_depend_on_the_base_lrs_the_recipes_seed_or_the_other_families() -> None:
    assert drawn(grid=(0.5, 0.7, 0.9)) == drawn(run=RunSpec(STEPS, seed=7)) == drawn()
    assert drawn(family=("square-root", "rex"))[4:] == drawn()


def test_another_draw_seed_draws_other_shapes() -> None:
    assert not set(drawn(draw_seed=1)) & set(drawn())


def test_the_recipes_seed_comes_first_and_the_fresh_ones_follow() -> None:
    run = RunSpec(STEPS, seed=7)
    _, (first, second) = searched(bowl(), run)
    assert {seed_of(job, run) for job in first.jobs} == {7, 8, 9}
    assert {seed_of(job, run) for job in second.jobs} == {10, 11, 12}
    assert {job.seed for job in first.jobs} == {None, 8, 9}  # as another search of this recipe has it


def test_a_family_asked_for_twice_is_drawn_once() -> None:
    assert drawn(family=("rex", "rex")) == drawn()


def test_all_families_of_the_paper_are_searched_by_default() -> None:
    found, _ = searched(bowl(), family=FAMILIES, against=("wsd", "cosine"), score_seeds=1, fresh_seeds=1, shapes=2)
    assert {each["name"] for each in setting(found)["families"]} == {*FAMILIES, "tuned wsd", "tuned cosine"}


# Scores


def test_a_shape_is_scored_by_its_median_at_its_best_base_lr() -> None:
    by_seed = {0: 0.3, 1: 0.0, 2: 0.1}
    found, _ = searched(lambda s, seed: 1 + off_lr(s, 1e-1 if s.b > 1 else 1e-2) + by_seed.get(seed, 0.0))
    for each in setting(found)["shapes"]:
        assert each["base_lr"] == (1e-1 if each["searched"]["b"] > 1 else 1e-2)
        assert each["score"] == pytest.approx(1.1)


def test_a_score_is_of_the_search_s_seeds_even_after_the_shape_was_trained_again() -> None:
    found, _ = searched(lambda s, seed: bowl()(s, seed) + (0.0 if seed < 3 else 5.0), sweep=3)
    assert {each["score"] for each in setting(found)["shapes"]} == {1.0}
    assert {each["score"] for each in setting(found)["families"]} == {1.0}
    (heat,) = (chart for chart in found.charts if chart.name == "heat")
    assert {min(cell for cell in row if cell is not None) for row in heat.cells} == {1.0}


def diverging(shapes: list[Any], seeds: set[int]) -> Any:
    """The first of these shapes is the best by far, and diverges with some seeds."""
    return lambda s, seed: 1 + off_lr(s) if at_one(s) != shapes[0] else math.inf if seed in seeds else 0.1 + off_lr(s)


@pytest.mark.parametrize(("seeds", "wins"), [({0}, True), ({1, 2}, False), ({0, 1, 2}, False)], ids=str)
def test_a_shape_that_diverges_in_most_seeds_does_not_win(seeds: set[int], wins: bool) -> None:
    first = drawn()
    found, _ = searched(diverging(first, seeds))
    assert (at_one(found.schedule) == first[0]) == wins
    assert setting(found)["runs_diverged"] == len(seeds) * 3


def test_half_of_an_even_number_of_seeds_is_enough_to_lose() -> None:
    first = drawn()
    found, _ = searched(diverging(first, {0, 1}), score_seeds=4)
    assert at_one(found.schedule) != first[0]


def results(script: Any, **params: Any) -> Any:
    """A search whose results `script` may change."""
    p = ShapeSearch(family=("rex",), against=(), shapes=3, grid=GRID, sweep=0, **params)
    answers = Scripted(lambda job: bowl()(job.schedule, 0))

    def run_batch(batch: Batch) -> list[JobResult]:
        return [script(job, result) for job, result in zip(batch.jobs, answers.run_batch(batch), strict=True)]

    return drive(shape(p, run_spec(STEPS)), run_batch)


def test_a_training_loss_that_is_not_finite_is_divergence_whatever_the_validation_loss() -> None:
    first = drawn(shapes=3)

    def script(job: SegmentJob, result: JobResult) -> JobResult:
        if at_one(job.schedule) != first[1]:
            return result
        metrics = {split: {"loss": 1e-9} for split in job.evaluate}
        return replace(result, metrics=metrics, stage_losses=(math.inf,))

    found = results(script)
    assert at_one(found.schedule) != first[1]
    (entry,) = (e for e in setting(found)["shapes"] if e["searched"]["b"] == first[1].b)
    assert (entry["score"], entry["edge"]) == (math.inf, False)


def test_choices_are_made_by_the_metric_that_is_asked_for() -> None:

    def script(job: SegmentJob, result: JobResult) -> JobResult:
        b, off = cast(Any, job.schedule).b, off_lr(job.schedule)
        metrics = {split: {"loss": 1 + off + b} for split in job.evaluate}
        return replace(result, metrics=metrics, stage_losses=(200 + off - b,))

    by_validation, by_train = results(script), results(script, metric="train")
    least, most = (choice(s.b for s in drawn(shapes=3)) for choice in (min, max))
    assert (by_validation.schedule.b, by_train.schedule.b) == (least, most)
    assert by_validation.chosen_by == "validation loss"
    assert by_train.chosen_by == "training loss"


# The grid of base LRs


@pytest.mark.parametrize(
    ("best", "beyond"),
    [(1e1, {1e0, 1e1, 1e2}), (1e-5, {1e-4, 1e-5, 1e-6}), (1e-2, set())],
    ids=["above", "below", "inside"],
)
def test_the_grid_goes_on_by_its_factor_while_the_best_is_on_its_edge(best: float, beyond: set[float]) -> None:
    found, batches = searched(lambda s, _: 1 + off_lr(s, best))
    assert {job.schedule.peak_lr for job in jobs(batches)} == {*GRID, *beyond}
    assert found.schedule.peak_lr == best
    assert not any(each["edge"] for each in setting(found)["shapes"])
    assert found.notes == ()


def test_only_the_shapes_that_are_on_the_edge_are_tried_further() -> None:
    far = drawn()[2]
    _, batches = searched(lambda s, _: 1 + off_lr(s, 1e0 if at_one(s) == far else 1e-2))
    beyond = [(at_one(job.schedule), job.schedule.peak_lr) for job in jobs(batches) if job.schedule.peak_lr > 0.5]
    assert beyond == [(far, 1.0)] * 3 + [(far, 10.0)] * 3


def test_an_extension_without_end_ends_is_flagged_and_noted() -> None:
    found, batches = searched(lambda s, _: 1 / s.peak_lr)
    assert len({job.schedule.peak_lr for job in jobs(batches)}) == 3 + 8
    assert all(each["edge"] for each in setting(found)["shapes"])
    assert found.notes == ("the best base LR of rex is still at the edge of those tried",)
    assert found.tables[0].rows[0][2].endswith("!")
    assert found.tables[0].notes[-1] == "!: at the edge of the base LRs that were tried."


def test_a_base_lr_next_to_those_that_diverge_is_on_no_edge() -> None:
    found, batches = searched(lambda s, _: math.inf if s.peak_lr > 0.05 else 1 / s.peak_lr)
    assert found.schedule.peak_lr == 1e-2
    assert {job.schedule.peak_lr for job in jobs(batches)} == set(GRID)
    assert not setting(found)["families"][0]["edge"]


# What is picked


def test_a_shape_that_was_lucky_with_the_search_s_seeds_loses_with_fresh_ones() -> None:
    lucky, sound = drawn()[:2]
    luck = {(lucky, True): 0.5, (lucky, False): 1.5, (sound, True): 0.8, (sound, False): 0.8}
    found, (_, again) = searched(lambda s, seed: luck.get((at_one(s), seed < 3), 1.0) + off_lr(s))
    assert at_one(found.schedule) == sound
    assert {at_one(job.schedule) for job in again.jobs} == {lucky, sound}
    assert {job.schedule.peak_lr for job in jobs([again])} == {1e-2}
    (family,) = setting(found)["families"]
    assert (family["score"], family["loss"], family["losses"]) == (0.8, 0.8, [0.8] * 3)


def test_with_one_finalist_the_lucky_shape_wins_but_its_loss_is_honest() -> None:
    lucky = drawn()[0]
    found, _ = searched(lambda s, seed: (0.5 if at_one(s) == lucky and seed < 3 else 1.5) + off_lr(s), top=1)
    (family,) = setting(found)["families"]
    assert (at_one(found.schedule), family["score"], family["loss"]) == (lucky, 0.5, 1.5)


def test_families_are_ranked_by_their_losses_with_fresh_seeds() -> None:
    offset = {"Rex": (0.0, 0.3), "SquareRoot": (0.1, 0.2), "GeneralizedCosine": (0.2, 0.1)}
    found, _ = searched(
        lambda s, seed: 1 + off_lr(s) + offset[type(s).__name__][seed >= 3],
        family=("rex", "square-root", "generalized-cosine"),
    )
    assert [f["name"] for f in setting(found)["families"]] == ["generalized-cosine", "square-root", "rex"]
    assert [row[0] for row in found.tables[0].rows] == ["generalized-cosine", "square-root", "rex"]
    assert type(found.schedule).__name__ == "GeneralizedCosine"


def key_of(found: Any, batches: list[Batch]) -> Any:
    """The job that was handed over."""
    (job,) = {job.key(SPEC): job for job in jobs(batches) if job.key(SPEC) == found.checkpoint}.values()
    return job


def test_the_run_of_the_first_fresh_seed_is_handed_over() -> None:
    found, batches = searched(lambda s, seed: 1 + off_lr(s) + {4: -0.5}.get(seed, 0.0))
    job = key_of(found, batches)
    assert (job.seed, job.schedule, job.evaluate) == (3, found.schedule, ("validation", "test"))
    assert found.results[0].checkpoint == found.checkpoint
    assert found.results[0].seed == 3


def test_a_run_that_diverged_is_not_handed_over() -> None:
    found, batches = searched(lambda s, seed: math.inf if seed == 3 else 1 + off_lr(s))
    assert key_of(found, batches).seed == 4


def test_tuned_families_are_tried_on_their_own_grid_and_the_better_one_is_handed_over() -> None:
    found, batches = searched(
        lambda s, _: 1 + off_lr(s) - 0.5 * (type(s).__name__ == "Cosine") + s.warmup, against=("cosine",)
    )
    tuned = {at_one(job.schedule).warmup for job in jobs(batches) if type(job.schedule).__name__ == "Cosine"}
    assert tuned == {0.0, 0.05, 0.1, 0.25, 0.5}
    assert type(found.schedule).__name__ == "Cosine"
    assert "tuned cosine was better than the best shape that was drawn, of rex" in found.notes[0]
    (against,) = setting(found)["against"]
    assert (against["best"], against["against"], against["verdict"]) == ("rex", "tuned cosine", "worse")


def test_the_comparison_with_tuned_schedules_is_on_seeds_that_ranked_neither() -> None:
    """A shape that is lucky with the fresh seeds wins the ranking, and no more than that."""
    found, _ = searched(
        lambda s, seed: bowl()(s, seed) - (type(s).__name__ == "Rex" and 3 <= seed < 6), against=("cosine",)
    )
    assert setting(found)["best"]["name"] == setting(found)["families"][0]["name"] == "rex"
    (against,) = setting(found)["against"]
    assert against["difference"] == pytest.approx(0)


@pytest.mark.parametrize(("others", "verdict"), [(1, "better"), (2, "no difference shown")])
def test_p_is_corrected_for_the_number_of_families_compared_with(others: int, verdict: str) -> None:
    leads = {6: 0.35, 7: 0.5, 8: 0.65}
    found, _ = searched(
        lambda s, seed: bowl()(s, seed) + (type(s).__name__ != "Rex") * leads.get(seed, 0.5),
        against=("cosine", "linear")[:others],
    )
    for against in setting(found)["against"]:
        assert against["difference"] == pytest.approx(-0.5)
        assert (against["p"], against["verdict"]) == (pytest.approx(others * 0.0287, abs=2e-4), verdict)


def test_grid_shapes_that_are_the_same_count_once() -> None:
    """In 10 steps a warmup of 5 % or 10 % is at most one step, which is none."""
    found, _ = searched(bowl(), run_spec(10), against=("cosine",), top=3)
    (tuned,) = (f for f in setting(found)["families"] if f["name"] == "tuned cosine")
    assert tuned["shapes"] == 3
    assert len({e["searched"]["warmup"] for e in setting(found)["shapes"] if e["family"] == "tuned cosine"}) == 3


def test_runs_that_diverge_here_and_there_are_no_reason_to_crash() -> None:
    lost = {("Rex", 6), ("Cosine", 7)}
    found, _ = searched(
        lambda s, seed: math.inf if (type(s).__name__, seed) in lost else bowl()(s, seed), against=("cosine",), sweep=3
    )
    (against,) = setting(found)["against"]
    assert math.isnan(against["difference"])
    assert (against["interval"], against["p"], against["verdict"]) == (None, None, "not finite: no statement")


def test_when_everything_diverged_the_error_says_what_to_change() -> None:
    with pytest.raises(NoValidCandidateError, match="lower the base LRs of --grid"):
        searched(lambda *_: math.inf)


# Halving


def test_halving_finds_the_same_winner_in_fewer_runs() -> None:
    landscape = bowl(b=0.5, warmup=0.1)
    grid = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    plain, every = searched(landscape, shapes=18, grid=grid)
    halved, fewer = searched(landscape, shapes=18, grid=grid, halving=True)
    assert halved.schedule == plain.schedule
    assert len(jobs(fewer)) < len(jobs(every)) / 3
    assert halved.notes[-1] == "shapes that successive halving gave up on have the score that they had then"


def test_a_third_goes_on_rounded_up_and_at_least_as_many_as_are_trained_again() -> None:
    for top, expected in ((1, [10, 4, 2]), (3, [10, 4, 3])):
        _, batches = searched(bowl(b=0.5), shapes=10, halving=True, top=top)
        by_title = {batch.title: {at_one(job.schedule) for job in batch.jobs} for batch in batches}
        rounds = ("all shapes, some base LRs", "the better shapes, all base LRs", "the best shapes, all seeds")
        assert [len(by_title[title]) for title in rounds] == expected


def test_halving_tries_all_seeds_at_the_best_base_lr_and_both_its_neighbours() -> None:
    _, batches = searched(bowl(), halving=True, grid=(1e-4, 1e-3, 1e-2, 1e-1, 1.0))
    (last,) = (batch for batch in batches if batch.title == "the best shapes, all seeds")
    assert {(job.schedule.peak_lr, job.seed) for job in jobs([last])} == {
        (lr, seed) for lr in (1e-3, 1e-2, 1e-1) for seed in (1, 2)
    }


@pytest.mark.parametrize("top", [1, 5, 12])
def test_halving_never_leaves_fewer_shapes_than_are_trained_again(top: int) -> None:
    _, batches = searched(bowl(b=0.5), shapes=12, halving=True, top=top)
    assert len({at_one(job.schedule) for job in batches[-1].jobs}) == top


def test_a_lucky_first_seed_is_not_the_score_of_a_shape_that_went_on() -> None:
    """Where only the first seed was tried the loss may be lower, by luck."""
    grid = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    lucky = {(0, 1e-4): 0.5, (0, 1e-2): 0.1}
    found, batches = searched(
        lambda s, seed: 1 + off_lr(s) if (seed, s.peak_lr) not in lucky else lucky[seed, s.peak_lr],
        halving=True,
        grid=grid,
    )
    assert {seed_of(j, run_spec(STEPS)) for j in jobs(batches) if j.schedule.peak_lr == 1e-4} == {0}
    (family,) = setting(found)["families"]
    (own,) = (each for each in setting(found)["shapes"] if each["searched"] == family["searched"])
    assert (family["score"], own["score"], own["base_lr"]) == (1.0, 1.0, 1e-2)


# Parameters


@pytest.mark.parametrize(
    ("params", "message"),
    [
        *(
            ({name: 0}, f"{name}: must be at least 1, got 0")
            for name in ("shapes", "score_seeds", "top", "fresh_seeds")
        ),
        *(({name: -1}, f"{name}: must be at least 0, got -1") for name in ("draw_seed", "sweep")),
        ({"sweep": 1}, "sweep: must be 0, or at least 2 values"),
        ({"grid": (0.1,)}, "grid: must hold at least two base LRs"),
        ({"grid": (0.1, 0.1)}, "grid: must hold at least two base LRs"),
        ({"grid": (0.1, 0.0)}, "grid: must hold LRs greater than 0"),
        ({"family": ()}, "family: at least one is needed"),
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShapeSearch(**params)


def test_the_optimum_is_for_workloads_whose_loss_can_be_computed() -> None:
    with pytest.raises(UsageError, match="--optimum: the loss of this workload's runs cannot be computed"):
        searched(bowl(), optimum=True)
