"""Fine-tuning a model of transformers: the same for every task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from lrctl.contracts.workload import drawn
from lrctl.errors import UsageError
from lrctl_workloads.data.cache import is_cached
from lrctl_workloads.data.packages import package
from lrctl_workloads.finetune import params as parameters
from lrctl_workloads.finetune.encode import encode
from lrctl_workloads.finetune.encoded import Encoded, chunks, encoded
from lrctl_workloads.finetune.image_classification import ImageClassification
from lrctl_workloads.finetune.pretrained import Pretrained
from lrctl_workloads.finetune.question_answering import QuestionAnswering
from lrctl_workloads.finetune.segmentation import Segmentation
from lrctl_workloads.finetune.seq2seq import Seq2Seq
from lrctl_workloads.finetune.sources import Source
from lrctl_workloads.finetune.task import Batch, Counts, Labels, Task
from lrctl_workloads.finetune.tensors import IGNORED, UNLABELLED
from lrctl_workloads.finetune.token_classification import TokenClassification
from lrctl_workloads.network import Module, Tensor, check_split, evaluating, matrices_decay, score_rows

TASKS: dict[type[parameters.TaskParams], tuple[str, Callable[[Any, Pretrained], Task]]] = {
    parameters.TranslationParams: ("translation", Seq2Seq),
    parameters.SummarizationParams: ("summarization", Seq2Seq),
    parameters.QuestionAnsweringParams: ("question-answering", QuestionAnswering),
    parameters.TokenClassificationParams: ("token-classification", TokenClassification),
    parameters.ImageClassificationParams: ("image-classification", ImageClassification),
    parameters.SegmentationParams: ("segmentation", Segmentation),
}

FORMAT = 2
"""Raised when samples are chosen or encoded otherwise than before."""
NOT_ENCODED = ("model", "data", "pretrained", "batch_size", "augment")
"""Parameters that do not change how rows are encoded, or are named by a digest."""


def fine_tuning(params: parameters.TaskParams, seed: int) -> FineTuning:
    name, task = TASKS[type(params)]
    pretrained = Pretrained(params.model, params.pretrained)
    return FineTuning(params, seed, name, task(params, pretrained), pretrained)


@dataclass(frozen=True)
class FineTuning:
    """A model of transformers that is trained on a task.

    A batch is a dict of tensors, as `task` says. Its loss is the model's own. The split into training, validation, test
    and scoring is the same for every seed.
    """

    params: parameters.TaskParams
    seed: int
    name: str
    task: Task
    pretrained: Pretrained

    def prepare(self) -> str:
        """Encode the data unless that is done; a digest of it and of what decides the model's first weights.

        Raises:
            MissingError: a package, the model or the data is not on this machine, and cannot be fetched.
            UsageError: they cannot be used, or there is too little data.
        """
        self.check_model()
        for part in ("training", "validation", "test"):
            if not self.encoded.size(part):
                raise UsageError(
                    f"workload.data: '{self.params.data}' leaves nothing for {part}; give more rows (some hundreds), "
                    "or name another split"
                )
        if self.params.pretrained:
            self.pretrained.folder(weights=True)
        return hashlib.sha256(f"{self.encoded.digest} {self.first_state}".encode()).hexdigest()

    def check_model(self) -> None:
        found = self.pretrained.config().model_type
        able = getattr(package("transformers.models.auto.modeling_auto"), self.task.model_types)
        if found not in able:
            raise UsageError(
                f"workload.model: '{self.params.model}' is of the type {found}, which cannot do {self.name}; take "
                f"one of a type such as {', '.join(sorted(able)[:5])}"
            )

    def ready(self) -> bool:
        """Whether the data is encoded and the model is on this machine; looks, and fetches nothing."""
        source = Source(self.params.data)
        known = source.hub is None or source.hub.repository.recorded()
        return bool(known) and self.pretrained.is_here(weights=self.params.pretrained) and is_cached(self.encoded_as)

    def stand_in(self, step: int) -> Batch:
        import torch

        config = self.pretrained.config()
        return self.task.stand_in(config, self.outputs(config, 0), torch.Generator().manual_seed(step))

    def prepared_bytes(self) -> int:
        """0: how long texts and how large images are is not known before they are read."""
        return 0

    def model(self) -> Module:
        """The model: from its weights, where these are wanted and `prepare` has fetched them, else fresh."""
        prepared = "first_state" in vars(self)
        if prepared and self.first_state != self.pretrained.digest():
            raise UsageError(
                f"workload.model: the files of '{self.params.model}' changed while the search runs; give the same "
                "command again"
            )
        ready, config = prepared or self.ready(), self.pretrained.config()
        config.num_labels = self.outputs(config, len(self.encoded.labels) if ready else 0)
        return self.pretrained.build(self.task.auto_class, config, weights=self.params.pretrained and ready)

    def outputs(self, config: Any, labels: int) -> int:
        """How many labels the model is to have, given how many the data has; 0 is not known."""
        return int(self.task.outputs or labels or getattr(self.params, "labels", 0) or config.num_labels)

    param_groups = staticmethod(matrices_decay)

    def batch(self, step: int) -> Batch:
        import numpy as np

        rows = drawn(self.seed, step, self.params.batch_size, self.encoded.size("training"))
        # The legacy generator: numpy promises that its stream never changes.
        random = np.random.RandomState([self.seed & 0xFFFFFFFF, step & 0xFFFFFFFF])
        return self.task.batch(self.encoded.samples("training", rows), random)

    def steps_per_epoch(self) -> float:
        return self.encoded.size("training") / self.params.batch_size

    def score_batch(self, i: int) -> Batch:
        rows = score_rows(i, self.params.batch_size, self.encoded.size("score"))
        return self.task.batch(self.encoded.samples("score", rows), None)

    def loss(self, model: Module, batch: Batch) -> Tensor:
        """The model's own loss, in nats."""
        loss: Tensor = model(**self.task.inputs(model, batch)).loss.float()
        return loss

    def weight(self, batch: Batch) -> float:
        """How many labels the loss of a batch is the mean over: tokens, words or pixels that count, else rows."""
        labels = batch.get("labels")
        if labels is None or labels.dim() < 2:
            return float(len(next(iter(batch.values()))))
        return float(labels.ne(UNLABELLED if "pixel_values" in batch else IGNORED).sum())

    def evaluate(self, model: Module, split: str) -> Mapping[str, float]:
        """The task's metrics, and `loss`, the mean over tokens, words, windows, images or pixels as the model's own."""
        check_split(split)
        total, device = 0.0, next(model.parameters()).device
        sums: dict[str, Any] = {}
        with evaluating(model):
            for rows in chunks(range(self.encoded.size(split)), self.params.batch_size):
                batch = {k: v.to(device) for k, v in self.task.batch(self.encoded.samples(split, rows), None).items()}
                output = model(**self.task.inputs(model, batch))
                counts: Counts = self.task.counts(output, batch, self.encoded.labels)
                total += float(output.loss) * float(counts["n"])
                sums = {name: sums.get(name, 0) + count for name, count in counts.items()}
        return {"loss": total / float(sums["n"]), **self.task.metrics(sums)}

    @cached_property
    def first_state(self) -> str:
        """What named the state of the model when it was asked for first."""
        return self.pretrained.digest()

    @property
    def encoded_as(self) -> str:
        """The name of the encoded samples in the cache, which tells what decides them."""
        chosen = {name: value for name, value in asdict(self.params).items() if name not in NOT_ENCODED}
        parts = Pretrained(self.params.model, weights=False).digest()
        key = json.dumps([FORMAT, self.name, chosen, parts, Source(self.params.data).digest()], sort_keys=True)
        return f"encoded-{hashlib.sha256(key.encode()).hexdigest()[:32]}.arrow"

    @cached_property
    def encoded(self) -> Encoded:
        """The encoded data; read on first use, so that an unused workload costs nothing."""
        labels = Labels(f"workload.data: '{self.params.data}'", getattr(self.params, "labels", 0))
        return encoded(self.encoded_as, lambda: encode(self.task, self.params, labels), labels.listed)
