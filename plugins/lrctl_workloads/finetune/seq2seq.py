"""Translation and summarisation: a text that a model makes of a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrctl.errors import UsageError, unknown
from lrctl_workloads.finetune.params import SummarizationParams, TranslationParams
from lrctl_workloads.finetune.pretrained import Pretrained
from lrctl_workloads.finetune.sources import text_of
from lrctl_workloads.finetune.task import Batch, Counts, Generator, Labels, Random, Row, Sample
from lrctl_workloads.finetune.tensors import IGNORED, attention_mask, padded, padding_token, random_tokens, share


@dataclass(frozen=True)
class Seq2Seq:
    """A model that makes a target of a source, learning to predict each of its tokens from those before.

    Rows without source or target are left out. A batch has `input_ids` and `attention_mask`, shape (rows,
    max_source_tokens), and `labels`, shape (rows, max_target_tokens), all int64; labels of padding are -100.
    """

    params: TranslationParams | SummarizationParams
    pretrained: Pretrained

    auto_class = "AutoModelForSeq2SeqLM"
    model_types = "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"
    outputs = 0

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer, set to the languages where it knows several."""
        tokenizer = self.pretrained.load("AutoTokenizer", "tokenizer")
        for name, code in (("src_lang", "source_code"), ("tgt_lang", "target_code")):
            if value := getattr(self.params, code, ""):
                setattr(tokenizer, name, value)
        return tokenizer

    @property
    def names(self) -> tuple[str, str]:
        """The parameters that name source and target: columns, or keys of one column."""
        return ("source", "target") if isinstance(self.params, TranslationParams) else ("text_column", "summary_column")

    @property
    def column(self) -> str:
        """The column that holds both; "" is none."""
        return self.params.column if isinstance(self.params, TranslationParams) else ""

    @property
    def columns(self) -> tuple[str, ...]:
        return ("column",) if self.column else self.names

    def pair(self, row: Row) -> tuple[str, str]:
        """Source and target of a row; "" where one is missing."""
        texts = row[self.column] if self.column else row
        if not isinstance(texts, Mapping):
            raise UsageError(f"workload.column: '{self.column}' must hold a text by language, got {str(texts)[:40]!r}")
        keys = {name: str(getattr(self.params, name)) for name in self.names}
        for name, key in keys.items():
            if key not in texts:
                raise unknown("language", key, texts, f"workload.{name}: '{self.column}'")
        source, target = (text_of(texts[key], f"workload.{name}: '{key}'") for name, key in keys.items())
        return source, target

    def key(self, row: Row) -> bytes:
        return self.pair(row)[0].encode()

    def encode(self, rows: list[Row], labels: Labels) -> list[list[Sample]]:  # noqa: ARG002 - there are none
        p, pairs = self.params, [self.pair(row) for row in rows]
        kept = [i for i, pair in enumerate(pairs) if all(text.strip() for text in pair)]
        samples: list[list[Sample]] = [[] for _ in rows]
        if kept:
            sources, targets = [p.prefix + pairs[i][0] for i in kept], [pairs[i][1] for i in kept]
            encoded_sources = self.tokenizer(sources, max_length=p.max_source_tokens, truncation=True)
            encoded_targets = self.tokenizer(text_target=targets, max_length=p.max_target_tokens, truncation=True)
            ids = (encoded_sources["input_ids"], encoded_targets["input_ids"])
            for i, source, target in zip(kept, *ids, strict=True):
                samples[i] = [{"source": source, "target": target}] if source and target else []
        return samples

    def batch(self, samples: list[Sample], random: Random | None) -> Batch:  # noqa: ARG002 - as it is
        p, sources = self.params, [sample["source"] for sample in samples]
        return {
            "input_ids": padded(sources, p.max_source_tokens, padding_token(self.tokenizer)),
            "attention_mask": attention_mask(sources, p.max_source_tokens),
            "labels": padded([sample["target"] for sample in samples], p.max_target_tokens, IGNORED),
        }

    def stand_in(self, config: Any, labels: int, random: Generator) -> Batch:  # noqa: ARG002
        p = self.params
        ids = random_tokens(config, (p.batch_size, p.max_source_tokens), random)
        targets = random_tokens(config, (p.batch_size, p.max_target_tokens), random)
        return {"input_ids": ids, "attention_mask": ids * 0 + 1, "labels": targets}

    def inputs(self, model: Any, batch: Batch) -> Mapping[str, Any]:
        """The batch, and the target shifted by one where the model does not see to that itself."""
        shift = getattr(model, "prepare_decoder_input_ids_from_labels", None)
        # FSMT would take the source for it, and changes what it is given.
        return batch | {"decoder_input_ids": shift(batch["labels"].clone())} if shift else batch

    def counts(self, output: Any, batch: Batch, names: tuple[str, ...]) -> Counts:  # noqa: ARG002
        """Tokens of the targets, and those that the model would have chosen, given the true ones before."""
        counted = batch["labels"] != IGNORED
        right = (output.logits.argmax(-1) == batch["labels"]) & counted
        return {"n": counted.sum(), "right": right.sum()}

    def metrics(self, counts: Counts) -> dict[str, float]:
        """`accuracy`: the share of tokens predicted right."""
        return {"accuracy": share(counts["right"], counts["n"])}
