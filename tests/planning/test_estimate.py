from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from lrctl.contracts import optimizers
from lrctl.contracts.job import TrainSpec
from lrctl.errors import MissingError, UsageError
from lrctl.planning import estimate as estimates
from lrctl.planning import profile
from lrctl.planning.estimate import MEASURED, estimate
from lrctl.planning.profile import Measured
from lrctl.planning.profiler import StepCost
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe
from lrctl.report.terminal import print_estimate

SGD = optimizers.SGD(momentum=0.9)
SPEC = TrainSpec("mine", {}, "", 0, SGD)


@dataclass
class Wide:
    """One layer of 64 x 64 weights on 16 rows; each row takes so many seconds of a made-up clock."""

    row_seconds: float = 1e-3
    fixed_seconds: float = 0.0
    least: int = 1
    clock: float = 0.0
    seen: list[int] = field(default_factory=list)
    evaluated: list[str] = field(default_factory=list)
    evaluated_rows: tuple[int, ...] = ()

    def model(self) -> torch.nn.Module:
        return torch.nn.Linear(64, 64, bias=False)

    def batch(self, _step: int) -> Any:
        return torch.ones(16, 64)

    def loss(self, model: Any, batch: Any) -> torch.Tensor:
        if len(batch) < self.least:
            raise ValueError("too few rows")
        if torch.is_grad_enabled():
            self.seen.append(len(batch))
        self.clock += self.fixed_seconds + self.row_seconds * len(batch)
        return model(batch).square().mean()  # type: ignore[no-any-return]

    def evaluate(self, model: Any, split: str) -> dict[str, float]:
        for rows in self.evaluated_rows:
            model(torch.ones(rows, 64))
        self.evaluated.append(split)
        self.clock += 2.0
        return {"loss": 1.0}


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measures a workload by its own clock."""

    def measure(workload: Any, spec: TrainSpec = SPEC, **more: Any) -> Measured:
        monkeypatch.setattr("lrctl.planning.profiler.time.perf_counter", lambda: workload.clock)
        workload.clock = 1.0
        return profile.measure(workload, spec, splits=("validation", "test"), **more)

    return measure


def test_small_models_are_measured_on_whole_batches(timed: Any) -> None:
    wide = Wide(row_seconds=1e-3)
    found = timed(wide)
    assert found.seconds_per_step == pytest.approx(0.016)
    assert wide.seen.count(16) >= profile.TIMED_STEPS
    assert found.seconds_per_evaluation == pytest.approx(4.0)
    assert wide.evaluated[:2] == ["validation", "test"]
    assert found.notes == ()


def test_large_models_are_never_trained_on_a_whole_batch(timed: Any) -> None:
    wide = Wide(row_seconds=10.0, fixed_seconds=3.0)
    found = timed(wide)
    assert wide.seen == [1, 2]
    assert found.seconds_per_step == pytest.approx(163.0)
    assert found.seconds_per_evaluation is None
    assert found.notes == ("time and memory are extrapolated from 2 of the 16 rows of a batch",)


def test_what_is_larger_still_is_trained_on_one_row(timed: Any) -> None:
    wide = Wide(row_seconds=100.0)
    assert timed(wide).seconds_per_step == pytest.approx(1600.0)
    assert wide.seen == [1]


def test_memory_is_weights_gradients_optimizer_state_and_activations(timed: Any) -> None:
    matrix, rows = 64 * 64 * 4, 16 * 64 * 4
    found = timed(Wide())
    assert found.checkpoint_bytes == 2 * matrix  # weights and momentum
    assert found.memory_bytes == 3 * matrix + 2 * rows  # the layer keeps its input, the square its own
    assert timed(Wide(row_seconds=10.0)).memory_bytes == found.memory_bytes


def test_an_evaluation_that_takes_more_than_training_is_counted(timed: Any) -> None:
    matrix, row = 64 * 64 * 4, 64 * 4
    found = timed(Wide(evaluated_rows=(1000, 10, 10)))
    assert found.memory_bytes == 2 * matrix + 2 * 1000 * row  # weights and momentum; the rows and their outputs
    assert timed(Wide(evaluated_rows=(10,))).memory_bytes == timed(Wide()).memory_bytes


class Recomputed(Wide):
    """Keeps nothing for the gradient but its input: all else is computed again."""

    def loss(self, model: Any, batch: Any) -> torch.Tensor:
        def wide(rows: torch.Tensor) -> torch.Tensor:
            return model(rows.repeat(1, 30).view(-1, 64)).square().mean()  # type: ignore[no-any-return]

        super().loss(model, batch)
        loss: torch.Tensor = torch.utils.checkpoint.checkpoint(wide, batch, use_reentrant=False)
        return loss


@pytest.mark.parametrize("row_seconds", [1e-3, 10.0], ids=["measured", "extrapolated"])
def test_a_score_that_holds_more_than_training_keeps_is_counted(row_seconds: float, timed: Any) -> None:
    matrix, rows = 64 * 64 * 4, 16 * 30 * 64 * 4
    found = timed(Recomputed(row_seconds=row_seconds), scored=True)
    assert found.memory_bytes == 2 * matrix + 2 * rows  # of the rows, their outputs and the squares two at a time
    assert timed(Recomputed(row_seconds=row_seconds)).memory_bytes < found.memory_bytes


def test_micro_batches_need_the_memory_of_one_piece(timed: Any) -> None:
    whole, cut = (
        timed(Wide(row_seconds=1e-3)),
        timed(wide := Wide(row_seconds=1e-3), TrainSpec(**vars_of(micro_batches=4))),
    )
    assert whole.memory_bytes - cut.memory_bytes == 12 * 64 * 4  # of the output; the batch itself is there anyway
    assert cut.seconds_per_step == pytest.approx(whole.seconds_per_step)
    assert max(wide.seen) == 4


def vars_of(**more: Any) -> dict[str, Any]:
    return {"workload": "mine", "workload_params": {}, "content": "", "seed": 0, "optimizer": SGD, **more}


def test_models_that_need_several_rows_get_them(timed: Any) -> None:
    assert timed(wide := Wide(row_seconds=1e-3, least=2)).seconds_per_step == pytest.approx(0.016)
    assert min(wide.seen) == 2


def test_slow_bfloat16_is_measured_in_float32(timed: Any) -> None:
    bf16 = TrainSpec(**vars_of(dtype="bfloat16"))
    assert any("in float32" in note for note in timed(Wide(row_seconds=10.0), bf16).notes)
    assert timed(Wide(row_seconds=1e-3), bf16).notes == ()


def test_a_dry_run_compiles_nothing(timed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda _: pytest.fail("compiled"))
    assert any("uncompiled" in note for note in timed(Wide(), TrainSpec(**vars_of(compile=True))).notes)


@pytest.mark.parametrize(
    ("costs", "at_10"),
    [
        ([(1, 3.0)], 30.0),
        ([(1, 3.0), (2, 5.0)], 21.0),
        ([(1, 9.0), (2, 5.0), (4, 6.0)], 9.0),
        ([(1, 3.0), (2, 2.0)], 2.0),
    ],
    ids=["in proportion", "a line", "the last two", "never less"],
)
def test_extrapolation_is_a_line_through_the_last_two_points(costs: list[tuple[int, float]], at_10: float) -> None:
    made = [StepCost(rows, seconds, 0.0, 0, 0) for rows, seconds in costs]
    assert profile.extrapolated(made, 10, lambda cost: cost.backward) == pytest.approx(at_10)


# What is not here


AWAY = """
from lrctl.errors import MissingError


class Away:
    def __init__(self, seed, missing=""):
        self.missing = missing
        if missing == "built":
            raise MissingError("the library is not here")

    def model(self):
        import torch

        if self.missing == "model":
            raise MissingError("the weights are not here")
        return torch.nn.Linear(4, 1)

    def batch(self, step):
        raise AssertionError("there are no data")

    def loss(self, model, batch):
        return model(batch).square().mean()

    def evaluate(self, model, split):
        raise AssertionError("there are no data")

    def prepare(self):
        raise AssertionError("the data are to be left alone")
"""
STAND_IN = """
    def ready(self):
        return False

    def stand_in(self, step):
        import torch

        return torch.ones(8, 4)

    def prepared_bytes(self):
        return 12_000_000
"""


def away(tmp_path: Path, text: str, missing: str = "") -> Recipe:
    (tmp_path / "away.py").write_text(text)
    smoke = {"workload.name": f"{tmp_path}/away.py:Away", "workload.missing": missing}
    return recipes.read("smoke", smoke)


def test_data_that_are_not_ready_are_left_alone_and_stood_in_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = estimate("semilocal", away(tmp_path, AWAY + STAND_IN), store=tmp_path / "store")
    assert told["jobs"] == 27
    assert told["data_bytes"] == 12_000_000
    assert told["seconds"] > 0
    assert told["seconds_per_evaluation"] is None
    print_estimate(told)
    shown = capsys.readouterr().out
    assert "data to make ready first: about 12.0 MB" in shown
    assert "note: the data are not made ready yet: steps were measured on made-up batches" in shown
    assert "note: the time and memory of evaluations are not counted" in shown


@pytest.mark.parametrize("missing", ["data", "model"])
def test_what_is_missing_leaves_times_unknown_and_says_why(
    missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = 'raise AssertionError("the data are to be left alone")'
    text = AWAY.replace(gone, 'raise MissingError("the data are not here")')
    told = estimate(
        "semilocal", away(tmp_path, text if missing == "data" else AWAY + STAND_IN, missing), store=tmp_path / "store"
    )
    assert (told["jobs"], told["steps"]) == (27, 270)
    assert {told[name] for name in set(MEASURED) - {"data_bytes"}} == {None}
    why = {"data": "the data are not here", "model": "the weights are not here"}[missing]
    assert told["notes"] == [f"time, memory and disk could not be measured: {why}"]
    print_estimate(told)
    assert f"note: time, memory and disk could not be measured: {why}" in capsys.readouterr().out


def test_an_estimate_that_measures_nothing_has_no_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "probe", lambda *_, **__: pytest.fail("measured"))
    told = estimate("semilocal", recipes.read("smoke"), store=tmp_path, measure=False)
    assert told["jobs"] == 27
    assert {told[name] for name in MEASURED} == {None}


def test_batches_that_cannot_be_cut_are_told_before_any_training(tmp_path: Path) -> None:
    recipe = recipes.read("smoke", {"training.micro_batches": 9})
    with pytest.raises(
        UsageError, match=r"batch 0: it has 8 rows, fewer than training\.micro_batches = 9; set it to 8"
    ):
        estimate("semilocal", recipe, store=tmp_path)


# What a strategy is told


@pytest.mark.parametrize(
    ("overrides", "optimizer"),
    [
        ({}, "adamw"),
        ({"optimizer.name": "sgd"}, "sgd"),
        ({"workload.name": "exact-linear-regression"}, None),
        ({"workload.name": "nowhere.py:Net"}, None),
        ({"workload.name": "nowhere.py:Net", "optimizer.name": "adam"}, "adam"),
    ],
    ids=["auto", "named", "its own", "code", "code with an optimizer named"],
)
def test_a_strategy_is_told_the_optimizer(overrides: dict[str, str], optimizer: str | None) -> None:
    assert recipes.read("smoke", overrides).run_spec.optimizer == optimizer


def test_a_strategy_is_given_a_workload_with_a_closed_form() -> None:
    assert recipes.read("smoke").run_spec.exact is None
    exact: Any = recipes.read("smoke", {"workload.name": "exact-linear-regression", "workload.dim": 32}).run_spec.exact
    assert exact.params.dim == 32


def test_a_library_that_is_missing_is_no_error_of_a_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Any:
        raise MissingError("the library is not here")

    monkeypatch.setattr("lrctl.engine.prepare.load_any", gone)
    told = estimate("semilocal", recipes.read("smoke"), store=tmp_path)
    assert told["jobs"] == 27
    assert told["notes"] == ["time, memory and disk could not be measured: the library is not here"]
