"""The document of a search."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from lrctl.contracts.chart import Chart, Series
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Candidate, Segment, TrainedRun
from lrctl.contracts.table import DataFile, Table
from lrctl.registry.hookspecs import Outcome
from lrctl.storage.run_result import Cost, RunResult

CANDIDATES = (Candidate(0.1, 2.0, "ok", "a"), Candidate(0.2, math.inf, "diverged", "b"))
SEGMENT = Segment(1, 0, 10, 0.25, 0.0, CANDIDATES, chosen=0.1, margin=math.inf, notes=("look [here]",))
SCHEDULE = ScheduleRecord("piecewise-linear", {"knots": [[0, 0.0], [10, 0.1]]})
ENTRY = TrainedRun("wsd", SCHEDULE, "a", 1.0, 2.0, 3.0, 4.5, seed=0, given=True, details={"fit_error": 0.5})
RESULT = RunResult(
    command="semilocal",
    run="mine",
    workload="linear-regression",
    seed=3,
    steps=10,
    schedule=SCHEDULE,
    train_loss=1.5,
    validation_loss=1.25,
    metrics={"validation": {"loss": 1.25}, "test": {"loss": None, "perplexity": 3.0}},
    segments=(SEGMENT,),
    checkpoint="a",
    cost=Cost(jobs=2, steps_trained=20, full_runs=2.0, seconds=0.5),
    notes=("first",),
    tables=(Table("caption", ("a", "b"), (("1", "2"),), ("note",)),),
    charts=(Chart("c", "title", "lines", "x", "y", series=(Series("s", (0.0, 1.0), (1.0, None)),)),),
    data=(DataFile("rows", ("a",), (("1",),)),),
    results=(ENTRY, replace(ENTRY, checkpoint=None, seed=None, given=False)),
    reference=replace(ENTRY, seed=None, given=False, details={}),
    chosen_by="training loss",
    next="lrctl local",
    summary={"eps_unit": "nats"},
)


def test_a_result_comes_back_from_strict_json() -> None:
    document = json.loads(json.dumps(RESULT.to_json(), allow_nan=False))
    assert document == RESULT.to_json()
    assert RunResult.from_json(document) == RESULT


def test_observers_are_shown_its_name_losses_and_notes() -> None:
    shown: Outcome = RESULT
    assert (shown.run, shown.validation_loss, shown.test_loss, shown.notes) == ("mine", 1.25, None, ("first",))


def test_what_is_not_finite_is_null_and_what_is_empty_is_left_out() -> None:
    document = RESULT.to_json()
    assert document["format"] == "lrctl-result/1"
    assert (document["validation_loss"], document["test_loss"]) == (1.25, None)
    assert document["segments"][0]["candidates"][1] == {"lr": 0.2, "mean_loss": None, "status": "diverged", "key": "b"}
    assert document["segments"][0]["margin"] is None
    assert document["eps_unit"] == "nats"
    empty = replace(RESULT, tables=(), charts=(), data=(), results=(), reference=None, chosen_by="", next="").to_json()
    assert not empty.keys() & {"tables", "charts", "data", "results", "reference", "chosen_by", "next"}


@pytest.mark.parametrize("name", ["run", "test_loss", "tables", "format", "digest", "files"])
def test_a_summary_takes_no_fields_place(name: str) -> None:
    with pytest.raises(ValueError, match=f"summary: '{name}' is a name of the result's own; choose another"):
        replace(RESULT, summary={name: "another"})


def test_an_entry_tells_its_own_seed_even_if_that_is_0() -> None:
    first, second = RESULT.to_json()["results"]
    assert (first["seed"], first["given"], first["fit_error"]) == (0, True, 0.5)
    assert not second.keys() & {"seed", "optimizer", "given"}


def test_a_loss_of_an_entry_that_was_not_finite_is_nan_once_read_back() -> None:
    document = replace(RESULT, results=(replace(ENTRY, test_loss=math.inf),)).to_json()
    assert document["results"][0]["test_loss"] is None
    assert math.isnan(RunResult.from_json(document).results[0].test_loss)


def test_what_was_trained_are_the_results_else_the_run_handed_over_else_nothing() -> None:
    assert RESULT.trained == (ENTRY,)
    (alone,) = replace(RESULT, results=()).trained
    assert (alone.checkpoint, alone.train_loss, alone.full_runs) == ("a", 1.5, 2.0)
    assert math.isnan(alone.test_loss)
    assert replace(RESULT, results=(), checkpoint=None).trained == ()


def test_the_seeds_are_those_of_the_entries_where_they_have_their_own() -> None:
    assert RESULT.seeds == (0, 3)
    assert replace(RESULT, results=()).seeds == (3,)


def test_a_document_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format: must be 'lrctl-result/1', got 'lrctl-result/9'"):
        RunResult.from_json({**RESULT.to_json(), "format": "lrctl-result/9"})
