from __future__ import annotations

import copy
import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.workload import Scored, Workload
from lrctl.errors import UsageError
from lrctl.recipe import parse as recipes
from lrctl.recipe.workloads import load_workload
from lrctl.storage.identity import RunIdentity
from lrctl.training import batches
from lrctl.training.compiling import Compiled
from lrctl.training.passes import Passes
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import train
from training.small_gpt import small_gpt

ADAMW = optimizers.AdamW(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
SPEC = TrainSpec("gpt", {}, "", 0, ADAMW)
RAMP = PiecewiseLinear(((0, 0.0), (3, 0.01), (8, 0.0)))
Pair = namedtuple("Pair", "x y")


pytestmark = pytest.mark.usefixtures("as_in_a_job")


@pytest.fixture
def gpt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workload:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    return load_workload("gpt", small_gpt(tmp_path, batch_size=8, dropout=0.0), 0)


@dataclass
class Pictures:
    """A small convolutional network on made-up pictures; 7 of them in a batch, as a dict."""

    def model(self) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 3)
        )

    def batch(self, step: int) -> Any:
        draws = torch.Generator().manual_seed(step)
        pictures = torch.randn(7, 1, 8, 8, generator=draws)
        return {"pictures": pictures, "kinds": (pictures.mean((1, 2, 3)) > 0).long(), "step": step}

    def score_batch(self, i: int) -> Any:
        return self.batch(-2 - i)

    def loss(self, model: Any, batch: Any) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(batch["pictures"]), batch["kinds"])

    def evaluate(self, model: Any, _split: str) -> dict[str, float]:
        return {"loss": float(self.loss(model, self.batch(-1)))}


def both(gpt: Workload) -> dict[str, Workload]:
    return {"gpt": gpt, "pictures": Pictures()}


# Micro-batches


@pytest.mark.parametrize("pieces", [2, 3, 7])
@pytest.mark.parametrize("name", ["gpt", "pictures"])
def test_a_batch_in_pieces_trains_as_the_whole_batch_does(name: str, pieces: int, gpt: Workload) -> None:
    job = SegmentJob(0, 8, RAMP, gradient_norms=True, evaluate=("test",))
    whole = train(both(gpt)[name], SPEC, job)
    cut = train(both(gpt)[name], replace(SPEC, micro_batches=pieces), job)
    assert whole.gradient_norms is not None
    np.testing.assert_allclose(cut.losses, whole.losses, rtol=2e-5)
    assert cut.gradient_norms == pytest.approx(whole.gradient_norms, rel=1e-3)
    assert cut.metrics["test"]["loss"] == pytest.approx(whole.metrics["test"]["loss"], rel=1e-3)
    assert len(cut.lrs) == 8


def test_eight_pieces_of_one_row_are_one_piece_of_eight(gpt: Workload) -> None:
    job = SegmentJob(0, 8, RAMP)
    whole = train(gpt, SPEC, job).losses
    np.testing.assert_allclose(train(gpt, replace(SPEC, micro_batches=8), job).losses, whole, rtol=2e-5)


def test_pieces_of_uneven_length_count_by_their_rows() -> None:
    passes = Passes(Pictures(), replace(SPEC, micro_batches=2))
    batch = Pictures().batch(0)
    (first, share), (second, rest) = batches.pieces(batch, 2, "here")
    assert (len(first["pictures"]), len(second["pictures"]), share, rest) == (4, 3, 4 / 7, 3 / 7)
    loss = passes.backward(batch)
    assert float(loss) == pytest.approx(float(Pictures().loss(passes.model, batch).detach()), rel=1e-6)
    assert not loss.requires_grad


@pytest.mark.parametrize("pieces", [2, 3, 7])
@pytest.mark.parametrize("name", ["gpt", "pictures"])
def test_a_score_in_pieces_is_that_of_whole_batches(name: str, pieces: int, gpt: Workload) -> None:
    workload = both(gpt)[name]
    whole = Passes(workload, SPEC).score(3)
    passes = Passes(workload, replace(SPEC, micro_batches=pieces))
    rows: list[int | None] = []
    passes.model.register_forward_pre_hook(lambda _, inputs: rows.append(batches.rows(inputs)))
    cut = passes.score(3)
    assert cut == pytest.approx(whole, rel=1e-6)
    assert len(rows) == 3 * pieces
    assert sum(filter(None, rows)) == 3 * (batches.rows(workload.batch(0)) or 7)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_score_is_read_from_the_device_once(dtype: str, gpt: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(gpt, replace(SPEC, dtype=dtype))
    with torch.no_grad(), passes.precision():
        assert isinstance(gpt, Scored)
        losses = [float(gpt.loss(passes.model.eval(), gpt.score_batch(i))) for i in range(5)]
    reads: list[torch.Size] = []
    tolist = torch.Tensor.tolist

    def read(losses: torch.Tensor) -> Any:
        reads.append(losses.shape)
        return tolist(losses)

    monkeypatch.setattr(torch.Tensor, "__float__", lambda _: pytest.fail("a loss was read alone"))
    monkeypatch.setattr(torch.Tensor, "item", lambda _: pytest.fail("a loss was read alone"))
    monkeypatch.setattr(torch.Tensor, "tolist", read)
    assert passes.score(5) == tuple(losses)
    assert reads == [(5,)]


def test_a_score_batch_that_cannot_be_cut_is_named(gpt: Workload) -> None:
    passes = Passes(gpt, replace(SPEC, micro_batches=9))
    with pytest.raises(UsageError, match=r"workload gpt: score batch 0: it has 8 rows, fewer than training"):
        passes.score(1)


def test_a_loss_that_is_looked_at_again_is_that_of_all_pieces(gpt: Workload) -> None:
    one = Passes(gpt, SPEC).loss_again(3)
    passes = Passes(gpt, replace(SPEC, micro_batches=4))
    assert float(passes.loss_again(3)) == pytest.approx(float(one), rel=1e-6)
    assert all(p.grad is None for p in passes.model.parameters())


BATCHES = {
    "a tensor": torch.arange(6.0),
    "a tuple": (torch.arange(6.0), torch.ones(6, 2)),
    "a list": [torch.arange(6.0), 3],
    "a named tuple": Pair(torch.arange(6.0), torch.ones(6)),
    "nested": {"x": torch.ones(6), "more": (torch.arange(6), [torch.ones(6, 1)]), "text": "as it is"},
}


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_pieces_put_together_are_the_batch(batch: Any) -> None:
    cut = batches.pieces(batch, 4, "here")
    assert [share for _, share in cut] == [2 / 6, 1 / 6, 2 / 6, 1 / 6]
    assert {type(piece) for piece, _ in cut} == {type(batch)}
    together = zip(*(list(batches.tensors_in(piece)) for piece, _ in cut), strict=True)
    for whole, parts in zip(batches.tensors_in(batch), together, strict=True):
        assert torch.equal(torch.cat(list(parts)), whole)


CANNOT = {
    "too few rows": (torch.ones(3), "here: it has 3 rows, fewer than training.micro_batches = 4; set it to 3"),
    "different lengths": (
        (torch.ones(4), torch.ones(5)),
        r"share none: their shapes are \[\(4,\), \(5,\)\]; set it to 1",
    ),
    "no dimension": ((torch.ones(4), torch.tensor(1.0)), r"share none: their shapes are \[\(4,\), \(\)\]"),
    "no tensor": ("text", "share none"),
}


@pytest.mark.parametrize(("batch", "message"), CANNOT.values(), ids=CANNOT)
def test_a_batch_that_cannot_be_cut_is_refused(batch: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        batches.pieces(batch, 4, "here")


def test_a_batch_may_be_nested() -> None:
    meta = torch.device("meta")
    batch = {"x": torch.ones(2), "pair": Pair(torch.ones(1), [torch.ones(3)]), "n": 3}
    moved = batches.to(batch, meta)
    assert moved["x"].device == moved["pair"].x.device == moved["pair"].y[0].device == meta
    assert moved["n"] == 3
    assert batches.to(batch, torch.device("cpu")) is batch


# The other options


def test_bfloat16_gives_other_losses_that_are_near(gpt: Workload) -> None:
    job = SegmentJob(0, 4, RAMP, evaluate=("test",))
    full, half = train(gpt, SPEC, job), train(gpt, replace(SPEC, dtype="bfloat16"), job)
    assert not np.array_equal(full.losses, half.losses)
    np.testing.assert_allclose(half.losses, full.losses, rtol=0.02)
    assert half.metrics["test"]["loss"] == pytest.approx(full.metrics["test"]["loss"], rel=0.02)


def test_evaluation_is_under_autocast_too() -> None:
    seen: list[bool] = []

    class Watched(Pictures):
        def evaluate(self, model: Any, split: str) -> dict[str, float]:
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().evaluate(model, split)

    for dtype in ("float32", "bfloat16"):
        train(Watched(), replace(SPEC, dtype=dtype), SegmentJob(0, 0, RAMP, evaluate=("test",)))
    assert seen == [False, True]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own, by its compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_compiled_model_trains_alike_and_keeps_its_names(gpt: Workload) -> None:
    job = SegmentJob(0, 4, RAMP, evaluate=("test",))
    plain, compiled = train(gpt, SPEC, job), train(gpt, replace(SPEC, compile=True), job)
    np.testing.assert_allclose(compiled.losses, plain.losses, rtol=1e-4)
    assert compiled.metrics["test"]["loss"] == pytest.approx(plain.metrics["test"]["loss"], rel=1e-4)
    assert compiled.state["model"].keys() == plain.state["model"].keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch's own, by its compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_model_of_torchs_own_classes_is_compiled() -> None:
    from torch._dynamo.utils import counters

    torch.compiler.reset()
    job, graphs = SegmentJob(0, 4, RAMP, evaluate=("test",)), counters["stats"]["unique_graphs"]
    plain, compiled = train(Pictures(), SPEC, job), train(Pictures(), replace(SPEC, compile=True), job)
    assert counters["stats"]["unique_graphs"] - graphs >= 1
    np.testing.assert_allclose(compiled.losses, plain.losses, rtol=1e-4)
    assert compiled.state["model"].keys() == plain.state["model"].keys()
    graphs = counters["stats"]["unique_graphs"]
    again = train(Pictures(), replace(SPEC, compile=True), job)
    assert counters["stats"]["unique_graphs"] == graphs, "the next model is compiled anew"
    assert again.losses.tobytes() == compiled.losses.tobytes()


def test_a_copy_of_a_compiled_model_is_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda _: pytest.fail)
    model = Pictures().model()
    Compiled(model, "here")
    copied = copy.deepcopy(model)
    torch.nn.utils.vector_to_parameters(torch.zeros(4 * 10 + 3 * 145), copied.parameters())
    assert not copied(torch.ones(1, 1, 8, 8)).any()


def test_the_model_that_is_trained_and_evaluated_is_the_compiled_one(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []

    def pretended(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*inputs: Any) -> Any:
            calls.append(torch.is_grad_enabled())
            return call(*inputs)

        return counted

    monkeypatch.setattr(torch, "compile", pretended)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    job = SegmentJob(0, 2, RAMP, evaluate=("test",))
    plain = train(Pictures(), SPEC, job)
    assert calls == []
    compiled = train(Pictures(), replace(SPEC, compile=True), job)
    assert calls == [True, True, False]
    assert compiled.losses.tobytes() == plain.losses.tobytes()
    assert compiled.state["model"].keys() == plain.state["model"].keys()


def test_a_model_of_which_nothing_is_compiled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda call: call)  # as with TORCH_COMPILE_DISABLE=1
    with pytest.raises(
        UsageError, match=r"^Pictures: torch compiled nothing of the model.*leave out training\.compile"
    ):
        train(Pictures(), replace(SPEC, compile=True), SegmentJob(0, 1, RAMP))


def test_a_model_that_is_trained_by_its_parts_is_not_taken_for_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda call: call)

    class ByParts(Pictures):
        def loss(self, model: Any, batch: Any) -> Any:
            return super().loss(model.forward, batch)

    assert train(ByParts(), SPEC, SegmentJob(0, 1, RAMP)).losses.shape == (1,)
    with pytest.raises(UsageError, match=r"^ByParts\.loss: with training\.compile the model must be called as a whole"):
        train(ByParts(), replace(SPEC, compile=True), SegmentJob(0, 1, RAMP))


def test_tf32_changes_nothing_on_a_cpu() -> None:
    before = torch.get_float32_matmul_precision()
    with quiet_torch(1, "cpu", tf32=True):
        assert torch.get_float32_matmul_precision() == before


def test_options_decide_a_run_only_where_they_are_used() -> None:
    def of(**training: Any) -> RunIdentity:
        return RunIdentity.of(
            "semilocal", recipes.read("smoke", {f"training.{k}": v for k, v in training.items()}), None
        )

    assert of(micro_batches=1, tf32=False) == of()
    assert of(micro_batches=2, compile=True).training == {**of().training, "micro_batches": 2, "compile": True}


def test_a_batch_has_one_piece_at_least() -> None:
    with pytest.raises(UsageError, match=r"training\.micro_batches: must be at least 1, got 0"):
        recipes.read("smoke", {"training.micro_batches": 0})
