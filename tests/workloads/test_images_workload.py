from __future__ import annotations

import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lrctl import fields, testing
from lrctl.errors import UsageError
from lrctl.job import SegmentJob
from lrctl.schedule import PiecewiseLinear
from lrctl.trainer import train
from lrctl.workload import Prepared, Scored, WithParamGroups, Workload
from lrctl_workloads.image_data import SHAPES
from lrctl_workloads.images import ImageClassifier, ImagesParams
from workloads.packages import digits_installed, mnist_installed

ADAMW = {"name": "adamw", "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}
TASK = replace(testing.TASK, workload="images", optimizer=ADAMW)


def images(seed: int = 0, **params: Any) -> ImageClassifier:
    return ImageClassifier(ImagesParams(**params), seed)


def pictures(workload: ImageClassifier, part: str) -> set[bytes]:
    """Every image of a part, as bytes."""
    pixels, _ = workload.images.parts[part].take(slice(None))
    return {row.tobytes() for row in pixels}


@digits_installed
def test_it_keeps_the_contract() -> None:
    for contract in (Workload, Scored, Prepared, WithParamGroups):
        assert isinstance(images(), contract)


@digits_installed
def test_batches_are_a_function_of_seed_and_step() -> None:
    x, y = images().batch(7)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert (x.shape, y.shape) == ((64, 1, 8, 8), (64,))
    again = images()
    again.batch(123)
    assert torch.equal(again.batch(7)[0], x)
    assert torch.equal(again.batch(7)[1], y)
    assert not torch.equal(images().batch(8)[0], x)
    assert not torch.equal(images(seed=1).batch(7)[0], x)


@digits_installed
@pytest.mark.parametrize("split", ["validation", "test", "score"])
def test_training_never_draws_what_is_held_out(split: str) -> None:
    workload = images(seed=3, batch_size=33)
    _, deviation = workload.scale
    drawn = torch.cat([workload.batch(step)[0] for step in range(30)])
    pixels = (drawn * deviation + workload.scale[0]).round().to(torch.uint8).flatten(1)
    seen = {row.tobytes() for row in pixels.numpy()}
    assert seen == pictures(workload, "training")
    assert not seen & pictures(workload, split)


@digits_installed
def test_held_out_and_scored_images_do_not_depend_on_the_seed() -> None:
    first, second = images(seed=0), images(seed=1)
    torch.manual_seed(0)
    model = first.model()
    for split in ("validation", "test"):
        assert first.evaluate(model, split) == second.evaluate(model, split)
    assert torch.equal(first.score_batch(2)[0], second.score_batch(2)[0])


@digits_installed
def test_score_batches_are_distinct_and_end() -> None:
    workload = images(batch_size=100)
    first, second = workload.score_batch(0)[0], workload.score_batch(1)[0]
    assert len({row.numpy().tobytes() for row in torch.cat([first, second])}) == 200
    for i in (2, -1):
        with pytest.raises(UsageError, match=rf"score batch {i} .*digits has 2 of 100 images in reserve"):
            workload.score_batch(i)


@digits_installed
def test_training_images_have_mean_0_and_deviation_1() -> None:
    workload = images()
    x, _ = workload.take(workload.images.parts["training"], slice(None))
    assert float(x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(x.std(correction=0)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("model", ["cnn", "mlp"])
@pytest.mark.parametrize(("data", "most"), [("digits", 3), ("mnist-5k", 4), ("cifar10", 5)])
def test_a_model_of_any_depth_gives_ten_logits(data: str, most: int, model: str) -> None:
    x = torch.zeros(2, *SHAPES[data])
    for layers in range(1, most + 1):
        assert images(data=data, model=model, layers=layers, width=4).model()(x).shape == (2, 10)


def test_width_and_layers_are_those_of_the_model() -> None:
    cnn, mlp = images(width=4, layers=3).model(), images(model="mlp", width=4, layers=3).model()
    assert [m.out_channels for m in cnn.modules() if isinstance(m, nn.Conv2d)] == [4, 8, 16]
    assert [m.out_features for m in mlp.modules() if isinstance(m, nn.Linear)] == [32, 32, 32, 10]


@pytest.mark.parametrize("model", ["cnn", "mlp"])
def test_weight_decay_is_for_matrices_only(model: str) -> None:
    workload = images(model=model)
    network = workload.model()
    decayed, free = workload.param_groups(network)
    assert "weight_decay" not in decayed
    assert free["weight_decay"] == 0.0
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(p.ndim == 1 for p in free["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize("model", ["cnn", "mlp"])
def test_dropout_acts_in_training_only(model: str) -> None:
    network = images(model=model, dropout=0.5).model()
    x = torch.ones(2, 1, 8, 8)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@digits_installed
@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_evaluation_is_the_mean_over_the_split_without_smoothing(smoothing: float) -> None:
    torch.manual_seed(0)
    workload = images(label_smoothing=smoothing)
    model = workload.model().eval()
    x, y = workload.take(workload.images.parts["test"], slice(None))
    with torch.no_grad():
        logits, loss = model(x), float(workload.loss(model, (x, y)))
    metrics = workload.evaluate(model, "test")
    assert metrics["loss"] == pytest.approx(float(nn.functional.cross_entropy(logits, y)), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx(float((logits.argmax(1) == y).float().mean()))
    assert (loss == pytest.approx(metrics["loss"], rel=1e-5)) == (smoothing == 0)


@digits_installed
def test_evaluation_changes_nothing() -> None:
    workload = images(dropout=0.5)
    model, random = workload.model(), torch.get_rng_state()
    assert workload.evaluate(model, "validation") == workload.evaluate(model, "validation")
    assert torch.equal(torch.get_rng_state(), random)
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_only_held_out_splits_can_be_evaluated() -> None:
    with pytest.raises(ValueError, match="must be 'validation' or 'test', got 'score'"):
        images().evaluate(images().model(), "score")


LEARNERS = {
    "digits, cnn": pytest.param({"width": 8}, 120, 0.95, marks=digits_installed),
    "digits, mlp": pytest.param({"model": "mlp"}, 120, 0.9, marks=digits_installed),
    "mnist-5k, mlp": pytest.param({"data": "mnist-5k", "model": "mlp"}, 120, 0.85, marks=mnist_installed),
    "mnist-5k, cnn": pytest.param({"data": "mnist-5k", "width": 4, "layers": 3}, 120, 0.85, marks=mnist_installed),
}


@pytest.mark.parametrize(("params", "steps", "accuracy"), LEARNERS.values(), ids=LEARNERS)
def test_it_learns(params: dict[str, Any], steps: int, accuracy: float) -> None:
    schedule = PiecewiseLinear(((0, 0.02), (steps, 0.0)))
    trained = train(images(**params), TASK, SegmentJob(0, steps, schedule, evaluate=("validation",)))
    assert trained.losses[0] == pytest.approx(math.log(10), abs=0.5)
    assert trained.losses[-10:].mean() < 0.3
    assert trained.metrics["validation"]["accuracy"] > accuracy
    assert trained.metrics["validation"]["loss"] < 0.6


def test_an_unused_workload_is_cheap_and_can_be_sent_to_a_worker() -> None:
    workload = images(seed=1, data="cifar10", path="/no/where")
    assert pickle.loads(pickle.dumps(workload)) == workload


@digits_installed
def test_a_batch_larger_than_the_training_data_is_a_usage_error() -> None:
    assert images(batch_size=990).prepare()
    with pytest.raises(UsageError, match=r"workload\.batch_size: must be at most 990, .*got 991"):
        images(batch_size=991).prepare()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"data": "mnist"}, "data: must be one of 'digits', 'mnist-5k', 'cifar10', got 'mnist'"),
        ({"model": "rnn"}, "model: must be one of 'cnn', 'mlp', got 'rnn'"),
        ({"width": 0}, "width: must be at least 1, got 0"),
        ({"layers": 0}, "layers: must be at least 1, got 0"),
        ({"layers": 4}, "layers: must be at most 3 for a cnn on digits, got 4"),
        ({"batch_size": -1}, "batch_size: must be at least 1, got -1"),
        ({"dropout": 1.0}, r"dropout: must be at least 0 and less than 1, got 1\.0"),
        ({"label_smoothing": -0.1}, r"label_smoothing: must be at least 0 and less than 1, got -0\.1"),
        ({"label_smoothing": math.nan}, r"label_smoothing: must be a finite number, got nan"),
        ({"path": "here"}, "path: is for data 'cifar10' only; digits has its own images"),
        ({"depth": 2}, "depth: unknown key"),
    ],
)
def test_parameters_out_of_range_are_usage_errors(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=rf"^workload images\.{message}"):
        fields.build(ImagesParams, params, "workload images")


def test_an_mlp_may_have_more_layers_than_a_cnn(tmp_path: Path) -> None:
    assert images(model="mlp", layers=4).params.layers == 4
    assert images(data="cifar10", path=str(tmp_path), layers=5).params.layers == 5
