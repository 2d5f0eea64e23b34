"""The plain run that a search ends beside."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts.canonical import digest
from lrctl.contracts.job import COMPARED
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Batch, TrainedRun
from lrctl.engine.session import Session
from lrctl.planning.estimate import estimate
from lrctl.registry.schedules import schedule_text
from lrctl.report.compare import compare
from lrctl.report.tables import reference_table, result_tables
from lrctl.storage.identity import RunIdentity
from lrctl.storage.run_result import RunResult
from lrctl.storage.store import Store
from lrctl.testing import bowl, check_strategy, play
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.wsd import WSD
from lrctl_strategies.closed_form.params import FitClosedForm
from lrctl_strategies.closed_form.search import fit_closed_form
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.search import lookahead
from lrctl_strategies.semilocal.params import Local, SemiLocal
from lrctl_strategies.semilocal.search import local
from lrctl_strategies.semilocal.tune_eps import semilocal_strategy
from searches import search, settled, small

STEPS = 60
GIVEN = schedule_text(Cosine(STEPS, 0.01), STEPS)
SEARCHES: dict[str, tuple[Any, Any]] = {
    "semilocal": (semilocal_strategy, SemiLocal(segments=3)),
    "tune-eps": (semilocal_strategy, SemiLocal(0.4, "nats", segments=3, tune_eps=True)),
    "local": (local, Local(segments=3)),
    "lookahead": (lookahead, Lookahead()),
    "fit-closed-form": (fit_closed_form, FitClosedForm(source=GIVEN, family=("cosine",), tune=True)),
}
WITH: dict[str, Any] = {f"strategy__{name}__reference": True for name in ("semilocal", "local")}


@pytest.mark.parametrize(("strategy", "params"), SEARCHES.values(), ids=SEARCHES)
def test_a_search_ends_with_one_plain_run_for_comparison(strategy: Any, params: Any) -> None:
    found, batches = play(strategy, params, STEPS, bowl)
    assert [batch.beside for batch in batches] == [*[False] * (len(batches) - 1), True]
    (job,) = batches[-1].jobs
    assert isinstance(job.schedule, WSD)
    assert job.schedule == WSD(STEPS, job.schedule.peak_lr, warmup=0.1, decay=0.1)
    assert found.checkpoint in batches[-1].keep
    assert found.reference
    assert found.reference.schedule.params["peak_lr"] == job.schedule.peak_lr
    without, fewer = play(strategy, replace(params, reference=False), STEPS, bowl)
    assert without == replace(found, reference=None)
    assert fewer == batches[:-1]


@pytest.mark.parametrize("name", ["semilocal", "tune-eps", "local"])
def test_its_lr_is_what_the_first_segment_chose(name: str) -> None:
    found, _ = play(*SEARCHES[name], STEPS, bowl)
    assert found.reference
    assert found.reference.schedule.params["peak_lr"] == found.trace[0].chosen


def test_its_lr_after_lookahead_is_what_short_runs_found_for_whole_ones() -> None:
    found, _ = play(lookahead, Lookahead(), STEPS, bowl)
    assert found.reference
    # The first two whole runs have it between them.
    low, high = (max(lr for _, lr in rollout["knots"]) for rollout in dict(found.summary)["rollouts"][:2])
    assert found.reference.schedule.params["peak_lr"] == pytest.approx(math.sqrt(low * high))


@pytest.mark.parametrize(("strategy", "params"), SEARCHES.values(), ids=SEARCHES)
def test_with_it_a_strategy_keeps_the_contract(strategy: Any, params: Any) -> None:
    check_strategy(strategy, params, STEPS)


def test_what_it_cost_is_told_apart(tmp_path: Path) -> None:
    alone, beside = search(tmp_path / "a"), search(tmp_path / "b", small(**WITH))
    assert beside["cost"]["reference_full_runs"] == 1.0
    costs = [{**each["cost"], "seconds": 0, "reference_full_runs": 0} for each in (alone, beside)]
    assert costs[0] == costs[1]


def test_searches_share_it_and_baseline_has_it(tmp_path: Path) -> None:
    first, second = (search(tmp_path, small(**WITH), command) for command in ("semilocal", "local"))
    assert second["reference"] == first["reference"]
    assert second["cost"]["reference_full_runs"] == 0.0
    peak = first["reference"]["schedule"]["params"]["peak_lr"]
    tuned = {"strategy__baseline__family": ("wsd",), "strategy__baseline__grid": (peak,)}
    jobs = Store(tmp_path).path / "jobs"
    assert (jobs / f"{first['reference']['checkpoint']}.json").is_file()
    assert search(tmp_path, small(**tuned), "baseline")["cost"]["jobs_reused"] == 1


def test_a_search_that_was_stopped_at_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = settled(search(tmp_path / "whole", small(**WITH)))
    run_batch = Session.run_batch

    def stop(session: Session, batch: Batch) -> Any:
        if batch.beside:
            raise KeyboardInterrupt
        return run_batch(session, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Session, "run_batch", stop)
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / "stopped", small(**WITH))
    assert settled(search(tmp_path / "stopped", small(**WITH))) == whole


def test_a_dry_run_counts_it_apart(tmp_path: Path) -> None:
    alone, beside = (estimate("local", small(**given), store=tmp_path, measure=False) for given in ({}, WITH))
    assert (alone["reference_full_runs"], beside["reference_full_runs"]) == (0.0, 1.0)
    assert {**beside, "reference_full_runs": 0.0} == alone


def test_a_dry_run_counts_what_averages_of_the_weights_take(tmp_path: Path) -> None:
    recipe = small(**WITH, training__averaging=(4.0, 8.0))
    told, found = estimate("local", recipe, store=tmp_path, measure=False), search(tmp_path, recipe, "local")
    reference = 1 + 3 * COMPARED / 3 / 24
    assert told["reference_full_runs"] == found["cost"]["reference_full_runs"] == pytest.approx(reference)
    assert found["reference"]["full_runs"] == found["cost"]["reference_full_runs"]
    assert told["forwards"] == found["cost"]["extra_forwards"]


def test_it_changes_no_runs_name() -> None:
    identity = RunIdentity.of("local", small(**WITH), None)
    assert "reference" not in identity.strategy
    assert identity.name == f"local-{digest(identity.to_json())[:8]}"


SCHEDULE = ScheduleRecord("wsd", {"steps": 10, "peak_lr": 0.01})
FACTS: dict[str, Any] = {"command": "local", "run": "r", "workload": "w", "seed": 0, "steps": 10, "schedule": SCHEDULE}


@pytest.mark.parametrize(
    ("found", "plain", "test", "told"),
    [
        (2.0, 1.5, 2.0, "The plain run is better by 0.5000 of validation loss and 0.5000 of test loss, and costs"),
        (1.5, 2.0, 1.9, "What was found is better by 0.5000 of validation loss and 0.1000 of test loss than"),
        (
            1.5,
            2.0,
            2.1,
            "What was found is better by 0.5000 of validation loss, and worse by 0.1000 of test loss: neit",
        ),
        (2.0, 1.5, 1.4, "The plain run is better by 0.5000 of validation loss, and worse by 0.1000 of test loss: neit"),
        (1.5, 2.0, None, "What was found is better by 0.5000 of validation loss than"),
        (None, 2.0, None, "The plain run is better by validation loss"),
        (1.5, 1.5, 1.5, "What was found is no better than the plain run"),
        (1.5, float("nan"), 1.5, "The plain run diverged"),
    ],
)
def test_it_is_said_plainly_which_is_better(found: float | None, plain: float, test: float | None, told: str) -> None:
    run = TrainedRun("wsd", SCHEDULE, "k", plain, plain, plain, 1.0)
    table = reference_table(RunResult(**FACTS, validation_loss=found, test_loss=test), run)
    assert table.notes[0].startswith(told)
    assert [row[0] for row in table.rows] == ["local", "wsd, LR 0.01"]


def test_compare_and_report_name_it(tmp_path: Path) -> None:
    document = search(tmp_path, small(**WITH))
    found = compare(tmp_path, [document["run"]])
    loss = document["reference"]["test_loss"]
    (note,) = (note for note in found.notes if note.startswith("Plain runs beside semilocal"))
    assert f"test loss {loss:.4f}" in note
    assert [table.caption for table in result_tables(found.result)][-1] == "Beside a plain run"
    assert json.loads(json.dumps(found.to_json()))["notes"] == list(found.notes)
