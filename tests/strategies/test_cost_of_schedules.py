"""What each schedule among the results of a search cost is what its jobs took, as the session counts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts.result import JobResult
from searches import search, smoke

SEARCHES: dict[str, dict[str, Any]] = {
    "baseline": {"family": ["wsd", "linear"], "grid": [0.03, 0.1]},
    "greedy": {"against": ["cosine", "hypergradient"], "initial_lr": ["0.05"]},
    "shape": {
        "family": ["constant"],
        "against": ["cosine"],
        "grid": [0.03, 0.1, 0.3],
        "shapes": 2,
        "top": 1,
        "score_seeds": 1,
        "fresh_seeds": 2,
    },
}


@pytest.mark.parametrize("command", SEARCHES)
def test_what_the_schedules_cost_adds_up_to_the_cost_of_the_search(tmp_path: Path, command: str) -> None:
    """But for the run that is handed over: it is trained once more, for its checkpoint."""
    settings = {f"strategy__{command}__{name}": value for name, value in SEARCHES[command].items()}
    document = search(tmp_path, smoke(workload__batch_size=64, **settings), command)
    # In a search for shapes a family has a result for each seed, with what all of them took.
    each = {(result["name"], result["full_runs"]) for result in document["results"]}
    assert document["cost"]["scored_batches"] > 0
    assert sum(runs for _, runs in each) == pytest.approx(document["cost"]["full_runs"] - 1)


@pytest.mark.parametrize(
    ("passes", "expected"),
    [({}, 12), ({"scores": (0.5, 0.25, 0.5)}, 13), ({"evaluated": 6}, 14), ({"extra_forwards": 1}, 12 + 1 / 3)],
    ids=["steps only", "scores", "validation", "forward passes of a schedule"],
)
def test_a_job_took_its_steps_and_a_third_of_one_for_each_forward_pass(passes: Any, expected: float) -> None:
    assert JobResult("key", "ok", steps=12, **passes).spent_steps == pytest.approx(expected)
