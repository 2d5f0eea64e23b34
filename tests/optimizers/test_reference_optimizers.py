"""Optimizers of lrctl's own are their references, step by step; and each resumes anywhere."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrctl as package
import searches
from installed_optimizers import INSTALLED
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import ByName, Muon, OptimizerSettings, ScheduleFree
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.optimizers.building import build_optimizer
from lrctl.optimizers.by_role import told
from lrctl.optimizers.muon import Muon as MuonOptimizer
from lrctl.optimizers.muon import orthogonal
from lrctl.optimizers.param_groups import scales
from lrctl.optimizers.schedule_free import ScheduleFree as ScheduleFreeOptimizer
from lrctl.recipe.workloads import load_workload
from lrctl.storage import checkpoint
from lrctl.training.trainer import Trained, train

RAMP = PiecewiseLinear(((0, 0.0), (4, 0.02), (12, 0.0)))
SPEC = TrainSpec("mine.py:Words", {}, "", 0, None)

pytestmark = pytest.mark.usefixtures("as_in_a_job")


class Words:
    """Embeddings, a convolution, a hidden and an output matrix, biases; a group of its own for the convolution."""

    def __init__(self, dtype: torch.dtype = torch.float32, scale: float = 0.5) -> None:
        self.dtype, self.scale = dtype, scale

    def model(self) -> Any:
        layers = (nn.Conv1d(6, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(30, 8), nn.Tanh(), nn.Linear(8, 3))
        return nn.Sequential(nn.Embedding(11, 5), *layers).to(self.dtype)

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        convolution = {id(p) for p in model[1].parameters()}  # type: ignore[index]
        rest = [p for p in model.parameters() if id(p) not in convolution]
        return [{"params": rest}, {"params": list(model[1].parameters()), "lr_scale": self.scale}]  # type: ignore[index]

    def batch(self, step: int) -> Tensor:  # noqa: ARG002
        return torch.randint(11, (8, 6))

    def loss(self, model: Any, batch: Tensor) -> Any:
        return nn.functional.cross_entropy(model(batch).float(), batch[:, 0] % 3)

    def evaluate(self, model: Any, split: str) -> dict[str, float]:
        torch.manual_seed(len(split))
        return {"loss": float(self.loss(model, self.batch(0)))}


WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], torch.dtype]] = {
    "plain": ({}, {}, torch.float32),
    "decayed": ({"weight_decay": 0.1, "betas": (0.8, 0.95)}, {}, torch.float32),
    "clipped": ({"clip_norm": 0.1}, {}, torch.float32),
    "in pieces": ({}, {"micro_batches": 4}, torch.float32),
    "autocast": ({}, {"dtype": "bfloat16"}, torch.float32),
    "weights in bfloat16": ({}, {}, torch.bfloat16),
}


@pytest.mark.parametrize(("settings", "options", "dtype"), WAYS.values(), ids=WAYS)
def test_schedule_free_is_that_of_the_package(
    settings: dict[str, Any], options: dict[str, Any], dtype: torch.dtype
) -> None:
    pytest.importorskip("schedulefree")
    given = {name: value for name, value in settings.items() if name != "clip_norm"}
    theirs = ByName(name="schedulefree:AdamWScheduleFree", options=given, clip_norm=settings.get("clip_norm", 0.0))
    job = SegmentJob(0, 11, RAMP, evaluate=("validation", "test"))
    ours, expected = (
        train(Words(dtype), replace(SPEC, optimizer=each, **options), job)
        for each in (ScheduleFree(**settings), theirs)
    )
    assert ours.losses.tobytes() == expected.losses.tobytes()
    assert ours.metrics == expected.metrics
    assert all(torch.equal(value, expected.state["evaluated"][name]) for name, value in ours.state["evaluated"].items())


def test_the_weights_that_schedule_free_is_evaluated_with_are_handed_over(tmp_path: Path) -> None:
    recipe = searches.small(optimizer__name="schedule-free")
    found = searches.search(tmp_path, recipe)
    workload: Any = load_workload(recipe.workload.name, recipe.workload.changed, 0)
    model = workload.model()
    model.load_state_dict(package.load_weights(found["files"]["checkpoint"]))
    assert workload.evaluate(model, "test")["loss"] == pytest.approx(found["test_loss"], rel=1e-6)
    model.load_state_dict(package.load_weights(found["files"]["checkpoint"], average=0))
    assert workload.evaluate(model, "test")["loss"] != pytest.approx(found["test_loss"], rel=1e-3)


def test_with_an_lr_of_0_schedule_free_moves_nothing() -> None:
    spec = replace(SPEC, optimizer=ScheduleFree())
    before = train(Words(), spec, SegmentJob(0, 6, RAMP)).state
    after = train(Words(), spec, SegmentJob(6, 9, PiecewiseLinear(((0, 0.0),))), before).state
    for name, value in before["evaluated"].items():
        assert torch.equal(value, after["evaluated"][name])


class Apart(Words):
    """Trained by torch's own Muon and AdamW; convolutions are matrices there, and no convolutions."""

    def optimizer(self, model: Any) -> Any:
        groups: Any
        hidden, flat = model[4].weight, nn.Parameter(model[1].weight.detach().flatten(1).clone())
        rest = [
            p for p in model.parameters() if p is not hidden and p is not model[1].weight and p is not model[1].bias
        ]
        given: Any = {"momentum": 0.95, "weight_decay": 0.1, "adjust_lr_fn": "match_rms_adamw"}
        groups = [{"params": [hidden]}, {"params": [flat], "lr_scale": 0.5}]
        muon = torch.optim.Muon(groups, **given)
        groups = [{"params": rest, "lr_scale": 4.0}, {"params": [model[1].bias], "lr_scale": 2.0}]
        return Both(muon, torch.optim.AdamW(groups, weight_decay=0.1, fused=True), model[1].weight, flat)


class Both(torch.optim.Optimizer):
    """Two optimizers as one, the first of which has a flat copy of a convolution's weight."""

    def __init__(self, muon: Any, adamw: Any, weight: nn.Parameter, flat: nn.Parameter) -> None:
        self.both, self.weight, self.flat = (muon, adamw), weight, flat
        super().__init__([*muon.param_groups, *adamw.param_groups], {})

    def step(self, closure: Any = None) -> Any:  # noqa: ARG002
        assert self.weight.grad is not None
        self.flat.grad, self.weight.grad = self.weight.grad.flatten(1), None
        for each in self.both:
            each.step()
        with torch.no_grad():
            self.weight.copy_(self.flat.view_as(self.weight))


def newton_schulz(grad: Tensor, coefficients: Any, steps: int, eps: float) -> Tensor:
    """As torch has it, but in the precision of what it is given."""
    a, b, c = coefficients
    x = grad.T if grad.size(0) > grad.size(1) else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if grad.size(0) > grad.size(1) else x


@pytest.mark.parametrize("options", [{}, {"micro_batches": 4}, {"dtype": "bfloat16"}], ids=str)
def test_muon_is_torchs_in_float32_with_adamw_for_the_rest(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has none")
    monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", newton_schulz)
    job = SegmentJob(0, 11, RAMP, evaluate=("test",))
    ours = train(Words(), replace(SPEC, optimizer=Muon(weight_decay=0.1), **options), job)
    theirs = train(Apart(), replace(SPEC, **options), job)
    assert ours.losses.tobytes() == theirs.losses.tobytes()
    assert ours.metrics == theirs.metrics


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5)], ids=str)
def test_an_update_is_made_orthogonal(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    wide = newton_schulz(matrix.double(), (3.4445, -4.7750, 2.0315), 5, 1e-7)
    assert torch.allclose(orthogonal(matrix).double(), wide, atol=1e-4)
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert 0.5 < values.min() <= values.max() < 1.3
    assert orthogonal(matrix.bfloat16()).dtype == torch.float32


def test_each_matrix_of_a_stack_moves_as_if_it_were_alone_and_a_convolution_as_one_matrix() -> None:
    def model() -> Any:
        torch.manual_seed(0)
        experts = nn.Module()
        experts.up, experts.act = nn.Parameter(torch.randn(3, 4, 6)), nn.Tanh()
        return nn.Sequential(experts, nn.Conv1d(4, 6, 3), nn.Linear(6, 2))

    whole = model()
    optimizer = build_optimizer(Words(), whole, Muon())
    marks = [(group["name"], group.get("stack")) for group in told(optimizer, scales(optimizer), whole)]
    assert marks == [("matrix", True), ("output", None), ("vector", None), ("matrix", None), ("vector", None)]
    alone = [nn.Parameter(each.clone()) for each in whole[0].up.detach()]
    flat = nn.Parameter(whole[1].weight.detach().flatten(1).clone())
    single = MuonOptimizer([{"params": [*alone, flat], "muon": True}])
    for step in range(3):
        for p in whole.parameters():
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(step))
        for each, grad in zip([*alone, flat], [*whole[0].up.grad, whole[1].weight.grad.flatten(1)], strict=True):
            each.grad = grad
        optimizer.step()
        single.step()
    assert torch.allclose(whole[0].up, torch.stack([*map(torch.Tensor.detach, alone)]), atol=1e-6)
    assert torch.equal(whole[1].weight.flatten(1), flat)


OWN: dict[str, Any] = {"muon": MuonOptimizer, "schedule-free": ScheduleFreeOptimizer}


def of_layer(layer: nn.Linear, name: str) -> list[dict[str, Any]]:
    return [{"params": [p], **({"muon": p.ndim > 1} if name == "muon" else {})} for p in layer.parameters()]


@pytest.mark.parametrize("name", OWN)
def test_param_groups_that_are_added_are_trained_and_copies_go_on(name: str) -> None:
    """One added before the first step moves as if it had been there; one added later moves too."""
    models = []
    for at in (-1, 0, 2):  # when the second layer is added; -1 has it from the beginning
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        first, second = of_layer(model[0], name), of_layer(model[1], name)  # type: ignore[arg-type]
        optimizer = OWN[name](first + second if at < 0 else first, lr=0.1)
        for step in range(4):
            for group in second if step == at else ():
                optimizer.add_param_group(group)
            model.zero_grad()
            model(torch.ones(2, 4)).square().mean().backward()
            optimizer.step()
            model, optimizer = copy.deepcopy((model, optimizer))
            second = of_layer(model[1], name)  # type: ignore[arg-type]
        models.append(dict(model.state_dict()))
    whole, at_once, late = models
    assert all(torch.equal(whole[key], at_once[key]) for key in whole)
    assert not torch.equal(whole["1.weight"], late["1.weight"])
    torch.manual_seed(0)
    before = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).state_dict()
    assert not any(torch.equal(before[key], late[key]) for key in late)


def chained(settings: OptimizerSettings, dtype: torch.dtype, cuts: tuple[int, ...]) -> tuple[bytes, Trained]:
    """The losses of a run that is cut, each part from the checkpoint of the one before."""
    losses, state = [], None
    workload = Words(dtype, 1.0 if settings.name == "prodigy" else 0.5)  # it has one LR for all groups
    for start, stop in pairwise((0, *cuts, 6)):
        job = SegmentJob(start, stop, RAMP, evaluate=("test",))
        trained = train(workload, replace(SPEC, optimizer=settings, micro_batches=2), job, state)
        losses.append(trained.losses)
        state = checkpoint.round_trip(trained.state)
    return np.concatenate(losses).tobytes(), trained


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", INSTALLED)
def test_a_run_that_is_cut_at_every_step_is_the_run(name: str, dtype: torch.dtype) -> None:
    settings = INSTALLED[name](clip_norm=1.0, decay_scale={"embedding": 0.5})
    whole, cut = chained(settings, dtype, ()), chained(settings, dtype, (1, 2, 3, 4, 5))
    assert cut[0] == whole[0]
    assert cut[1].metrics == whole[1].metrics
