"""The records of jobs as JSON."""

from __future__ import annotations

import json
import math

import pytest

from lrctl.contracts.result import Failure, JobRecord
from lrctl.storage.records import job_record, record_document


def test_a_result_survives_json_with_infinities_as_null() -> None:
    result = JobRecord(
        "k", "ok", math.inf, 4, math.inf, 10, 0.5, 2, "p", (0.25, math.inf), {"test": {"loss": 1.0}}, 3, {"a": "b"}
    )
    text = json.dumps(record_document(result), allow_nan=False)
    assert json.loads(text)["mean_loss"] is None
    assert json.loads(text)["tail_loss"] is None
    assert job_record(json.loads(text)) == result


def test_infinities_that_were_asked_for_come_back_and_what_was_not_asked_for_is_none() -> None:
    asked = JobRecord(
        "k", "ok", 1.0, scores=(math.inf,), metrics={"test": {"loss": math.inf}}, gradient_norms=(math.inf, 1.0)
    )
    for record in (asked, JobRecord("k", "ok", 1.0)):
        assert job_record(json.loads(json.dumps(record_document(record), allow_nan=False))) == record


def test_why_a_job_failed_is_not_stored() -> None:
    assert "failure" not in record_document(JobRecord("k", "failed", failure=Failure("ValueError", "no")))


def test_a_record_with_a_field_that_there_is_not_is_none() -> None:
    with pytest.raises(KeyError):
        job_record({**record_document(JobRecord("k", "ok", 1.0)), "score": 0.5})
