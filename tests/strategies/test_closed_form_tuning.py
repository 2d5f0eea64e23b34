"""Closed forms of a schedule: which of them are trained, at which peaks, and how good they are predicted to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl, refused
from lrctl.contracts.axes import with_peak
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult
from lrctl.errors import UsageError
from lrctl.registry.registry import registry
from lrctl.registry.schedules import schedule_text
from lrctl.testing import play
from lrctl_strategies.closed_form.fitting import fit
from lrctl_strategies.closed_form.params import FitClosedForm
from lrctl_strategies.closed_form.prediction import bound, predicted
from lrctl_strategies.closed_form.search import fit_closed_form

STEPS = 40
HUMP = PiecewiseLinear(((0, 0.0), (18, 0.2), (40, 0.02)))


def fitted(loss: Any = None, steps: int = STEPS, **params: Any) -> tuple[SearchResult, list[Batch]]:
    """A fit of `HUMP` on a landscape that gives the loss of whole runs."""
    p = FitClosedForm(source=schedule_text(HUMP, STEPS), **{"family": ("triangle", "quadratic", "constant"), **params})
    return play(fit_closed_form, p, steps, lambda job: loss(job.schedule) if loss else 1.0)


def peak(schedule: Any) -> float:
    return max(float(schedule(step)) for step in range(STEPS + 1))


def near(lr: float) -> Any:
    """The loss of a run is the distance of its peak to an LR."""
    return lambda schedule: abs(peak(schedule) - lr)


def names(found: SearchResult) -> list[str]:
    return sorted(entry.name for entry in found.results)


def test_without_names_the_best_fits_are_tuned(only: Any) -> None:
    only("triangle", "constant", "quadratic", "cosine")
    found, _ = fitted(near(0.1), family=(), tune=True, top=2, baseline=())
    fits = [entry["family"] for entry in found.summary["fits"]]
    assert {name.partition(",")[0] for name in names(found)} == {"found", *fits[:2]}


@pytest.mark.parametrize(
    ("tune", "captions"),
    [(False, ["Closed forms of the schedule"]), (True, ["Closed forms of the schedule", "The best of each schedule"])],
    ids=["fitted", "tuned"],
)
def test_a_person_is_shown_the_fits_and_what_was_trained(tune: bool, captions: list[str]) -> None:
    found, _ = fitted(near(0.1), tune=tune, baseline=())
    assert [table.caption for table in found.tables] == captions
    assert [row[0] for row in found.tables[0].rows] == [entry["family"] for entry in found.summary["fits"]]


def test_named_families_are_all_tuned_beside_the_baselines() -> None:
    found, _ = fitted(near(0.1), tune=True, top=1, baseline=("wsd",))
    assert names(found) == ["constant", "found", "quadratic", "triangle", "wsd"]


def test_a_fit_with_a_shape_of_its_own_is_told_from_the_family() -> None:
    found, _ = fitted(near(0.1), family=("wsd",), tune=True, baseline=("wsd",))
    assert names(found) == ["found", "wsd", "wsd, fitted"]


def test_the_found_schedule_is_trained_as_it_is() -> None:
    found, _ = fitted(near(0.2), tune=True, baseline=())
    assert found.schedule == HUMP
    (entry,) = (entry for entry in found.results if entry.name == "found")
    assert entry.full_runs == 1


def test_the_peak_of_each_fit_is_searched_over_the_grid() -> None:
    found, _ = fitted(near(0.031), family=("triangle",), tune=True, baseline=())
    (entry,) = (entry for entry in found.results if entry.name == "triangle")
    assert entry.schedule.params["peak_lr"] == 0.0333
    assert entry.details["fit_error"] > 0


def test_a_stretched_schedule_has_the_same_shape_and_its_peak_tuned() -> None:
    found, _ = fitted(lambda s: abs(max(s(t) for t in range(101)) - 0.03), steps=100, stretch=100)
    assert [entry.name for entry in found.results] == ["found"]
    assert isinstance(found.schedule, PiecewiseLinear)
    assert found.schedule == with_peak(PiecewiseLinear(((0, 0.0), (45, 0.2), (100, 0.02))), 0.0333)


def test_a_schedule_for_another_length_is_refused() -> None:
    p = FitClosedForm(source=schedule_text(HUMP, STEPS))
    with pytest.raises(UsageError, match="for 40 steps and the run has 50; give --stretch 50"):
        next(fit_closed_form(p, RunSpec(50)))


# Predicted


def test_measured_gradient_norms_decide_the_prediction(lrctl: Lrctl, run: str) -> None:
    flags = ["--family", "triangle", "--family", "linear", "--executor", "serial", "--quiet", "--json"]
    free = lrctl("fit-closed-form", run, "--predict", *flags).document
    measured = lrctl("fit-closed-form", run, "--predict", "--gradient-norms", *flags).document
    assert (free["cost"]["jobs"], measured["cost"]["jobs"]) == (0, 1)
    assert [e["bound"] for e in free["fits"]] != [e["bound"] for e in measured["fits"]]
    assert lrctl("fit-closed-form", run, "--predict", "--gradient-norms", *flags).document == measured


def test_the_prediction_ranks_by_the_bound_and_sets_the_peak() -> None:
    found, batches = fitted(predict=True)
    fits = found.summary["fits"]
    assert [e["bound"] for e in fits] == sorted(e["bound"] for e in fits)
    assert fits[0]["params"]["peak_lr"] == peak(found.schedule)
    assert batches == []


def test_each_fit_is_predicted_at_the_peak_that_is_best_for_it_where_the_schedule_is_best_as_it_is() -> None:
    fits = [fit(family, HUMP, STEPS) for family in ("triangle", "constant", "linear")]
    factors = [
        bound([schedule(step) for step in range(STEPS)])[1]
        for schedule in (HUMP, *(each.schedule for each, _ in predicted(fits, HUMP, STEPS, None)))
    ]
    assert factors == pytest.approx([factors[0]] * 4)


def test_a_schedule_predicts_itself_to_be_as_good_as_itself() -> None:
    own = registry().get("schedule", "triangle").target(steps=STEPS, peak_lr=0.3)
    p = FitClosedForm(source=schedule_text(own, STEPS), family=("triangle",), predict=True)
    found, _ = play(fit_closed_form, p, STEPS, lambda _: 1.0)
    (entry,) = found.summary["fits"]
    assert entry["bound"] == pytest.approx(1)
    assert entry["params"]["peak_lr"] == pytest.approx(0.3)


def test_a_dry_run_with_gradient_norms_counts_their_run(lrctl: Lrctl, run: str) -> None:
    flags = ["--family", "triangle", "--gradient-norms", "--dry-run", "--quiet", "--json"]
    document = lrctl("fit-closed-form", run, *flags).document
    assert (document["jobs"], document["steps"]) == (1, 40)


def test_families_that_cannot_come_near_are_not_predicted(lrctl: Lrctl, only: Any) -> None:
    only("triangle", "quadratic", "step", "constant")
    start = PiecewiseLinear(((0, 1.0), (1, 0.0), (40, 0.0)))  # where triangle and quadratic are 0
    Path("start.json").write_text(schedule_text(start, 40))
    done = lrctl("fit-closed-form", "start.json", "--recipe", "smoke", "--predict", "--quiet", "--json")
    families = {entry["family"] for entry in done.document["fits"]}
    assert "step" in families
    assert families & {"triangle", "quadratic"} == set()
    refused(lrctl("fit-closed-form", "start.json", "--family", "triangle", "--predict", "--quiet"), "--predict")
