"""The search repeated for settings of the optimizer, and for lengths of the run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from lrctl.contracts.strategy import Batch
from lrctl.errors import UsageError
from lrctl.testing import SPEC, Scripted, run_spec
from lrctl_strategies.shape.params import ShapeSearch
from lrctl_strategies.shape.settings import axis, settings
from strategies.shape_landscapes import GRID, STEPS, at_one, bowl, jobs, searched, summary, with_adamw

DECAYS = ("optimizer.weight_decay=0,0.1",)


def by_title(batches: list[Batch]) -> dict[str, list[Batch]]:
    """The batches of each setting."""
    found: dict[str, list[Batch]] = {}
    for batch in batches:
        found.setdefault(batch.title.partition(":")[0], []).append(batch)
    return found


def test_each_setting_is_a_search_of_its_own_with_its_own_optimizer() -> None:
    _, batches = searched(bowl(), with_adamw(), vary=DECAYS)
    titled = by_title(batches)
    assert list(titled) == ["weight_decay=0", "weight_decay=0.1"]
    for value, (label, of) in zip((0.0, 0.1), titled.items(), strict=True):
        found = jobs(of)
        assert len(found) == 4 * 3 * 3 + 2 * 3, label
        assert all(job.optimizer == replace(with_adamw().optimizers["adamw"], weight_decay=value) for job in found)


def test_the_same_shapes_are_drawn_in_each_setting() -> None:
    _, batches = searched(bowl(), with_adamw(), vary=DECAYS)
    first, second = ([at_one(job.schedule) for job in of[0].jobs] for of in by_title(batches).values())
    assert first == second


def test_beta1_and_beta2_are_the_two_values_of_one_setting() -> None:
    _, batches = searched(bowl(), with_adamw(), vary=("optimizer.beta1=0.8", "optimizer.beta2=0.9,0.95"))
    assert {job.optimizer.betas for job in jobs(batches) if job.optimizer} == {(0.8, 0.9), (0.8, 0.95)}
    assert list(by_title(batches)) == ["beta1=0.8, beta2=0.9", "beta1=0.8, beta2=0.95"]


def test_nothing_varied_is_the_recipes_own_optimizer_and_length() -> None:
    _, batches = searched(bowl(), with_adamw())
    assert {(job.optimizer is None, job.stop) for job in jobs(batches)} == {(True, STEPS)}


def test_only_a_trial_as_long_as_the_run_is_handed_over_so_far() -> None:
    _, batches = searched(bowl(), vary=("steps=20,40",))
    for batch in batches:
        results = Scripted(lambda job: bowl()(job.schedule, 0)).run_batch(batch)
        found = batch.so_far(results) if batch.so_far else None
        steps = {job.stop for job in batch.jobs}
        assert (found is not None) == (steps == {STEPS})


def test_the_length_of_the_run_is_varied_and_the_recipes_own_is_handed_over() -> None:
    found, batches = searched(lambda s, _: bowl()(s, 0) - s.steps / 100, vary=("steps=20,40",))
    assert {(job.stop, job.stages, job.schedule.steps) for job in jobs(batches)} == {
        (20, (20,), 20),
        (40, (40,), 40),
    }
    assert [(d["setting"], d["steps"]) for d in summary(found)["settings"]] == [("steps=20", 20), ("steps=40", 40)]
    assert found.schedule.steps == STEPS
    assert {each.name for each in found.results} == {"rex (steps=40)"}


def test_without_the_recipes_own_length_nothing_is_handed_over() -> None:
    found, _ = searched(bowl(), vary=("training.steps=10,20",))
    assert (found.schedule, found.checkpoint, found.results) == (None, None, ())
    assert len(summary(found)["settings"]) == 2


def test_the_best_setting_is_handed_over_with_its_optimizer() -> None:
    found, batches = searched(bowl(), with_adamw(), vary=("optimizer.weight_decay=0.5",))
    (job,) = (job for job in jobs(batches) if job.key(SPEC) == found.checkpoint)
    assert job.optimizer
    assert job.optimizer.weight_decay == 0.5


def test_all_combinations_of_what_is_varied_are_searched() -> None:
    found = settings(("steps=10,20", "optimizer.weight_decay=0,1"), with_adamw())
    assert [each.label for each in found] == [
        "steps=10, weight_decay=0",
        "steps=10, weight_decay=1",
        "steps=20, weight_decay=0",
        "steps=20, weight_decay=1",
    ]


def test_a_setting_that_is_given_in_two_parts_is_one_axis() -> None:
    assert [each.steps for each in settings(("steps=10,20", "steps=20,30"), run_spec(STEPS))] == [10, 20, 30]


def test_independent_weight_decay_is_what_the_update_has_at_the_peak_whatever_the_base_lr() -> None:
    _, batches = searched(bowl(), with_adamw(), vary=DECAYS, weight_decay="independent")
    for job in jobs(batches):
        assert job.optimizer
        value = job.optimizer.weight_decay * job.schedule.peak_lr
        assert value in (0.0, pytest.approx(0.1))
    assert len({job.optimizer.weight_decay for job in jobs(batches) if job.optimizer}) == 1 + len(GRID)


def test_the_recipes_own_weight_decay_can_be_independent() -> None:
    _, batches = searched(bowl(), with_adamw(), weight_decay="independent")
    products = [job.optimizer.weight_decay * job.schedule.peak_lr for job in jobs(batches) if job.optimizer]
    assert products == [pytest.approx(0.1)] * len(jobs(batches))


def test_a_person_is_shown_how_the_best_shape_moves() -> None:
    found, _ = searched(lambda s, _: bowl()(s, 0), with_adamw(), vary=DECAYS, against=("cosine",), sweep=2)
    captions = [table.caption for table in found.tables]
    assert captions == [
        f"{what}, weight_decay={value}"
        for value in ("0", "0.1")
        for what in ("The best shape of each family", "rex against tuned schedules", "One parameter at a time")
    ] + ["How the best shape moves"]
    table = found.tables[-1]
    assert [row[:2] for row in table.rows] == [("weight_decay=0", "rex"), ("weight_decay=0.1", "rex")]
    assert table.columns[-1] == "tuned cosine"
    assert all(len(row) == len(table.columns) for row in table.rows)


@pytest.mark.parametrize(
    "text",
    ["", "steps", "steps=", "=1", "momentum=0.9", "optimizer.weight_decay=a", "optimizer.beta1=nan", "steps=inf"],
)
def test_what_is_not_a_setting_with_numbers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="vary: must be steps or a setting of the optimizer, with numbers"):
        ShapeSearch(vary=(text,))


def test_values_are_taken_once() -> None:
    assert axis(" training.steps = 10, 20,10 ") == ("steps", (10.0, 20.0))


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ("steps=10.5", "--vary steps: must be whole numbers of at least 1, got 10.5"),
        ("steps=0", "--vary steps: must be whole numbers of at least 1, got 0"),
        ("optimizer.weightdecay=0", "--vary optimizer.weightdecay: unknown setting; did you mean 'weight_decay'?"),
        ("optimizer.momentum=0.9", "--vary optimizer.momentum: unknown setting; choose from: beta1, beta2, "),
        ("optimizer.betas=0.9", "--vary optimizer.betas: unknown setting"),
        ("optimizer.name=1", "--vary optimizer.name: unknown setting"),
        ("optimizer.beta2=1", "--vary optimizer.beta2: must be in [0, 1), got 1"),
        ("optimizer.weight_decay=-0.1", "--vary optimizer.weight_decay: must be at least 0, got -0.1"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_trained(vary: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        searched(bowl(), with_adamw(), vary=(vary,))


@pytest.mark.parametrize("params", [{"vary": DECAYS}, {"weight_decay": "independent"}], ids=str)
def test_the_optimizer_of_a_workload_that_brings_its_own_cannot_be_varied(params: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="the workload brings its own optimizer; name one"):
        searched(bowl(), run_spec(STEPS), **params)
