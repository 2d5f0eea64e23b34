"""Image classification: the label of an image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrctl_workloads.finetune.images import ImageTask, centre, from_png, mirrored, random_box, to_png
from lrctl_workloads.finetune.params import ImageClassificationParams
from lrctl_workloads.finetune.task import Batch, Counts, Generator, Labels, Random, Row, Sample
from lrctl_workloads.finetune.tensors import share


@dataclass(frozen=True)
class ImageClassification(ImageTask):
    """A model that tells which label an image has.

    Images are stored no larger than the model needs them: so that the shorter side has its length. A training batch
    takes random crops and mirror images of them, an evaluation their centres, as transformers' own example does. A
    batch has `pixel_values`, float32 of shape (rows, 3, height, width), and `labels`, int64 of shape (rows,).
    """

    params: ImageClassificationParams

    auto_class = "AutoModelForImageClassification"
    model_types = "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES"
    columns = ("image_column", "label_column")

    def encode(self, rows: list[Row], labels: Labels) -> Iterator[list[Sample]]:
        for row in rows:
            image = self.image(row)
            smallest = min(1.0, max(self.input.height / image.height, self.input.width / image.width))
            size = (math.ceil(image.width * smallest), math.ceil(image.height * smallest))
            small = image if smallest == 1 else image.resize(size, self.input.resample)
            yield [{"image": to_png(small), "label": [labels.number(row[self.params.label_column])]}]

    def batch(self, samples: list[Sample], random: Random | None) -> Batch:
        import torch

        images = [from_png(sample["image"]) for sample in samples]
        cropped = [self.cropped(image, random if self.params.augment else None) for image in images]
        labels = torch.tensor([sample["label"][0] for sample in samples])
        return {"pixel_values": self.input.scaled(cropped), "labels": labels}

    def cropped(self, image: Any, random: Random | None) -> Any:
        """An image at the model's size: its centre, or a random crop that may be mirrored."""
        if random is None:
            return self.input.resized(image, centre(image.size, self.input.width / self.input.height))
        return mirrored([self.input.resized(image, random_box(image.size, random))], random)[0]

    def stand_in(self, config: Any, labels: int, random: Generator) -> Batch:  # noqa: ARG002
        import torch

        n = self.params.batch_size
        pixels = self.input.noise(n, random)
        return {"pixel_values": pixels, "labels": torch.randint(labels, (n,), generator=random)}

    def inputs(self, model: Any, batch: Batch) -> Mapping[str, Any]:  # noqa: ARG002
        return batch

    def counts(self, output: Any, batch: Batch, names: tuple[str, ...]) -> Counts:  # noqa: ARG002
        import torch

        right = output.logits.argmax(-1) == batch["labels"]
        return {"n": torch.tensor(len(right)), "right": right.sum()}

    def metrics(self, counts: Counts) -> dict[str, float]:
        """`accuracy`: the share of images classified right."""
        return {"accuracy": share(counts["right"], counts["n"])}
