"""The `images` workload: a small network that learns to tell kinds of images apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from lrctl.contracts.workload import drawn
from lrctl.errors import UsageError
from lrctl_workloads.images import cifar
from lrctl_workloads.images.data import FORMATS, ImageFormat, Images, Part, images, mean_and_deviation, ready
from lrctl_workloads.network import Array, Batch, Module, Tensor, check_split, evaluating, matrices_decay, score_rows

WITH_PATH = ("cifar10", "cifar100", "fashion-mnist")
"""Data sets that can be read from somewhere else."""

EVALUATED = 500
"""How many images are evaluated at a time."""


@dataclass(frozen=True)
class ImagesParams:
    data: Annotated[
        Literal["digits", "mnist-5k", "fashion-mnist", "cifar10", "cifar100"],
        "digits (1,797 of 8x8), mnist-5k (5,000 of 28x28), fashion-mnist (70,000 of 28x28, from the Debian package "
        "dataset-fashion-mnist), cifar10 or cifar100 (60,000 of 32x32 in colour and 10 or 100 kinds, from the hub)",
    ] = "digits"
    path: Annotated[
        str,
        "for cifar10 and cifar100, instead of the hub: .parquet file, or folder of train*.parquet and test*.parquet; "
        "for fashion-mnist, instead of the package: folder of its four IDX files",
    ] = ""
    train_images: Annotated[int, "how many of the training images to use; 0: all"] = 0
    scaling: Annotated[
        Literal["standardise", "unit"],
        "standardise (each channel's mean to 0 and deviation to 1), or unit (black to 0, white to 1)",
    ] = "standardise"
    model: Annotated[
        Literal["cnn", "mlp", "convnet", "resnet"],
        "cnn (convolutions), mlp (fully connected), convnet (convolutions, max pooling, a dense layer), or resnet "
        "(residual blocks)",
    ] = "cnn"
    width: Annotated[
        int,
        "channels of the first convolution, doubled from block to block, or stage to stage of the resnet; an eighth of "
        "the hidden units of the mlp, and of the convnet's dense layer",
    ] = 16
    layers: Annotated[
        int,
        "blocks of the cnn and the convnet, each of which halves the image; blocks in each of the resnet's three "
        "stages; hidden layers of the mlp",
    ] = 2
    dropout: Annotated[
        float, "share of activations dropped in training: before the last layer, in the mlp after each hidden one"
    ] = 0.0
    batch_size: Annotated[int, "images in a batch"] = 64
    label_smoothing: Annotated[float, "share of the training target spread over all kinds; not in evaluations"] = 0.0

    def __post_init__(self) -> None:
        for name in ("width", "layers", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.train_images < 0:
            raise ValueError(f"train_images: must be at least 0, got {self.train_images}")
        for name in ("dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 0 and less than 1, got {getattr(self, name)}")
        if self.path and self.data not in WITH_PATH:
            raise ValueError(f"path: is for data {', '.join(WITH_PATH)} only; {self.data} has its own images")
        most = self.format.shape[1].bit_length() - 1
        if self.model in ("cnn", "convnet") and self.layers > most:
            raise ValueError(f"layers: must be at most {most} for a {self.model} on {self.data}, got {self.layers}")

    @property
    def format(self) -> ImageFormat:
        return FORMATS[self.data]


@dataclass(frozen=True)
class ImageClassifier:
    """A classifier of images.

    A batch is (images, labels): float32 of shape (batch_size, channels, height, width), and int64 of shape
    (batch_size,). With the scaling `standardise` each channel has mean 0 and standard deviation 1 over the training
    images; with `unit` pixels are from 0 to 1. The split into training, validation, test and scoring is the same for
    every seed.
    """

    params: ImagesParams
    seed: int

    def prepare(self) -> str:
        """Read the images, or download them unless that is done, and return a digest of them.

        Raises:
            MissingError: the images are not on this machine, and cannot be downloaded.
            UsageError: the images cannot be used, or a batch would have more than there are for training.
        """
        n = len(self.images.parts["training"])
        if self.params.batch_size > n:
            raise UsageError(
                f"workload.batch_size: must be at most {n}, the number of training images, got {self.params.batch_size}"
            )
        return self.images.digest

    def ready(self) -> bool:
        return ready(self.params.data, self.params.path)

    def stand_in(self, step: int) -> Batch:
        import torch

        p, random = self.params, torch.Generator().manual_seed(step)
        images = torch.randn(p.batch_size, *p.format.shape, generator=random)
        if p.scaling == "unit":
            images = images.sigmoid()
        return images, torch.randint(p.format.classes, (p.batch_size,), generator=random)

    def prepared_bytes(self) -> int:
        """The bytes of CIFAR's images decoded from the hub's; 0 for those of a path, whose number is not known."""
        p = self.params
        if p.data not in cifar.SETS or p.path or self.ready():
            return 0
        return cifar.HUB_IMAGES * (math.prod(p.format.shape) + 1)

    def model(self) -> Module:
        from lrctl_workloads.images import models

        p, build = self.params, getattr(models, self.params.model)
        network: Module = build(p.format.shape, p.format.classes, p.width, p.layers, p.dropout)
        return network

    param_groups = staticmethod(matrices_decay)

    def batch(self, step: int) -> Batch:
        training = self.images.parts["training"]
        return self.take(training, drawn(self.seed, step, self.params.batch_size, len(training)))

    def steps_per_epoch(self) -> float:
        return len(self.images.parts["training"]) / self.params.batch_size

    def score_batch(self, i: int) -> Batch:
        reserve = self.images.parts["score"]
        rows = score_rows(i, self.params.batch_size, len(reserve))
        return self.take(reserve, slice(rows.start, rows.stop))

    def loss(self, model: Module, batch: Batch) -> Tensor:
        """Mean cross entropy in nats per image, with the labels smoothed."""
        from torch.nn import functional as F  # noqa: N812

        images, labels = batch
        return F.cross_entropy(model(images).float(), labels, label_smoothing=self.params.label_smoothing)

    def evaluate(self, model: Module, split: str) -> Mapping[str, float]:
        """`loss` in nats per image, without label smoothing, and `accuracy`, the share of images classified right."""
        check_split(split)
        from torch.nn import functional as F  # noqa: N812

        part, device = self.images.parts[split], next(model.parameters()).device
        loss, right = 0.0, 0
        with evaluating(model):
            for first in range(0, len(part), EVALUATED):
                images, labels = self.take(part, slice(first, first + EVALUATED))
                labels = labels.to(device)
                logits = model(images.to(device)).float()
                loss += float(F.cross_entropy(logits, labels, reduction="sum"))
                right += int((logits.argmax(1) == labels).sum())
        return {"loss": loss / len(part), "accuracy": right / len(part)}

    def take(self, part: Part, places: Array | slice) -> Batch:
        import torch

        pixels, labels = part.take(places)
        mean, deviation = self.scale
        images = torch.from_numpy(pixels).float().view(-1, *self.params.format.shape)
        return (images - mean) / deviation, torch.from_numpy(labels).long()

    @cached_property
    def scale(self) -> tuple[Tensor, Tensor]:
        """What is subtracted from pixels, and what divides them then: float32, both of shape (channels, 1, 1)."""
        import torch

        channels = self.params.format.shape[0]
        if self.params.scaling == "unit":
            zero = torch.zeros(channels, 1, 1)
            return zero, zero + self.params.format.brightest
        mean, deviation = mean_and_deviation(self.images.parts["training"], channels)
        return torch.from_numpy(mean).float().view(-1, 1, 1), torch.from_numpy(deviation).float().view(-1, 1, 1)

    @cached_property
    def images(self) -> Images:
        """The images in their parts; read on first use, so that an unused workload costs nothing."""
        return images(self.params.data, self.params.path, self.params.train_images)
