"""Lookahead searches that train: their document, their bits, what they reuse, how they go on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch
from lrctl.engine import session
from lrctl.storage.runs import finished
from searches import found, search, session_of, settled, smoke

RECIPE: dict[str, Any] = {"strategy__lookahead__score_batches": 4, "workload__noise": 0.5}


def lookahead(store: Path, **overrides: Any) -> dict[str, Any]:
    return search(store, smoke(**RECIPE | overrides), "lookahead")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store with a finished search, and its document."""
    store = tmp_path_factory.mktemp("lookahead") / "store"
    return store, lookahead(store)


def test_the_document_has_every_rollout_and_the_answer(done: tuple[Path, dict[str, Any]]) -> None:
    _, document = done
    best = min(document["rollouts"], key=lambda each: each["score"])
    assert document["status"] == "done"
    assert document["score"] == best["score"]
    assert document["checkpoint"] == best["key"]
    assert document["schedule"] == {"family": "piecewise-linear", "params": {"knots": best["knots"]}}
    assert document["chosen_by"] == "training batches kept aside"
    assert document["cost"]["full_runs"] == pytest.approx(document["full_runs"])
    assert document["full_runs"] <= 8
    assert document["test_loss"] > 0


def test_training_with_the_schedule_that_was_found_gives_the_same_bits(done: tuple[Path, dict[str, Any]]) -> None:
    store, document = done
    run = finished(store, document["run"])
    with session_of(store.parent / "again", smoke(**RECIPE)) as again:
        job = SegmentJob(0, document["steps"], run.rebuilt, evaluate=("test",))
        (result,) = again.run_batch(Batch("from scratch", [job]))
        losses = again.runner.store.history(result.key)["loss"]
    assert losses.tobytes() == run.history()["loss"].tobytes()
    assert result.metrics["test"]["loss"] == document["test_loss"]


def test_a_search_that_was_stopped_goes_on_to_the_same_result(
    done: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, document = done
    for stop_after in (1, 7, 20):
        store = tmp_path / str(stop_after)
        batches: list[str] = []

        def stop(hook: str, batches: list[str] = batches, limit: int = stop_after, **_: Any) -> None:
            batches += [hook] * (hook == "batch_started")
            if len(batches) > limit:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(session, "notify", stop)
            with pytest.raises(KeyboardInterrupt):
                lookahead(store)
        assert settled(lookahead(store)) == settled(document)


def test_checkpoints_that_are_gone_are_made_again(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    store, document = done
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    shutil.rmtree(copy / "runs")
    shutil.rmtree(copy / "checkpoints")
    again = lookahead(copy)
    assert found(again) == found(document)
    assert Path(again["files"]["checkpoint"]).exists()


def test_another_budget_reuses_what_was_trained(done: tuple[Path, dict[str, Any]]) -> None:
    store, document = done
    again = lookahead(store, strategy__lookahead__budget=5.0)
    assert again["cost"]["jobs_reused"] > again["cost"]["jobs"] / 2
    assert again["full_runs"] <= 5.0
    assert again["score"] >= document["score"]


def test_one_checkpoint_is_left(tmp_path: Path) -> None:
    document = lookahead(tmp_path, strategy__lookahead__budget=1.0)
    assert [path.stem for path in (tmp_path / "checkpoints").glob("*.safetensors")] == [document["checkpoint"]]


def test_the_command_line_shows_it_and_the_report_draws_it(lrctl: Lrctl, tmp_path: Path) -> None:
    words = ["lookahead", "--recipe", "smoke", "--executor", "serial", "--score-batches", "4", "--store", str(tmp_path)]
    planned = lrctl(*words, "--dry-run")
    assert planned.code == 0
    assert "full runs" in planned.out + planned.err
    shown = lrctl(*words)
    assert shown.code == 0
    assert "Every rollout" in shown.out
    assert "held until" in shown.out
    assert "short runs of" in shown.err
    document = lrctl(*words, "--json").document
    run = document["run"]
    assert lrctl("report", run, "--store", str(tmp_path), "--out", str(tmp_path / "report")).code == 0
    assert "Every rollout" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    compared = lrctl("compare", run, "--store", str(tmp_path), "--json").document
    assert compared["methods"][0]["mean"]["full_runs"] == document["cost"]["full_runs"]
    assert lrctl("export", run, "--store", str(tmp_path), "--to", "csv", "--out", str(tmp_path / "lr.csv")).code == 0


BARE = """
import torch

class Bare:
    def __init__(self, seed):
        pass
    def model(self):
        return torch.nn.Linear(2, 1)
    def batch(self, step):
        x = torch.randn(4, 2)
        return x, x.sum(1, keepdim=True)
    def loss(self, model, batch):
        return (model(batch[0]) - batch[1]).square().mean()
    def evaluate(self, model, split):
        return {"loss": float(self.loss(model, (torch.ones(4, 2), torch.full((4, 1), 2.0))))}
"""


def test_a_workload_that_keeps_no_data_aside_is_scored_by_validation_loss(lrctl: Lrctl, tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(BARE, encoding="utf-8")
    words = ["lookahead", "--workload", "bare.py:Bare", "--steps", "30", "--executor", "serial", "--json"]
    planned = lrctl(*words, "--dry-run").document
    assert any("scores are validation losses" in note for note in planned["notes"])
    done = lrctl(*words)
    assert done.code == 0
    assert done.document["chosen_by"] == "validation loss"
    assert "no training batches, or too few, are kept aside for scores" in done.err
    # Each evaluation is one pass over as many rows as a batch has.
    assert done.document["cost"]["scored_batches"] > len(done.document["rollouts"])
    assert done.document["cost"]["full_runs"] == pytest.approx(done.document["full_runs"])
    asked = lrctl(*words, "--score-on", "validation")
    assert asked.document["schedule"] == done.document["schedule"]
    assert "too few" not in asked.err


def test_short_runs_are_scored_on_fewer_batches(lrctl: Lrctl, tmp_path: Path) -> None:
    words = ["lookahead", "--steps", "20", "--score-batches", "64", "--store", str(tmp_path), "--executor", "serial"]
    done = lrctl(*words, "--recipe", "smoke")
    assert "scored on 8 batches instead of 64, since the run is short" in done.err
    assert "A score counts as 8 forward passes" in done.out


def test_too_few_batches_in_reserve_are_not_scored_on(lrctl: Lrctl, tmp_path: Path) -> None:
    words = ["lookahead", "--recipe", "images", "--steps", "20", "--score-batches", "8", "--store", str(tmp_path)]
    assert "no training batches, or too few, are kept aside" in lrctl(*words, "--executor", "serial").err
