"""Image classification: the kind that an image is of. Also how images are stored, cut to size and scaled."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lrctl.errors import UsageError
from lrctl_workloads.finetune.kind import share
from lrctl_workloads.finetune.packages import package
from lrctl_workloads.finetune.params import ImageClassificationParams

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lrctl_workloads.finetune.kind import Batch, Counts, Random
    from lrctl_workloads.finetune.labels import Labels
    from lrctl_workloads.finetune.packed import Array, Sample
    from lrctl_workloads.finetune.pretrained import Pretrained
    from lrctl_workloads.finetune.sources import Row

LEAST_AREA = 0.08
"""A random crop has at least this share of the image's area."""
SHAPES = (3 / 4, 4 / 3)
"""The width of a random crop over its height lies between these."""
TRIALS = 10
"""How often a random crop is drawn before it is given up."""


@dataclass(frozen=True, slots=True)
class Input:
    """How a model wants its images.

    Attributes:
        height: in pixels.
        width: in pixels.
        mean: what is subtracted from each channel, of values from 0 to 1.
        deviation: what each channel is divided by then.
        resample: the number of Pillow's method to resize with.
    """

    height: int
    width: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    resample: int

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


def input_of(pretrained: Pretrained, size: int) -> Input:
    """How a model wants its images, as its processor says; `size` is another height and width, unless it is 0.

    Raises:
        MissingError: the processor cannot be had.
        UsageError: it does not say.
    """
    processor = pretrained.processor()
    given = dict(getattr(processor, "size", None) or {})
    height, width = (given.get(name) or given.get("shortest_edge") for name in ("height", "width"))
    if not size and not (height and width):
        raise UsageError(
            f"workload.image_size: the processor of '{pretrained.name}' does not say what size of images it wants; set "
            "it, to 224 perhaps"
        )
    mean = tuple(map(float, getattr(processor, "image_mean", None) or (0.5,) * 3))
    deviation = tuple(map(float, getattr(processor, "image_std", None) or (0.5,) * 3))
    resample = getattr(processor, "resample", None)
    resample = 2 if resample is None else int(resample)
    return Input(size or int(height or 0), size or int(width or 0), mean, deviation, resample)


@dataclass(frozen=True)
class Pictures:
    """A model that tells what kind an image is of.

    Images are stored no larger than the model needs them: so that the shorter side has its length. A training batch
    takes random crops and mirror images of them, an evaluation their centres, as transformers' own example does. A
    batch has `pixel_values`, float32 of shape (rows, 3, height, width), and `labels`, int64 of shape (rows,).
    """

    params: ImageClassificationParams
    pretrained: Pretrained

    auto = "AutoModelForImageClassification"
    known = "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES"

    @cached_property
    def input(self) -> Input:
        """How the model wants its images."""
        return input_of(self.pretrained, self.params.image_size)

    def columns(self) -> dict[str, str]:
        """As `Kind` says."""
        return {name: getattr(self.params, name) for name in ("image_column", "label_column")}

    def key(self, row: Row) -> bytes:
        """The image."""
        return bytes(picture(row[self.params.image_column], "workload.image_column").tobytes())

    def encode(self, rows: list[Row], labels: Labels) -> Iterator[list[Sample]]:
        """Each image as a file in memory, with its label."""
        for row in rows:
            image = picture(row[self.params.image_column], "workload.image_column")
            smallest = min(1.0, max(self.input.height / image.height, self.input.width / image.width))
            size = (math.ceil(image.width * smallest), math.ceil(image.height * smallest))
            small = image if smallest == 1 else image.resize(size, self.input.resample)
            yield [{"image": png(small), "label": [labels.number(row[self.params.label_column])]}]

    def batch(self, samples: list[dict[str, Array]], random: Random | None) -> Batch:
        """As `Kind` says."""
        import torch

        images = [unpacked(sample["image"]) for sample in samples]
        cut = [self.cut(image, random if self.params.augment else None) for image in images]
        labels = torch.tensor([int(sample["label"][0]) for sample in samples])
        return {"pixel_values": self.input.scaled(cut), "labels": labels}

    def cut(self, image: Any, random: Random | None) -> Any:
        """An image at the model's size: its centre, or a random crop that may be mirrored."""
        if random is None:
            return self.input.resized(image, centre(image.size, self.input.width / self.input.height))
        return mirrored(self.input.resized(image, random_box(image.size, random)), random)

    def stand_in(self, config: Any, labels: int, n: int, random: torch.Generator) -> Batch:  # noqa: ARG002
        """As `Kind` says."""
        import torch

        pixels = torch.randn(n, len(self.input.mean), self.input.height, self.input.width, generator=random)
        return {"pixel_values": pixels, "labels": torch.randint(labels, (n,), generator=random)}

    def labels(self, config: Any, listed: int) -> int | None:
        """As many as the data has."""
        return listed or self.params.labels or config.num_labels

    def inputs(self, model: Any, batch: Batch) -> Mapping[str, Any]:  # noqa: ARG002
        """The batch."""
        return batch

    def counts(self, output: Any, batch: Batch, names: tuple[str, ...]) -> Counts:  # noqa: ARG002
        """Images, and those told right."""
        import torch

        right = output.logits.argmax(-1) == batch["labels"]
        return {"n": torch.tensor(len(right)), "right": right.sum()}

    def metrics(self, counts: Counts) -> dict[str, float]:
        """`accuracy`: the share of images told right."""
        return {"accuracy": share(counts["right"], counts["n"])}


def picture(value: Any, where: str, mode: str | None = "RGB") -> Any:
    """An image of a row: of Pillow's, or as a data set stores it (a path, or a dict of path and bytes).

    Raises:
        MissingError: Pillow is missing.
        UsageError: it is no image.
    """
    image = package("PIL.Image")
    try:
        if not isinstance(value, image.Image):
            stored = value if isinstance(value, Mapping) else {"path": value}
            value = image.open(io.BytesIO(stored["bytes"]) if stored.get("bytes") else stored["path"])
        return value.convert(mode) if mode and value.mode != mode else value
    except Exception as error:  # Pillow has many types, as have the formats.
        raise UsageError(f"{where}: must be a column of images, or of their paths, got {str(value)[:60]!r}") from error


def png(image: Any) -> bytes:
    """An image as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def unpacked(content: Array) -> Any:
    """The inverse of `png`."""
    image = package("PIL.Image").open(io.BytesIO(content.tobytes()))
    image.load()
    return image


def mirrored(image: Any, random: Random) -> Any:
    """An image, mirrored half of the time."""
    return image.transpose(package("PIL.Image").Transpose.FLIP_LEFT_RIGHT) if random.uniform() < 0.5 else image


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
