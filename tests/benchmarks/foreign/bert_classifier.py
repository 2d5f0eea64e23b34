"""Sequence classification with a small BERT of transformers, as its examples do it, on sentences that are made up.

A sentence holds words of three kinds, some of no kind, and padding; its label is the kind that is most frequent.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

VOCAB, KINDS, LENGTH, PAD, CLS = 64, 3, 16, 0, 1
Encoded = dict[str, Tensor]


def sentences(n: int) -> Encoded:
    g = torch.Generator().manual_seed(42)
    labels = torch.randint(KINDS, (n,), generator=g)
    likely = torch.full((n, KINDS + 1), 0.22).scatter(1, labels[:, None], 0.4)
    kind = torch.multinomial(likely, LENGTH, replacement=True, generator=g)
    words = 4 + kind * 15 + torch.randint(15, (n, LENGTH), generator=g)
    length = torch.randint(LENGTH // 2, LENGTH + 1, (n, 1), generator=g)
    mask = torch.arange(LENGTH) < length
    counts = torch.stack([((kind == k) & mask).sum(1) for k in range(KINDS)], 1)
    ids = torch.cat([torch.full((n, 1), CLS), torch.where(mask, words, PAD)], 1)
    mask = torch.cat([torch.ones(n, 1, dtype=torch.bool), mask], 1)
    return {"input_ids": ids, "attention_mask": mask.long(), "labels": counts.argmax(1)}


class TinyBert:
    def __init__(self, seed: int, hidden_size: int = 32, batch_size: int = 32) -> None:
        self.seed, self.batch_size = seed, batch_size
        self.config = BertConfig(
            vocab_size=VOCAB,
            hidden_size=hidden_size,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=4 * hidden_size,
            max_position_embeddings=LENGTH + 1,
            pad_token_id=PAD,
        )
        self.config.num_labels = KINDS
        self.data = sentences(6000)
        self.splits = {"validation": slice(4000, 5000), "test": slice(5000, 6000)}

    def model(self) -> BertForSequenceClassification:
        return BertForSequenceClassification(self.config)

    def optimizer(self, model: BertForSequenceClassification) -> torch.optim.Optimizer:
        no_decay = ["bias", "LayerNorm.weight"]
        named = list(model.named_parameters())
        grouped = [
            {"params": [p for n, p in named if not any(nd in n for nd in no_decay)], "weight_decay": 0.01},
            {"params": [p for n, p in named if any(nd in n for nd in no_decay)], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(grouped, lr=5e-4)
        optimizer.register_step_pre_hook(lambda *_: clip(model))
        return optimizer

    def batch(self, step: int) -> Encoded:
        rows = torch.randint(
            4000, (self.batch_size,), generator=torch.Generator().manual_seed(self.seed + 65_537 * step)
        )
        return {name: tensor[rows] for name, tensor in self.data.items()}

    def loss(self, model: BertForSequenceClassification, batch: Encoded) -> Tensor:
        loss: Tensor = model(**batch).loss
        return loss

    def evaluate(self, model: BertForSequenceClassification, split: str) -> dict[str, Any]:
        rows = {name: tensor[self.splits[split]] for name, tensor in self.data.items()}
        out = model(**rows)
        return {"loss": out.loss.item(), "accuracy": (out.logits.argmax(-1) == rows["labels"]).float().mean().item()}


def clip(model: nn.Module) -> None:
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
