"""Token classification: a label for each word of a text, such as whether it is a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrctl.errors import UsageError
from lrctl_workloads.finetune.params import TokenClassificationParams
from lrctl_workloads.finetune.pretrained import Pretrained
from lrctl_workloads.finetune.task import Batch, Counts, Generator, Labels, Random, Row, Sample
from lrctl_workloads.finetune.tensors import IGNORED, padded, random_tokens, share, text_inputs, token_columns

WITH_SPACE = ("bloom", "gpt2", "roberta", "deberta")
"""Models whose tokenizers take words only if these begin with a space."""


@dataclass(frozen=True)
class TokenClassification:
    """A model that labels words; the first token of each word stands for it.

    A batch has `input_ids`, `attention_mask` and, if the tokenizer has them, `token_type_ids`, and `labels`, all int64
    of shape (rows, max_tokens); labels of padding and of a word's other tokens are -100. Words beyond the length are
    cut off.
    """

    params: TokenClassificationParams
    pretrained: Pretrained

    auto_class = "AutoModelForTokenClassification"
    model_types = "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES"
    outputs = 0
    columns = ("tokens_column", "tags_column")

    @cached_property
    def tokenizer(self) -> Any:
        space = self.pretrained.config().model_type in WITH_SPACE
        return self.pretrained.fast_tokenizer(**({"add_prefix_space": True} if space else {}))

    def key(self, row: Row) -> bytes:
        return "\n".join(map(str, row[self.params.tokens_column] or ())).encode()

    def encode(self, rows: list[Row], labels: Labels) -> list[list[Sample]]:
        p = self.params
        texts = [list(map(str, row[p.tokens_column] or ())) for row in rows]
        tags = [[labels.number(tag) for tag in row[p.tags_column] or ()] for row in rows]
        for words, numbers in zip(texts, tags, strict=True):
            if len(words) != len(numbers):
                raise UsageError(f"workload.tags_column: a text of {len(words)} words has {len(numbers)} labels")
        samples: list[list[Sample]] = [[] for _ in rows]
        kept = [i for i, words in enumerate(texts) if words]
        if kept:
            encoding = self.tokenizer(
                [texts[i] for i in kept], truncation=True, max_length=p.max_tokens, is_split_into_words=True
            )
            for number, i in enumerate(kept):
                targets = labels_of(encoding.word_ids(number), tags[i])
                if any(label != IGNORED for label in targets):
                    samples[i] = [token_columns(encoding, number) | {"labels": targets}]
        return samples

    def batch(self, samples: list[Sample], random: Random | None) -> Batch:  # noqa: ARG002 - as it is
        labels = padded([sample["labels"] for sample in samples], self.params.max_tokens, IGNORED)
        return text_inputs(samples, self.params.max_tokens, self.tokenizer) | {"labels": labels}

    def stand_in(self, config: Any, labels: int, random: Generator) -> Batch:
        import torch

        ids = random_tokens(config, (self.params.batch_size, self.params.max_tokens), random)
        drawn = torch.randint(labels, ids.shape, generator=random)
        return {"input_ids": ids, "attention_mask": ids * 0 + 1, "labels": drawn}

    def inputs(self, model: Any, batch: Batch) -> Mapping[str, Any]:  # noqa: ARG002
        return batch

    def counts(self, output: Any, batch: Batch, names: tuple[str, ...]) -> Counts:
        """Words, those labelled right, and those that are something: in truth, as predicted, and in both."""
        predicted, true = output.logits.argmax(-1), batch["labels"]
        counted = true != IGNORED
        outside = names.index(self.params.outside) if self.params.outside in names else -1
        right = (predicted == true) & counted
        return {
            "n": counted.sum(),
            "right": right.sum(),
            "true": ((true != outside) & counted).sum(),
            "predicted": ((predicted != outside) & counted).sum(),
            "both": (right & (true != outside)).sum(),
        }

    def metrics(self, counts: Counts) -> dict[str, float]:
        """`accuracy` over words, and `f1` of those that are something, word by word."""
        f1 = share(2 * counts["both"], counts["true"] + counts["predicted"])
        return {"accuracy": share(counts["right"], counts["n"]), "f1": f1}


def labels_of(words: list[int | None], tags: list[int]) -> list[int]:
    """The label of each token, given which word it belongs to: that of its word if it is the first one of it."""
    first = [word is not None and (i == 0 or words[i - 1] != word) for i, word in enumerate(words)]
    return [tags[word] if new and word is not None else IGNORED for word, new in zip(words, first, strict=True)]
