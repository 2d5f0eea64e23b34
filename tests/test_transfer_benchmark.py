"""What transfers are measured with: problems whose runs are computed, and a panel."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.lookahead import fresh
from benchmarks.lookahead.panels import Case
from benchmarks.transfer import shapes
from benchmarks.transfer.__main__ import main
from benchmarks.transfer.exact import outcome
from benchmarks.transfer.problems import BATCH, DIM, Problem, problems
from lrctl.contracts.horizon import EXPONENT
from lrctl_strategies.transfer import answer, search

STEPS = 800


def covered(budget: float) -> tuple[int, float]:
    """How many intervals hold the best LR of the 27 problems, and the error of the logarithm of the LR."""
    outcomes = [outcome(problem, STEPS, budget=budget) for problem in problems()]
    assert len(outcomes) == 27
    return sum(each.inside for each in outcomes), math.sqrt(fmean(each.error**2 for each in outcomes))


@pytest.mark.parametrize(("budget", "least", "error"), [(0.5, 22, 0.49), (0.9, 20, 0.46)])
def test_most_intervals_hold_the_best_lr(budget: float, least: int, error: float) -> None:
    inside, off = covered(budget)
    assert inside >= least
    assert off < error


def test_an_exponent_of_the_wrong_sign_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (answer, search):
        monkeypatch.setattr(module, "EXPONENT", -EXPONENT)
    inside, off = covered(0.5)
    assert inside < 20
    assert off > 0.6


def test_the_expected_loss_is_that_of_sgd_on_samples() -> None:
    problem, random, lrs = Problem(1.5, 0.5, 1.0), np.random.default_rng(0), np.full(40, 0.2)
    k = np.arange(1.0, DIM + 1)
    scale = k**-0.75
    start = np.sqrt(k ** -(1 + 0.5 * 1.5)) / scale
    losses = []
    for _ in range(300):
        error = start * random.choice([-1.0, 1.0], DIM)
        for lr in lrs:
            x = random.standard_normal((BATCH, DIM)) * scale
            error = error - lr * x.T @ (x @ error - random.standard_normal(BATCH)) / BATCH
        losses.append(((scale * error) ** 2).sum() / 2)
    spread = np.std(losses) / math.sqrt(len(losses))
    assert problem.losses(lrs[None])[0] == pytest.approx(np.mean(losses), abs=4 * spread)


def test_the_problems_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    main(["exact", "--steps", "800", "--budget", "0.5"])
    assert "of 27 intervals hold the best LR" in capsys.readouterr().out.splitlines()[-1]


TOLD = {"interval": [1e-3, 4e-3], "off_costs": 0.1, "rungs": [], "full_runs": 0.4, "notes": []}
WSD: dict[str, Any] = {"family": "wsd", "params": {"peak_lr": 2e-3, "warmup": 0.02, "decay": 0.5}}
GRIDS = {
    "wsd": ([0.00133, 0.002, 0.003], 0.003, 0.49),
    "wsd:decay=0.2": ([0.00156, 0.00233, 0.0035], 0.00156, 0.48),
    "linear": ([0.003, 0.0045, 0.00675], 0.003, 0.47),
    "cosine": ([0.00291, 0.00436, 0.00654], 0.003, 0.50),
}
"""The grid of each shape, begun around its peak by the convex bound, the best of it, and the loss of that."""


def searched(_case: Case, command: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The results of a transfer and of grids over whole runs, made up."""
    if command == "transfer":
        assert settings == {"strategy.transfer.budget": 0.5, "strategy.transfer.train": True}
        found = {"run": "transfer-1", "schedule": WSD, "peak_lr": 2e-3, "test_loss": 0.5, "validation_loss": 0.6}
        return found | TOLD
    source = settings["strategy.fit-closed-form.source"]
    assert settings["strategy.fit-closed-form.stretch"] == 2400
    schedule = WSD if source == "transfer-1" else json.loads(Path(source).read_text())["schedule"]
    name = f"wsd:decay={decay}" if (decay := schedule["params"].get("decay")) == 0.2 else schedule["family"]
    grid, best, loss = GRIDS[name]
    assert settings["strategy.fit-closed-form.grid"] == pytest.approx(grid, rel=0.02)
    params = schedule["params"] | {"peak_lr": best}
    tried = [{"value": lr, "test_loss": loss} for lr in grid]
    told = {"validation_loss": loss + 0.1, "test_loss": loss, "full_runs": 3.0}
    return {"run": name, "schedule": schedule | {"params": params}, "results": [{"tried": tried}]} | told


def test_a_case_is_measured_and_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Case, "search", searched)
    main(["real", "--panel", "A", "--workloads", "mlp", "--budget", "0.5", "--json", f"{tmp_path / 'runs.json'}"])
    table = capsys.readouterr().out.splitlines()
    assert table[2] == "| mlp, 2400, 0 | 0.002 | 0.001 to 0.004 | 0.40 | 0.5000 | 0.003 | 3 | 0.4900 | +0.0100 |"
    assert table[-2].startswith("1 of 1 intervals hold the best of the grid; excess +0.0100 in the mean")
    (case,) = json.loads((tmp_path / "runs.json").read_text())
    assert [each["value"] for each in case["grid"]] == GRIDS["wsd"][0]


def test_an_answer_stands_beside_the_best_of_four_tuned_shapes_on_fresh_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(_case: Case, schedules: Mapping[str, str], seeds: range) -> dict[str, list[float]]:
        assert schedules == {"transfer": "transfer-1", "tuned": "linear"}
        return {"transfer": [0.51, 0.52], "tuned": [0.5 for _ in seeds]}

    monkeypatch.setattr(Case, "search", searched)
    monkeypatch.setattr(shapes, "finished", lambda _store, run: SimpleNamespace(rebuilt=run))
    monkeypatch.setattr(fresh, "test_losses", trained)
    options = ["--workloads", "bytes", "--budget", "0.5", "--fresh", "2", "--json", f"{tmp_path / 'runs.json'}"]
    main(["real", "--panel", "B", *options])
    table = capsys.readouterr().out.splitlines()
    row = "| bytes, 2400, 0 | linear 0.003, 0.02 | 12.0 | 0.5000 | 0.5150 | +0.015 (-0.0485 to +0.0785) |"
    assert table[-3:] == [row, "", "difference over 1 cases: +0.015"]
    (case,) = json.loads((tmp_path / "runs.json").read_text())
    assert case["fresh"]["transfer"] == [0.51, 0.52]
    assert set(case["tuned"]) == {"wsd:decay=0.5", "wsd:decay=0.2", "linear", "cosine"}
