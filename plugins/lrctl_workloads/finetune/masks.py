"""Semantic segmentation: what each pixel of an image belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lrctl.errors import UsageError
from lrctl_workloads.finetune.kind import UNLABELLED, share
from lrctl_workloads.finetune.packages import package
from lrctl_workloads.finetune.params import SegmentationParams
from lrctl_workloads.finetune.pictures import Input, input_of, mirrored, picture, png, unpacked

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lrctl_workloads.finetune.kind import Batch, Counts, Random
    from lrctl_workloads.finetune.labels import Labels
    from lrctl_workloads.finetune.packed import Array, Sample
    from lrctl_workloads.finetune.pretrained import Pretrained
    from lrctl_workloads.finetune.sources import Row


@dataclass(frozen=True)
class Masks:
    """A model that labels pixels.

    Images and masks are stored at the model's size. A training batch mirrors half of them. A batch has
    `pixel_values`, float32 of shape (rows, 3, height, width), and `labels`, int64 of shape (rows, height, width), 255
    where there is none.
    """

    params: SegmentationParams
    pretrained: Pretrained

    auto = "AutoModelForSemanticSegmentation"
    known = "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES"

    @cached_property
    def input(self) -> Input:
        """How the model wants its images."""
        return input_of(self.pretrained, self.params.image_size)

    def columns(self) -> dict[str, str]:
        """As `Kind` says."""
        return {name: getattr(self.params, name) for name in ("image_column", "mask_column")}

    def key(self, row: Row) -> bytes:
        """The image."""
        return bytes(picture(row[self.params.image_column], "workload.image_column").tobytes())

    def encode(self, rows: list[Row], labels: Labels) -> Iterator[list[Sample]]:
        """Each image and its mask as files in memory; none for a mask without labels."""
        for row in rows:
            image = picture(row[self.params.image_column], "workload.image_column")
            numbers = self.numbers(row[self.params.mask_column], labels)
            yield [{"image": png(self.input.resized(image)), "mask": png(numbers)}] if numbers else []

    def numbers(self, value: Any, labels: Labels) -> Any:
        """A mask at the model's size; None if no pixel has a label.

        Raises:
            UsageError: it is no image of one channel, or a label is out of range.
        """
        import numpy as np

        image = package("PIL.Image")
        mask = np.asarray(picture(value, "workload.mask_column", mode=None))
        if mask.ndim != 2 or mask.dtype.kind not in "ui":
            raise UsageError(
                f"workload.mask_column: '{self.params.mask_column}': a mask must have one channel of whole numbers, "
                f"got {mask.dtype} of shape {mask.shape}"
            )
        for label in np.unique(mask):
            if label != self.params.ignored:
                labels.number(int(label))
        if labels.highest >= UNLABELLED:
            raise UsageError(
                f"workload.mask_column: at most {UNLABELLED} labels can be told apart, got {labels.highest + 1}"
            )
        small = np.where(mask == self.params.ignored, UNLABELLED, mask).astype(np.uint8)
        resized = image.fromarray(small).resize((self.input.width, self.input.height), image.Resampling.NEAREST)
        return resized if (np.asarray(resized) != UNLABELLED).any() else None

    def batch(self, samples: list[dict[str, Array]], random: Random | None) -> Batch:
        """As `Kind` says."""
        import numpy as np
        import torch

        pairs = [(unpacked(sample["image"]), unpacked(sample["mask"])) for sample in samples]
        if random is not None and self.params.augment:
            pairs = [both_mirrored(pair, random) for pair in pairs]
        masks = torch.from_numpy(np.stack([np.asarray(mask) for _, mask in pairs])).long()
        return {"pixel_values": self.input.scaled([image for image, _ in pairs]), "labels": masks}

    def stand_in(self, config: Any, labels: int, n: int, random: torch.Generator) -> Batch:  # noqa: ARG002
        """As `Kind` says."""
        import torch

        shape = (n, self.input.height, self.input.width)
        pixels = torch.randn(n, len(self.input.mean), *shape[1:], generator=random)
        return {"pixel_values": pixels, "labels": torch.randint(labels, shape, generator=random)}

    def labels(self, config: Any, listed: int) -> int | None:
        """As many as the data has."""
        return listed or self.params.labels or config.num_labels

    def inputs(self, model: Any, batch: Batch) -> Mapping[str, Any]:
        """The batch, with what the model takes for no label."""
        ignored = getattr(model.config, "semantic_loss_ignore_index", UNLABELLED)
        wanted = batch["labels"]
        return batch | {"labels": wanted.masked_fill(wanted == UNLABELLED, ignored)}

    def counts(self, output: Any, batch: Batch, names: tuple[str, ...]) -> Counts:
        """Pixels with a label, and for each label those that have it, are given it, and both; shape (labels,)."""
        from torch.nn.functional import interpolate

        wanted = batch["labels"]
        logits = interpolate(output.logits.float(), wanted.shape[-2:], mode="bilinear", align_corners=False)
        kept = wanted != UNLABELLED
        true, found, n = wanted[kept], logits.argmax(1)[kept], len(names)
        return {
            "n": kept.sum(),
            "true": tallied(true, n),
            "claimed": tallied(found, n),
            "found": tallied(true[true == found], n),
        }

    def metrics(self, counts: Counts) -> dict[str, float]:
        """`accuracy` over pixels, and `mean_iou` over the labels that are there or were given."""
        union = counts["true"] + counts["claimed"] - counts["found"]
        there = union > 0
        mean_iou = float((counts["found"][there] / union[there]).mean()) if there.any() else 0.0
        return {"accuracy": share(counts["found"].sum(), counts["n"]), "mean_iou": mean_iou}


def both_mirrored(pair: tuple[Any, Any], random: Random) -> tuple[Any, Any]:
    """An image and its mask, mirrored half of the time."""
    state = random.get_state()
    image = mirrored(pair[0], random)
    random.set_state(state)
    return image, mirrored(pair[1], random)


def tallied(labels: Tensor, n: int) -> Tensor:
    """How often each of n labels is there; int64, shape (n,)."""
    import torch

    return torch.bincount(labels, minlength=n)
