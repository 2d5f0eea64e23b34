"""The `images` workload: a small network that learns to tell images of ten kinds apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from lrctl.errors import UsageError
from lrctl.workload import drawn
from lrctl_workloads.image_data import SHAPES, Images, Part, images, mean_and_deviation
from lrctl_workloads.param_groups import matrices_decay

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lrctl_workloads.image_data import Array

    Batch = tuple[Tensor, Tensor]

CLASSES = 10

EVALUATED = 500
"""How many images are evaluated at a time."""


@dataclass(frozen=True)
class ImagesParams:
    """Parameters of the `images` workload: the images, the model, the batch."""

    data: Annotated[
        Literal["digits", "mnist-5k", "cifar10"],
        "digits (1,797 of 8x8), mnist-5k (5,000 of 28x28), or cifar10 (60,000 of 32x32 in colour, from the hub)",
    ] = "digits"
    path: Annotated[
        str, "for cifar10, instead of the hub: .parquet file, or folder of train*.parquet and test*.parquet"
    ] = ""
    model: Annotated[Literal["cnn", "mlp"], "cnn (convolutions) or mlp (fully connected)"] = "cnn"
    width: Annotated[
        int, "channels of the CNN's first block, doubled from block to block; an eighth of the MLP's hidden units"
    ] = 16
    layers: Annotated[int, "blocks of the CNN, each of which halves the image; hidden layers of the MLP"] = 2
    dropout: Annotated[float, "share of activations dropped in training: before the CNN's last layer, in the MLP's"] = (
        0.0
    )
    batch_size: Annotated[int, "images in a batch"] = 64
    label_smoothing: Annotated[float, "share of the training target spread over all kinds; not in evaluations"] = 0.0

    def __post_init__(self) -> None:
        for name in ("width", "layers", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 0 and less than 1, got {getattr(self, name)}")
        if self.path and self.data != "cifar10":
            raise ValueError(f"path: is for data 'cifar10' only; {self.data} has its own images")
        most = SHAPES[self.data][1].bit_length() - 1
        if self.model == "cnn" and self.layers > most:
            raise ValueError(f"layers: must be at most {most} for a cnn on {self.data}, got {self.layers}")


@dataclass(frozen=True)
class ImageClassifier:
    """A classifier of images.

    A batch is (images, labels): float32 of shape (batch_size, channels, height, width), each channel with mean 0
    and standard deviation 1 over the training images, and int64 of shape (batch_size,). The split into training,
    validation, test and scoring is the same for every seed.
    """

    params: ImagesParams
    seed: int

    def prepare(self) -> str:
        """Read the images, or download them unless that is done, and return a digest of them.

        Raises:
            UsageError: the images cannot be used, or a batch would have more than there are for training.
        """
        n = len(self.images.parts["training"])
        if self.params.batch_size > n:
            raise UsageError(
                f"workload.batch_size: must be at most {n}, the number of training images, got {self.params.batch_size}"
            )
        return self.images.digest

    def model(self) -> torch.nn.Module:
        """A new network, with fresh weights from torch's random numbers."""
        from lrctl_workloads import image_models

        p = self.params
        build = {"cnn": image_models.cnn, "mlp": image_models.mlp}[p.model]
        return build(SHAPES[p.data], CLASSES, p.width, p.layers, p.dropout)

    def param_groups(self, model: torch.nn.Module) -> list[dict[str, Any]]:
        """Weight decay for matrices and convolutions only; biases and norms go without."""
        return matrices_decay(model)

    def batch(self, step: int) -> Batch:
        """The batch of update `step`: shuffled epochs of the training images, cut into batches."""
        training = self.images.parts["training"]
        return self.take(training, drawn(self.seed, step, self.params.batch_size, len(training)))

    def score_batch(self, i: int) -> Batch:
        """Batch i of the images reserved for scoring, always the same.

        Raises:
            UsageError: there is no batch i.
        """
        size, reserve = self.params.batch_size, self.images.parts["score"]
        n = len(reserve) // size
        if not 0 <= i < n:
            raise UsageError(
                f"workload images: score batch {i} was asked for, but {self.params.data} has {n} of {size} images in "
                "reserve, counted from 0; score fewer batches, or smaller ones"
            )
        return self.take(reserve, slice(i * size, (i + 1) * size))

    def loss(self, model: torch.nn.Module, batch: Batch) -> Tensor:
        """Mean cross entropy in nats per image, with the labels smoothed."""
        from torch.nn import functional as F  # noqa: N812

        images, labels = batch
        return F.cross_entropy(model(images).float(), labels, label_smoothing=self.params.label_smoothing)

    def evaluate(self, model: torch.nn.Module, split: str) -> Mapping[str, float]:
        """Metrics over all images of the split, with the model in evaluation mode; the mode is put back.

        Returns:
            `loss` in nats per image, without label smoothing, and `accuracy`, the share of images told right.

        Raises:
            ValueError: the split is neither `validation` nor `test`.
        """
        if split not in ("validation", "test"):
            raise ValueError(f"split: must be 'validation' or 'test', got '{split}'")
        was_training = model.training
        model.eval()
        try:
            return self.metrics(model, self.images.parts[split])
        finally:
            model.train(was_training)

    def metrics(self, model: torch.nn.Module, part: Part) -> dict[str, float]:
        """Mean cross entropy and accuracy over a part."""
        import torch
        from torch.nn import functional as F  # noqa: N812

        device = next(model.parameters()).device
        loss, right = 0.0, 0
        with torch.no_grad():
            for first in range(0, len(part), EVALUATED):
                images, labels = self.take(part, slice(first, first + EVALUATED))
                labels = labels.to(device)
                logits = model(images.to(device)).float()
                loss += float(F.cross_entropy(logits, labels, reduction="sum"))
                right += int((logits.argmax(1) == labels).sum())
        return {"loss": loss / len(part), "accuracy": right / len(part)}

    def take(self, part: Part, places: Array | slice) -> Batch:
        """Images, normalised, and labels at these places of a part."""
        import torch

        pixels, labels = part.take(places)
        mean, deviation = self.scale
        images = torch.from_numpy(pixels).float().view(-1, *SHAPES[self.params.data])
        return (images - mean) / deviation, torch.from_numpy(labels).long()

    @cached_property
    def scale(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training images, float32, both of shape (channels, 1, 1)."""
        import torch

        channels = SHAPES[self.params.data][0]
        mean, deviation = mean_and_deviation(self.images.parts["training"], channels)
        return torch.from_numpy(mean).float().view(-1, 1, 1), torch.from_numpy(deviation).float().view(-1, 1, 1)

    @cached_property
    def images(self) -> Images:
        """The images, dealt out; read on first use, so that an unused workload costs nothing."""
        return images(self.params.data, self.params.path)
