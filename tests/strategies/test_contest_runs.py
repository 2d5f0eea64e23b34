"""Contests that train: their document, their cost, how they go on, what an export makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts.optimizers import SGD
from lrctl.contracts.strategy import Batch, advance
from lrctl.engine.budget import Budget
from lrctl.errors import UsageError
from lrctl.export.found_with import found_with
from lrctl.recipe.schema import Recipe
from lrctl.storage.runs import finished
from lrctl_strategies.contest.search import contest
from searches import search, session_of, smoke

MOMENTUM = "sgd momentum=0.5"
BUDGET = 6.5


def recipe(**overrides: Any) -> Recipe:
    given = {"strategy__contest__contender": [MOMENTUM], "strategy__contest__budget": BUDGET}
    return smoke(optimizer__name="sgd", **given | overrides)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store with a finished contest, and its document."""
    store = tmp_path_factory.mktemp("contest") / "store"
    return store, search(store, recipe(), "contest")


def test_it_tells_its_cost_as_the_session_counts_it(done: tuple[Path, dict[str, Any]]) -> None:
    document = done[1]
    assert document["full_runs"] == pytest.approx(document["cost"]["full_runs"])
    assert document["cost"]["full_runs"] <= BUDGET
    assert sorted(each["name"] for each in document["contenders"]) == [MOMENTUM, "yours"]
    assert all(each["step_time"] > 0 for each in document["contenders"])


def test_validation_losses_that_decide_are_part_of_the_cost_and_of_the_budget(tmp_path: Path) -> None:
    """Those of the model before any training too, by which the contest knows what a run will cost."""
    over = {"workload__batch_size": 64, "strategy__contest__score_on": "validation", "strategy__contest__budget": 8.0}
    document = search(tmp_path, recipe(**over), "contest")
    assert document["cost"]["scored_batches"] > 0
    assert document["full_runs"] == pytest.approx(document["cost"]["full_runs"])
    assert document["cost"]["full_runs"] <= 8.0
    assert sum(each["full_runs"] for each in document["contenders"]) == pytest.approx(document["full_runs"], rel=0.05)


def test_one_that_is_stopped_goes_on_where_it_was(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    with session_of(tmp_path, recipe(), run=done[1]["run"]) as session:
        stopped = contest(recipe().params("contest"), recipe().run_spec)
        moved = advance(stopped)
        for _ in range(4):
            assert isinstance(moved, Batch)
            moved = advance(stopped, session.run_batch(moved))
    document = search(tmp_path, recipe(), "contest")
    for name in ("run", "schedule", "checkpoint", "test_loss", "winner", "optimizer", "full_runs"):
        assert document[name] == done[1][name]
    assert document["cost"]["steps_trained"] == done[1]["cost"]["steps_trained"]


def test_an_export_makes_the_optimizer_of_the_winner(done: tuple[Path, dict[str, Any]]) -> None:
    store, document = done
    assert document["winner"] == MOMENTUM
    found = found_with(finished(store, document["run"]))
    assert found is not None
    assert found.optimizer == SGD(momentum=0.5)


def test_of_one_that_a_budget_ends_the_optimizer_of_the_best_run_yet_is_told(
    done: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    steps = done[1]["cost"]["steps_trained"] - recipe().training.steps - 1  # the last two runs go side by side
    stopped = search(tmp_path, recipe(), "contest", budget=Budget(steps=steps))
    assert (stopped["status"], stopped["winner"]) == ("partial", MOMENTUM)
    assert stopped["optimizer"] == done[1]["optimizer"] == {"name": "sgd", "momentum": 0.5}


def test_schedule_free_takes_part_where_the_others_are_averaged(tmp_path: Path) -> None:
    over = {"strategy__contest__contender": ["schedule-free"], "strategy__contest__margin": 100.0}
    over |= {"training__averaging": [4], "strategy__contest__budget": 9.0}
    document = search(tmp_path, recipe(**over), "contest")
    weights = {each.get("optimizer"): each.get("weights") for each in document["results"]}
    assert weights["schedule-free"] is None
    assert weights[None] in ("last", "average 4")
    assert "left out" not in " ".join(document["notes"])


def test_without_embeddings_the_contest_by_role_is_left_out(tmp_path: Path) -> None:
    document = search(tmp_path, recipe(strategy__contest__contender=[], strategy__contest__budget=8), "contest")
    assert "adamw-by-role" not in [each["name"] for each in document["contenders"]]
    assert any("adamw-by-role is left out: optimizer.lr_scale.embedding" in note for note in document["notes"])


@pytest.mark.parametrize(
    ("contender", "told"),
    [
        ("adamw embedding=8", "embedding"),
        ("torch.optim.Adamm", "has no class|Adamm"),
        ("muon rest.decay=1", "--contender .muon rest.decay=1.: optimizer.decay_scale.rest: unknown role"),
    ],
)
def test_an_optimizer_that_cannot_be_made_is_refused_before_anything_is_trained(
    contender: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=told):
        search(tmp_path, recipe(strategy__contest__contender=[contender]), "contest")
    assert not any(record["steps"] for record in records(tmp_path))


def records(store: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in (store / "jobs").glob("*.json")]
