from __future__ import annotations

import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lrctl import testing
from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.workload import Prepared, Scored, Sized, StandIn, WithParamGroups, Workload
from lrctl.errors import UsageError
from lrctl.registry.values import build
from lrctl.training.trainer import train
from lrctl_workloads.images.classifier import ImageClassifier, ImagesParams
from lrctl_workloads.images.data import FORMATS
from lrctl_workloads.images.models import Residual, gathered
from workloads.packages import digits_installed, mnist_installed

ADAMW = optimizers.AdamW(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
MODELS = ("cnn", "mlp", "convnet", "resnet")
SPEC = replace(testing.SPEC, workload="images", optimizer=ADAMW)


def images(seed: int = 0, **params: Any) -> ImageClassifier:
    return ImageClassifier(ImagesParams(**params), seed)


def pictures(workload: ImageClassifier, part: str) -> set[bytes]:
    """Every image of a part, as bytes."""
    pixels, _ = workload.images.parts[part].take(slice(None))
    return {row.tobytes() for row in pixels}


@digits_installed
def test_it_keeps_the_contract() -> None:
    for contract in (Workload, Scored, Sized, Prepared, StandIn, WithParamGroups):
        assert isinstance(images(), contract)


@digits_installed
def test_an_epoch_is_as_many_updates_as_see_each_image_once() -> None:
    workload = images(batch_size=10)
    assert workload.steps_per_epoch() == len(workload.images.parts["training"]) / 10


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
        with pytest.raises(IndexError):
            workload.score_batch(i)


@digits_installed
def test_training_images_have_mean_0_and_deviation_1() -> None:
    workload = images()
    x, _ = workload.take(workload.images.parts["training"], slice(None))
    assert float(x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(x.std(correction=0)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("data", "most", "kinds"),
    [("digits", 3, 10), ("mnist-5k", 4, 10), ("fashion-mnist", 4, 10), ("cifar10", 5, 10), ("cifar100", 5, 100)],
)
def test_a_model_of_any_depth_gives_a_logit_for_each_kind(data: str, most: int, kinds: int, model: str) -> None:
    x = torch.zeros(2, *FORMATS[data].shape)
    for layers in range(1, most + 1):
        assert images(data=data, model=model, layers=layers, width=2).model()(x).shape == (2, kinds)


def size(**params: Any) -> int:
    return sum(p.numel() for p in images(**params).model().parameters())


def test_the_papers_convnet_has_1070794_parameters_on_cifar10() -> None:
    assert size(data="cifar10", model="convnet", width=32) == 1_070_794
    # 9 * 3 * w + w, 9 * w * 2w + 2w, 64 * 2w * 8w + 8w, 8w * 10 + 10
    assert size(data="cifar10", model="convnet", width=5) == 140 + 460 + 25_640 + 410


@pytest.mark.parametrize("side", [8, 9])
def test_max_pooling_by_gathering_has_the_same_bits(side: int) -> None:
    found = []
    for pool in (gathered, nn.MaxPool2d(2)):
        torch.manual_seed(0)
        images = torch.randn(3, 4, side, side).relu().requires_grad_()  # equal pixels too
        pooled = pool(images)
        pooled.backward(torch.randn_like(pooled))
        assert images.grad is not None
        found.append((pooled.detach().numpy().tobytes(), images.grad.numpy().tobytes()))
    assert found[0] == found[1]


def test_the_convnet_is_that_of_the_paper_layer_by_layer() -> None:
    network = images(data="cifar10", model="convnet", width=32).model()
    kinds = "Conv2d ReLU MaxPool Conv2d ReLU MaxPool Flatten Linear ReLU Dropout Linear"
    assert [type(layer).__name__ for layer in network.children()] == kinds.split()
    assert all(convolution.padding == (1, 1) for convolution in network.modules() if isinstance(convolution, nn.Conv2d))


def test_resnet20_has_269722_parameters_on_cifar10() -> None:
    assert size(data="cifar10", model="resnet", width=16, layers=3) == 269_722
    network = images(data="cifar10", model="resnet", width=16, layers=3).model()
    assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in network.modules()) == 20


def test_the_resnets_stages_halve_the_sides_and_double_the_channels() -> None:
    network, shapes = images(data="mnist-5k", model="resnet", width=2, layers=2).model(), []
    for block in network.modules():
        if isinstance(block, Residual):
            block.register_forward_hook(lambda _block, _inputs, out: shapes.append(tuple(out.shape[1:])))
    network(torch.zeros(1, 1, 28, 28))
    assert shapes == [(2, 28, 28)] * 2 + [(4, 14, 14)] * 2 + [(8, 7, 7)] * 2


@pytest.mark.parametrize(("out", "stride"), [(4, 1), (8, 2)])
def test_a_block_whose_convolutions_give_nothing_passes_its_input_on(out: int, stride: int) -> None:
    block, x = Residual(4, out, 4), torch.rand(3, 4, 7, 7)
    nn.init.zeros_(block.second.weight)
    y = block(x)
    assert torch.equal(y[:, :4], x[:, :, ::stride, ::stride])
    assert not y[:, 4:].any()


@pytest.mark.parametrize("model", MODELS)
def test_an_images_logits_do_not_depend_on_its_batch(model: str) -> None:
    network, x = images(data="mnist-5k", model=model, width=4).model(), torch.rand(6, 1, 28, 28)
    torch.testing.assert_close(network(x)[:2], network(torch.cat([x[:2], 9 * x[2:]]))[:2])
    assert not list(network.buffers())


@digits_installed
def test_unit_scaling_puts_black_to_0_and_white_to_1() -> None:
    workload = images(scaling="unit")
    training = workload.images.parts["training"]
    x, _ = workload.take(training, slice(None))
    assert (float(x.min()), float(x.max())) == (0.0, 1.0)
    assert torch.equal(x.flatten(1), torch.from_numpy(training.take(slice(None))[0]).float() / 16)


def test_unit_scaling_divides_by_the_brightest_value() -> None:
    for data, kind in FORMATS.items():
        assert kind.brightest == (16 if data == "digits" else 255)
        black, white = images(data=data, scaling="unit").scale
        assert not black.any()
        assert white.tolist() == [[[kind.brightest]]] * kind.shape[0]


@digits_installed
def test_fewer_training_images_are_the_first_of_them_and_leave_the_rest_as_it_is() -> None:
    few, whole = images(train_images=100).images.parts, images().images.parts
    assert few["training"].numbers.tolist() == whole["training"].numbers[:100].tolist()
    assert all(few[name].numbers.tolist() == whole[name].numbers.tolist() for name in ("validation", "test", "score"))
    assert images(train_images=990).prepare() == images().prepare()
    with pytest.raises(UsageError, match=r"workload\.train_images: must be at most 990, .*got 991"):
        images(train_images=991).prepare()
    with pytest.raises(UsageError, match=r"workload\.batch_size: must be at most 10, .*got 64"):
        images(train_images=10).prepare()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scaling", ["standardise", "unit"])
def test_without_the_images_the_model_takes_a_stand_in_batch(model: str, scaling: str) -> None:
    workload = images(data="cifar100", model=model, width=2, batch_size=50, scaling=scaling)
    (x, y), again = workload.stand_in(3), workload.stand_in(3)
    assert (x.dtype, x.shape, y.dtype, y.shape) == (torch.float32, (50, 3, 32, 32), torch.int64, (50,))
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    assert not torch.equal(x, workload.stand_in(4)[0])
    assert int(y.max()) > 20
    assert workload.loss(workload.model(), (x, y)).item() == pytest.approx(math.log(100), abs=1)
    assert "images" not in vars(workload)


@digits_installed
def test_packaged_images_are_ready() -> None:
    workload = images()
    assert workload.ready()
    assert workload.prepared_bytes() == 0


def test_width_and_layers_are_those_of_the_model() -> None:
    cnn, mlp = images(width=4, layers=3).model(), images(model="mlp", width=4, layers=3).model()
    assert [m.out_channels for m in cnn.modules() if isinstance(m, nn.Conv2d)] == [4, 8, 16]
    assert [m.out_features for m in mlp.modules() if isinstance(m, nn.Linear)] == [32, 32, 32, 10]


@pytest.mark.parametrize("model", MODELS)
def test_weight_decay_is_for_matrices_only(model: str) -> None:
    workload = images(model=model)
    network = workload.model()
    decayed, free = workload.param_groups(network)
    assert "weight_decay" not in decayed
    assert free["weight_decay"] == 0.0
    assert all(p.ndim >= 2 for p in decayed["params"])
    assert all(p.ndim == 1 for p in free["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize("model", MODELS)
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
    "digits, convnet": pytest.param({"model": "convnet", "width": 8}, 120, 0.9, marks=digits_installed),
    "digits, resnet": pytest.param({"model": "resnet", "width": 8, "layers": 1}, 120, 0.9, marks=digits_installed),
    "mnist-5k, cnn": pytest.param({"data": "mnist-5k", "width": 4, "layers": 3}, 120, 0.85, marks=mnist_installed),
}


@pytest.mark.parametrize(("params", "steps", "accuracy"), LEARNERS.values(), ids=LEARNERS)
def test_it_learns(params: dict[str, Any], steps: int, accuracy: float) -> None:
    schedule = PiecewiseLinear(((0, 0.02), (steps, 0.0)))
    trained = train(images(**params), SPEC, SegmentJob(0, steps, schedule, evaluate=("validation",)))
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
        ({"data": "mnist"}, "data: must be one of 'digits', .*, 'cifar100', got 'mnist'"),
        ({"model": "rnn"}, "model: must be one of 'cnn', .*, 'resnet', got 'rnn'"),
        ({"width": 0}, "width: must be at least 1, got 0"),
        ({"layers": 0}, "layers: must be at least 1, got 0"),
        ({"layers": 4}, "layers: must be at most 3 for a cnn on digits, got 4"),
        ({"layers": 4, "model": "convnet"}, "layers: must be at most 3 for a convnet on digits, got 4"),
        ({"train_images": -1}, "train_images: must be at least 0, got -1"),
        ({"scaling": "none"}, "scaling: must be one of 'standardise', 'unit', got 'none'"),
        ({"batch_size": -1}, "batch_size: must be at least 1, got -1"),
        ({"dropout": 1.0}, r"dropout: must be at least 0 and less than 1, got 1\.0"),
        ({"label_smoothing": -0.1}, r"label_smoothing: must be at least 0 and less than 1, got -0\.1"),
        ({"label_smoothing": math.nan}, r"label_smoothing: must be a finite number, got nan"),
        ({"path": "here"}, "path: is for data cifar10, cifar100, fashion-mnist only; digits has its own images"),
        ({"depth": 2}, "depth: unknown key"),
    ],
)
def test_parameters_out_of_range_are_usage_errors(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=rf"^workload images\.{message}"):
        build(ImagesParams, params, "workload images")


def test_an_mlp_or_a_resnet_may_have_more_layers_than_a_cnn(tmp_path: Path) -> None:
    assert images(model="mlp", layers=4).params.layers == 4
    assert images(model="resnet", layers=4).params.layers == 4
    assert images(data="cifar10", path=str(tmp_path), layers=5).params.layers == 5
