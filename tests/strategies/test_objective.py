"""Searches that choose by a metric of the workload's own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, SearchResult, drive
from lrctl.errors import UsageError
from lrctl.planning.rehearsal import Rehearsal
from lrctl.testing import SPEC, Scripted, run_spec
from lrctl_strategies.baseline.params import Baseline
from lrctl_strategies.baseline.search import baseline
from lrctl_strategies.closed_form.params import FitClosedForm
from lrctl_strategies.closed_form.search import fit_closed_form
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.search import lookahead
from lrctl_strategies.objective import Objective

STEPS = 100
BEST_LOSS, BEST_ACCURACY = 1e-3, 3e-2
"""The peak LRs at which a run has the lowest loss and the highest accuracy."""

GRID = (1e-3, 1e-2, 3e-2, 1e-1)


def distance(job: SegmentJob, lr: float) -> float:
    peak = max(map(job.schedule, range(job.stop + 1)), default=0.0)  # type: ignore[arg-type]
    return abs(math.log10(max(peak, 1e-9) / lr))


def accuracy(job: SegmentJob) -> float:
    return 1 / (1 + distance(job, BEST_ACCURACY)) if job.stop else 0.0


def searched(strategy: Any, params: Any, metric: Callable[[SegmentJob], float] = accuracy) -> SearchResult:
    """Search on a landscape whose loss and other metric are best at different LRs."""
    script = Scripted(lambda job: distance(job, BEST_LOSS) + 1)

    def run_batch(batch: Batch) -> list[JobResult]:
        return [
            replace(result, metrics={split: {**of, "accuracy": metric(job)} for split, of in result.metrics.items()})
            for job, result in zip(batch.jobs, script.run_batch(batch), strict=True)
        ]

    return drive(strategy(params, run_spec(STEPS)), run_batch)


def peak(found: SearchResult) -> float:
    assert found.schedule is not None
    return max(found.schedule(step) for step in range(STEPS))  # type: ignore[call-arg]


def test_baseline_takes_the_run_with_the_most_of_a_metric() -> None:
    by_loss = searched(baseline, Baseline(("wsd",), grid=GRID))
    by_metric = searched(baseline, Baseline(("wsd",), "accuracy", GRID, maximize=True))
    assert (peak(by_loss), peak(by_metric)) == (BEST_LOSS, BEST_ACCURACY)
    assert by_metric.chosen_by == "validation accuracy"
    (table,) = by_metric.tables
    assert table.rows[0][table.columns.index("validation accuracy")] == "1.0000"
    assert by_metric.results[0].metrics == {split: {"accuracy": 1.0} for split in ("validation", "test")}


def test_baseline_takes_the_run_with_the_least_of_a_metric() -> None:
    p = Baseline(("wsd",), "accuracy", GRID, maximize=False)
    assert peak(searched(baseline, p, lambda job: 1 - accuracy(job))) == BEST_ACCURACY


def test_lookahead_goes_to_the_most_of_a_metric_and_tells_it_as_it_is() -> None:
    p = Lookahead(score_on="validation", metric="accuracy", maximize=True, budget=12.0)
    found = searched(lookahead, p)
    assert peak(found) == pytest.approx(BEST_ACCURACY, rel=0.3)
    assert found.chosen_by == "validation accuracy"
    summary = dict(found.summary)
    assert 0.9 < summary["score"] <= 1.0
    assert summary["untrained"] == 0.0
    assert summary["score"] == max(rollout["score"] for rollout in summary["rollouts"])
    (table,) = found.tables
    assert table.notes[0].startswith("Score: validation accuracy at the end of the run, where more is better.")


def test_a_metric_that_is_not_finite_is_never_chosen() -> None:
    objective = Objective("accuracy", maximize=True)
    assert objective.value({"validation": {"accuracy": math.nan}}) == math.inf


def test_a_metric_that_the_workload_lacks_is_named() -> None:
    with pytest.raises(UsageError, match="--metric acuracy: unknown metric; did you mean 'accuracy'"):
        searched(baseline, Baseline(("wsd",), "acuracy", GRID, maximize=True))


FIT = {"schedule": {"family": "triangle", "params": {"steps": STEPS, "peak_lr": 0.1}}}
SCHEDULE = json.dumps({"format": "lrctl-schedule/1", "steps": STEPS, **FIT})
MISTYPED = {
    "baseline": (baseline, Baseline(("wsd",), "acuracy", GRID, maximize=True)),
    "fit-closed-form": (
        fit_closed_form,
        FitClosedForm(source=SCHEDULE, family=("linear",), tune=True, metric="acuracy", maximize=True, reference=False),
    ),
}


def noting(steps: list[int]) -> Callable[[SegmentJob], float]:
    """A metric that notes how many steps each job trains."""

    def metric(job: SegmentJob) -> float:
        steps.append(job.steps)
        return 0.0

    return metric


@pytest.mark.parametrize(("strategy", "params"), MISTYPED.values(), ids=MISTYPED)
def test_a_metric_that_the_workload_lacks_is_found_before_anything_is_trained(strategy: Any, params: Any) -> None:
    trained: list[int] = []
    with pytest.raises(UsageError, match="--metric acuracy: unknown metric; did you mean 'accuracy'"):
        searched(strategy, params, noting(trained))
    assert not any(trained)


def test_choices_by_a_loss_take_no_look_at_the_model_before() -> None:
    asked: list[int] = []
    searched(baseline, Baseline(("wsd",), grid=GRID), noting(asked))
    assert asked
    assert all(asked)


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        (Baseline, {"metric": "accuracy"}, "metric: accuracy is not validation or train; .*--no-maximize that less is"),
        (Baseline, {"maximize": True}, "maximize: less of a loss is better; leave it out, or name another --metric"),
        (Lookahead, {"metric": "accuracy", "score_on": "validation"}, "metric: accuracy is not loss; "),
        (Lookahead, {"metric": "accuracy", "maximize": True}, "metric: accuracy is of validation data; add --score-on"),
        (FitClosedForm, {"source": "{}", "metric": "f1"}, "metric: f1 is not validation or train"),
    ],
)
def test_which_way_is_better_must_be_said(kind: Any, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        kind(**given)


@pytest.mark.parametrize("maximize", [True, False])
def test_a_dry_run_needs_no_metric(maximize: bool) -> None:
    rehearsal = Rehearsal(SPEC)
    p = Lookahead(score_on="validation", metric="accuracy", maximize=maximize)
    drive(lookahead(p, run_spec(STEPS)), rehearsal.run_batch)
    tuned = Rehearsal(SPEC)
    drive(baseline(Baseline(("wsd",), "accuracy", maximize=maximize), run_spec(STEPS)), tuned.run_batch)
    assert len(rehearsal.jobs) > 10
    assert 9 <= len(tuned.jobs) < 40
