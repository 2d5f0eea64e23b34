"""Classifiers of small images: a plain CNN, an MLP, a CNN with max pooling, and a residual network. Imports torch.

All take images, shape (batch, channels, height, width), to logits, shape (batch, classes). Their weights start as torch
makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def cnn(shape: Sequence[int], classes: int, width: int, layers: int, dropout: float) -> nn.Sequential:
    """`convolutions` with GroupNorm of one group, ReLU and 2x2 average pooling; then dropout and a linear map."""
    # Not max pooling: its gradient on CUDA is a sum in no fixed order.
    blocks, units = convolutions(shape, width, layers, lambda out: [nn.GroupNorm(1, out), nn.ReLU(), nn.AvgPool2d(2)])
    return nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(dropout), nn.Linear(units, classes))


def mlp(shape: Sequence[int], classes: int, width: int, layers: int, dropout: float) -> nn.Sequential:
    """Hidden layers of 8 * width units, each a linear map, ReLU and dropout; then a linear map."""
    units = math.prod(shape)
    hidden: list[nn.Module] = []
    for _ in range(layers):
        hidden += [nn.Linear(units, 8 * width), nn.ReLU(), nn.Dropout(dropout)]
        units = 8 * width
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(units, classes))


def convnet(shape: Sequence[int], classes: int, width: int, layers: int, dropout: float) -> nn.Sequential:
    """`convolutions` with ReLU and 2x2 max pooling; then a linear map to 8 * width units, ReLU, dropout, a linear map.

    With `width` 32 and `layers` 2 it is the CNN that "What do near-optimal learning rate schedules look like?"
    (arXiv 2603.10301) trains on CIFAR-10: 1,070,794 parameters there. How weights start in that paper is not known
    here.
    """
    blocks, units = convolutions(shape, width, layers, lambda _: [nn.ReLU(), MaxPool()])
    dense = nn.Linear(units, 8 * width)
    return nn.Sequential(*blocks, nn.Flatten(), dense, nn.ReLU(), nn.Dropout(dropout), nn.Linear(8 * width, classes))


class MaxPool(nn.MaxPool2d):
    """2x2 max pooling. Torch has no deterministic kernel for its gradient on CUDA, so there values are gathered."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        return gathered(x) if x.is_cuda else super().forward(x)


def gathered(x: Tensor) -> Tensor:
    """2x2 max pooling, with the same bits. Windows do not overlap, so that no pixel's gradient is a sum."""
    _, places = F.max_pool2d(x.detach(), 2, return_indices=True)
    return x.flatten(2).gather(2, places.flatten(2)).view_as(places)


def convolutions(
    shape: Sequence[int], width: int, layers: int, behind: Callable[[int], list[nn.Module]]
) -> tuple[list[nn.Module], int]:
    """Blocks of a 3x3 convolution and what comes `behind` it; and how many units come out.

    The first has `width` channels, each further one twice as many. Each halves the sides (rounded down).
    """
    channels, height, breadth = shape
    blocks: list[nn.Module] = []
    for block in range(layers):
        out = width * 2**block
        blocks += [nn.Conv2d(channels, out, 3, padding=1), *behind(out)]
        channels, height, breadth = out, height // 2, breadth // 2
    return blocks, channels * height * breadth


def resnet(shape: Sequence[int], classes: int, width: int, layers: int, dropout: float) -> nn.Sequential:
    """The residual networks for small images of He et al. (2016), "Deep residual learning for image recognition".

    Section 4.2: a 3x3 convolution, three stages of `layers` blocks with `width`, 2 * width and 4 * width channels, of
    which the second and third halve the sides (rounded up); the mean over all pixels, dropout and a linear map. With
    `width` 16 and `layers` 3 it is ResNet-20: 6 * layers + 2 layers, 269,722 parameters for CIFAR-10.

    In place of BatchNorm stands GroupNorm, with `width` channels in a group. BatchNorm makes an image's loss depend on
    the rest of its batch, and its running averages are a state beside the weights, which evaluations use and training
    does not.
    """
    blocks: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, padding=1, bias=False), nn.GroupNorm(1, width), nn.ReLU()]
    channels = width
    for stage in range(3):
        for _ in range(layers):
            blocks.append(Residual(channels, width * 2**stage, width))
            channels = width * 2**stage
    return nn.Sequential(*blocks, PixelMean(), nn.Dropout(dropout), nn.Linear(channels, classes))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; where the channels become more, both halve the sides (rounded up).

    The shortcut has no parameters: it leaves out every other pixel, and fills the new channels with zeros (He et al.'s
    option A).
    """

    def __init__(self, channels: int, out: int, group: int) -> None:
        super().__init__()
        self.stride, self.new = (1 if channels == out else 2), out - channels
        self.first = nn.Conv2d(channels, out, 3, stride=self.stride, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(out // group, out)
        self.second = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(out // group, out)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, channels, height, width) to (batch, out, height / stride, width / stride)."""
        inner = F.relu(self.first_norm(self.first(x)))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))
        return F.relu(self.second_norm(self.second(inner)) + shortcut)


class PixelMean(nn.Module):
    """The mean over all pixels: shape (batch, channels, height, width) to (batch, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        # Not AdaptiveAvgPool2d: its gradient on CUDA is a sum in no fixed order.
        return torch.mean(x, (2, 3))
