"""How images are stored, cut to size and scaled for a model."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrctl.errors import UsageError
from lrctl_workloads.data.packages import package
from lrctl_workloads.finetune.params import ImageClassificationParams, SegmentationParams
from lrctl_workloads.finetune.pretrained import Pretrained
from lrctl_workloads.finetune.task import Generator, Random, Row
from lrctl_workloads.network import Tensor

LEAST_AREA = 0.08
"""A random crop has at least this share of the image's area."""
SHAPES = (3 / 4, 4 / 3)
"""The width of a random crop over its height lies between these."""
TRIALS = 10
"""How often a random crop is drawn before it is given up."""
BILINEAR = 2
"""Pillow's number of the method to resize with where the processor names none."""


@dataclass(frozen=True, slots=True)
class ImageInput:
    """How a model wants its images: of height and width in pixels, less a mean, over a deviation."""

    height: int
    width: int
    mean: tuple[float, ...]
    """What is subtracted from each channel, of values from 0 to 1."""
    deviation: tuple[float, ...]
    resample: int
    """The number of Pillow's method to resize with."""

    @classmethod
    def of(cls, pretrained: Pretrained, size: int) -> ImageInput:
        """What a model's processor says; `size` is another height and width, unless it is 0."""
        processor = pretrained.load("AutoImageProcessor", "image processor")
        given = dict(getattr(processor, "size", None) or {})
        height, width = (size or given.get(name) or given.get("shortest_edge") for name in ("height", "width"))
        if not (height and width):
            raise UsageError(
                f"workload.image_size: the processor of '{pretrained.name}' does not say what size of images it wants; "
                "set it, to 224 perhaps"
            )
        mean, deviation = (
            tuple(map(float, getattr(processor, name, None) or (0.5,) * 3)) for name in ("image_mean", "image_std")
        )
        resample = getattr(processor, "resample", None)
        return cls(int(height), int(width), mean, deviation, BILINEAR if resample is None else int(resample))

    def scaled(self, images: list[Any]) -> Tensor:
        """Images as the model takes them: float32, shape (images, channels, height, width)."""
        import numpy as np
        import torch

        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)
        mean, deviation = (torch.tensor(each).view(1, -1, 1, 1) for each in (self.mean, self.deviation))
        return (pixels / 255 - mean) / deviation

    def resized(self, image: Any, box: tuple[int, int, int, int] | None = None) -> Any:
        """An image, or the part of it in a box, at the model's size."""
        return image.resize((self.width, self.height), self.resample, box)

    def noise(self, n: int, random: Generator) -> Tensor:
        """Made-up images: float32, shape (n, channels, height, width)."""
        import torch

        return torch.randn(n, len(self.mean), self.height, self.width, generator=random)


@dataclass(frozen=True)
class ImageTask:
    params: ImageClassificationParams | SegmentationParams
    pretrained: Pretrained

    outputs = 0

    @cached_property
    def input(self) -> ImageInput:
        return ImageInput.of(self.pretrained, self.params.image_size)

    def image(self, row: Row) -> Any:
        return image_of(row[self.params.image_column], "workload.image_column")

    def key(self, row: Row) -> bytes:
        return bytes(self.image(row).tobytes())


def image_of(value: Any, where: str, mode: str | None = "RGB") -> Any:
    """An image of a row: of Pillow's, or as a data set stores it (a path, or a dict of path and bytes)."""
    image = package("PIL.Image")
    try:
        if not isinstance(value, image.Image):
            stored = value if isinstance(value, Mapping) else {"path": value}
            value = image.open(io.BytesIO(stored["bytes"]) if stored.get("bytes") else stored["path"])
        return value.convert(mode) if mode and value.mode != mode else value
    except Exception as error:  # Pillow has many types, as have the formats.
        raise UsageError(f"{where}: must be a column of images, or of their paths, got {str(value)[:60]!r}") from error


def to_png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def from_png(content: bytes) -> Any:
    image = package("PIL.Image").open(io.BytesIO(content))
    image.load()
    return image


def mirrored(images: list[Any], random: Random) -> list[Any]:
    """Images that belong together, all of them mirrored half of the time."""
    if random.uniform() >= 0.5:
        return images
    flip = package("PIL.Image").Transpose.FLIP_LEFT_RIGHT
    return [image.transpose(flip) for image in images]


def centre(size: tuple[int, int], shape: float) -> tuple[int, int, int, int]:
    """The largest box of a shape (width over height) in the middle of an image: left, top, right, bottom."""
    width, height = min(size[0], round(size[1] * shape)), min(size[1], round(size[0] / shape))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def random_box(size: tuple[int, int], random: Random) -> tuple[int, int, int, int]:
    """A random part of an image, as torchvision's RandomResizedCrop draws it; all of it if none was found."""
    for _ in range(TRIALS):
        area = size[0] * size[1] * random.uniform(LEAST_AREA, 1)
        shape = math.exp(random.uniform(math.log(SHAPES[0]), math.log(SHAPES[1])))
        width, height = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < width <= size[0] and 0 < height <= size[1]:
            left, top = random.randint(size[0] - width + 1), random.randint(size[1] - height + 1)
            return left, top, left + width, top + height
    return 0, 0, *size
