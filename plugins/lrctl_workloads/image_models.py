"""Classifiers of small images: a plain CNN and an MLP. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def cnn(shape: Sequence[int], classes: int, width: int, layers: int, dropout: float) -> nn.Sequential:
    """Images, shape (batch, channels, height, width), to logits, shape (batch, classes).

    Blocks of a 3x3 convolution, GroupNorm of one group, ReLU and 2x2 average pooling, which halves the sides
    (rounded down); the first has `width` channels, each further one twice as many. Then dropout and a linear map.
    Weights start as torch makes them.
    """
    channels, height, breadth = shape
    blocks: list[nn.Module] = []
    for block in range(layers):
        out = width * 2**block
        blocks += [nn.Conv2d(channels, out, 3, padding=1), nn.GroupNorm(1, out), nn.ReLU()]
        # Not max pooling: its gradient on CUDA is a sum in no fixed order.
        blocks += [nn.AvgPool2d(2)]
        channels, height, breadth = out, height // 2, breadth // 2
    head = nn.Linear(channels * height * breadth, classes)
    return nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(dropout), head)


def mlp(shape: Sequence[int], classes: int, width: int, layers: int, dropout: float) -> nn.Sequential:
    """Images, shape (batch, channels, height, width), to logits, shape (batch, classes).

    Hidden layers of 8 * width units, each a linear map, ReLU and dropout; then a linear map. Weights start as
    torch makes them.
    """
    channels, height, breadth = shape
    units = channels * height * breadth
    hidden: list[nn.Module] = []
    for _ in range(layers):
        hidden += [nn.Linear(units, 8 * width), nn.ReLU(), nn.Dropout(dropout)]
        units = 8 * width
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(units, classes))
