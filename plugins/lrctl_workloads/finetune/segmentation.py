"""Semantic segmentation: what each pixel of an image belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrctl.errors import UsageError
from lrctl_workloads.data.packages import package
from lrctl_workloads.finetune.images import ImageTask, from_png, image_of, mirrored, to_png
from lrctl_workloads.finetune.params import SegmentationParams
from lrctl_workloads.finetune.task import Batch, Counts, Generator, Labels, Random, Row, Sample
from lrctl_workloads.finetune.tensors import UNLABELLED, share


@dataclass(frozen=True)
class Segmentation(ImageTask):
    """A model that labels pixels.

    Images and masks are stored at the model's size. A training batch mirrors half of them. A batch has
    `pixel_values`, float32 of shape (rows, 3, height, width), and `labels`, int64 of shape (rows, height, width), 255
    where there is none.
    """

    params: SegmentationParams

    auto_class = "AutoModelForSemanticSegmentation"
    model_types = "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES"
    columns = ("image_column", "mask_column")

    def encode(self, rows: list[Row], labels: Labels) -> Iterator[list[Sample]]:
        """Each image and its mask as files in memory; none for a mask without labels."""
        for row in rows:
            image, mask = self.image(row), self.mask(row, labels)
            yield [{"image": to_png(self.input.resized(image)), "mask": to_png(mask)}] if mask else []

    def mask(self, row: Row, labels: Labels) -> Any:
        """A mask at the model's size; None if no pixel has a label."""
        import numpy as np

        image = package("PIL.Image")
        mask = np.asarray(image_of(row[self.params.mask_column], "workload.mask_column", mode=None))
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

    def batch(self, samples: list[Sample], random: Random | None) -> Batch:
        import numpy as np
        import torch

        pairs = [[from_png(sample["image"]), from_png(sample["mask"])] for sample in samples]
        if random is not None and self.params.augment:
            pairs = [mirrored(pair, random) for pair in pairs]
        masks = torch.from_numpy(np.stack([np.asarray(mask) for _, mask in pairs])).long()
        return {"pixel_values": self.input.scaled([image for image, _ in pairs]), "labels": masks}

    def stand_in(self, config: Any, labels: int, random: Generator) -> Batch:  # noqa: ARG002
        import torch

        pixels = self.input.noise(self.params.batch_size, random)
        shape = (len(pixels), *pixels.shape[2:])
        return {"pixel_values": pixels, "labels": torch.randint(labels, shape, generator=random)}

    def inputs(self, model: Any, batch: Batch) -> Mapping[str, Any]:
        """The batch, with what the model takes for no label."""
        ignored = getattr(model.config, "semantic_loss_ignore_index", UNLABELLED)
        labels = batch["labels"]
        return batch | {"labels": labels.masked_fill(labels == UNLABELLED, ignored)}

    def counts(self, output: Any, batch: Batch, names: tuple[str, ...]) -> Counts:
        """Pixels with a label, and for each label those that have it, are given it, and both; shape (labels,)."""
        import torch
        from torch.nn.functional import interpolate

        labels = batch["labels"]
        logits = interpolate(output.logits.float(), labels.shape[-2:], mode="bilinear", align_corners=False)
        kept = labels != UNLABELLED
        true, predicted = labels[kept], logits.argmax(1)[kept]
        pixels = {"true": true, "predicted": predicted, "both": true[true == predicted]}
        tallies = {name: torch.bincount(found, minlength=len(names)) for name, found in pixels.items()}
        return {"n": kept.sum(), **tallies}

    def metrics(self, counts: Counts) -> dict[str, float]:
        """`accuracy` over pixels, and `mean_iou` over the labels that are there or were given."""
        union = counts["true"] + counts["predicted"] - counts["both"]
        there = union > 0
        mean_iou = float((counts["both"][there] / union[there]).mean()) if there.any() else 0.0
        return {"accuracy": share(counts["both"].sum(), counts["n"]), "mean_iou": mean_iou}
