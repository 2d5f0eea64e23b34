"""The documents of a search."""

from __future__ import annotations

import json
import math
from typing import Any

import lrctl as package
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Candidate, SearchResult, Segment
from lrctl.storage.run_result import Outcome, result_document, schedule_document
from searches import smoke

CANDIDATES = (Candidate(0.1, 2.0, "ok", "a"), Candidate(0.2, math.inf, "diverged", "b"))
SEGMENT = Segment(1, 0, 10, 0.25, 0.0, CANDIDATES, chosen=0.1, margin=math.inf, notes=("look [here]",))


def document(**summary: Any) -> dict[str, Any]:
    """The document of a search of one segment."""
    found = SearchResult(PiecewiseLinear(((0, 0.0), (10, 0.1))), "a", (SEGMENT,), tuple(summary.items()))
    metrics = {"validation": {"loss": 1.25}, "test": {"loss": math.nan, "perplexity": 3.0}}
    outcome = Outcome(found, 1.5, metrics, {"jobs": 2}, ["first"])
    return result_document("semilocal", "mine", smoke(training__steps=10, training__seed=3), outcome, 0.5)


def test_a_result_document_is_strict_json_and_tells_which_split_is_which() -> None:
    found = document(eps_unit="nats")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["validation_loss"], found["test_loss"]) == (1.25, None)
    assert (found["run"], found["seed"], found["workload"]) == ("mine", 3, "linear-regression")
    assert found["segments"][0]["candidates"][1] == {"lr": 0.2, "mean_loss": None, "status": "diverged", "key": "b"}
    assert found["segments"][0]["margin"] is None
    assert found["notes"] == ["first", "look [here]"]
    assert found["eps_unit"] == "nats"
    assert found["cost"] == {"jobs": 2, "seconds": 0.5}


def test_a_schedule_document_has_what_a_reader_needs() -> None:
    assert schedule_document(document()) == {
        "format": "lrctl-schedule/1",
        "steps": 10,
        "schedule": {"family": "piecewise-linear", "params": {"knots": [[0, 0.0], [10, 0.1]]}},
        "made_by": {"lrctl": package.__version__, "command": "semilocal", "run": "mine"},
    }
