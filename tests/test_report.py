from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

import lrctl as package
from lrctl import report
from lrctl.job import Task
from lrctl.schedule import PiecewiseLinear
from lrctl.strategy import Candidate, Found, Segment

TASK = Task("linear-regression", {}, "", seed=3, optimizer=None, run="mine")
CANDIDATES = (Candidate(0.1, 2.0, "ok", "a"), Candidate(0.2, float("inf"), "diverged", "b"))
SEGMENT = Segment(1, 0, 10, 0.25, 0.0, CANDIDATES, chosen=0.1, margin=float("inf"), notes=("look [here]",))


def document(**summary: Any) -> dict[str, Any]:
    return report.result_document(
        "semilocal",
        TASK,
        10,
        Found(PiecewiseLinear(((0, 0.0), (10, 0.1))), "a", (SEGMENT,), tuple(summary.items())),
        train_loss=1.5,
        metrics={"validation": {"loss": 1.25}, "test": {"loss": float("nan"), "perplexity": 3.0}},
        cost={"jobs": 2, "jobs_reused": 0, "steps_trained": 20, "baseline_runs": 2.0, "seconds": 0.5},
        notes=["first"],
        schedule={"family": "piecewise-linear", "params": {"knots": [[0, 0.0], [10, 0.1]]}},
    )


def test_a_result_document_is_strict_json_and_tells_which_split_is_which() -> None:
    found = document(eps_unit="nats")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["validation_loss"], found["eval_loss"]) == (1.25, None)
    assert (found["run"], found["seed"], found["workload"]) == ("mine", 3, "linear-regression")
    assert found["segments"][0]["candidates"][1] == {"lr": 0.2, "mean_loss": None, "status": "diverged", "key": "b"}
    assert found["segments"][0]["margin"] is None
    assert found["notes"] == ["first", "look [here]"]
    assert found["eps_unit"] == "nats"


def test_a_schedule_document_has_what_a_reader_needs() -> None:
    assert report.schedule_document(document()) == {
        "format": "lrctl-schedule/1",
        "steps": 10,
        "schedule": {"family": "piecewise-linear", "params": {"knots": [[0, 0.0], [10, 0.1]]}},
        "made_by": {"lrctl": package.__version__, "command": "semilocal", "run": "mine"},
    }


@pytest.mark.parametrize("n", [1, 5, 39, 40, 41, 200])
def test_the_final_train_loss_is_the_last_value_of_a_gaussian_filter(n: int) -> None:
    losses = np.random.RandomState(n).rand(n).astype(np.float32)
    # By the definition: each weight meets the loss that the endlessly reflected series has at its place.
    weighted = [(np.exp(-0.5 * (d / 10) ** 2), reflected(losses, n - 1 + d)) for d in range(-40, 41)]
    expected = sum(w * x for w, x in weighted) / sum(w for w, _ in weighted)
    assert report.final_train_loss(losses) == pytest.approx(expected, rel=1e-12)


def reflected(losses: Any, place: int) -> float:
    """d c b a | a b c d | d c b a"""
    n = len(losses)
    place %= 2 * n
    return float(losses[place if place < n else 2 * n - 1 - place])


def test_the_final_train_loss_of_a_constant_is_the_constant() -> None:
    assert report.final_train_loss(np.full(100, 0.75, np.float32)) == pytest.approx(0.75, rel=1e-12)


def test_the_plot_of_a_ramp_rises_to_its_top() -> None:
    lines = report.plot(PiecewiseLinear(((0, 0.0), (100, 1.0))), 100)
    assert lines[0].startswith("9.92e-01 |")
    assert lines[-2].startswith("0.00e+00 |")
    assert lines[-1].split() == ["0", "100", "steps"]
    filled = [sum(character != " " for character in line[10:]) for line in lines[:-1]]
    assert filled == sorted(filled)
    assert max(len(line) for line in lines) == 70


def test_the_plot_of_a_schedule_that_is_always_0_is_empty() -> None:
    assert {line[10:].strip() for line in report.plot(PiecewiseLinear(((0, 0.0),)), 5)[:-1]} == {""}


FILES = {"schedule": "a [b]/schedule.json", "checkpoint": "a [b]/a.safetensors", "result": "a [b]/result.json"}


def test_a_summary_of_a_tuned_search_tells_every_eps_and_the_one_found(capsys: pytest.CaptureFixture[str]) -> None:
    tried = [
        {"eps": 0.5, "decay": True, "validation_loss": 1.25},
        {"eps": 1.0, "decay": False, "validation_loss": None},
    ]
    more = {"eps": 0.5, "decay": True, "chosen_by": "validation loss", "tried": tried}
    report.print_summary(document() | {"eval_loss": 1.0, "files": FILES} | more)
    out = capsys.readouterr().out
    assert "tried eps 0.5 decaying: validation loss 1.2500" in out
    assert "tried eps 1 constant: validation loss not finite" in out
    assert "found eps 0.5 decaying, chosen by validation loss" in out


def test_a_summary_can_be_written_where_only_ascii_is(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    report.print_summary(document() | {"eval_loss": 1.0, "files": FILES})
    out.flush()


@pytest.mark.parametrize(("unit", "said"), [("nats", False), ("progress", True), (None, False)])
def test_a_summary_names_the_unit_of_eps(unit: str | None, said: bool, capsys: pytest.CaptureFixture[str]) -> None:
    report.print_summary(document(eps_unit=unit) | {"eval_loss": 1.0, "files": FILES})
    out = capsys.readouterr().out
    assert "eps (nats)" in out
    assert ("share of each segment's progress" in out) == said


def test_a_summary_tells_losses_cost_and_files_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_summary(document(eps_unit="nats") | {"eval_loss": 1.125, "files": FILES})
    out = capsys.readouterr().out
    assert "semilocal on linear-regression, seed 3, 10 steps" in out
    assert "train loss 1.5000 (smoothed), validation loss 1.2500, test loss 1.1250" in out
    assert "cost: 2 jobs (0 reused), 20 steps trained = 2.0 plain runs, 0 s" in out
    assert "schedule:   a [b]/schedule.json" in out
    assert "checkpoint: a [b]/a.safetensors" in out
    row = next(line.split() for line in out.splitlines() if "0-10" in line)
    assert row == ["1", "0-10", "0", "0.1", "2.0000", "2.0000", "0.25", "inf"]


def test_a_search_without_segments_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_summary(document() | {"eval_loss": 1.0, "segments": [], "files": FILES})
    assert "margin" not in capsys.readouterr().out
