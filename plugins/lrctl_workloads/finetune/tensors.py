"""Samples as tensors, and what is counted in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrctl_workloads.finetune.task import Batch, Generator, Sample
from lrctl_workloads.network import Tensor

IGNORED = -100
"""The label of what has none: transformers leaves it out of the loss."""

UNLABELLED = 255
"""The same in a segmentation, unless the model says otherwise."""


def padded(rows: Sequence[Sequence[int]], length: int, fill: int) -> Tensor:
    """Rows with `fill` after their ends: int64, shape (rows, length)."""
    import torch

    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows], dtype=torch.int64)


def attention_mask(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    """1 for tokens and 0 for padding: int64, shape (rows, length)."""
    return padded([[1] * len(row) for row in rows], length, 0)


def padding_token(tokenizer: Any) -> int:
    """The token that fills up; any will do where there is none, as the mask hides it."""
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


def token_columns(encoding: Any, i: int) -> dict[str, list[int]]:
    """The token ids of an encoded text and, if the tokenizer has them, their types."""
    return {name: encoding[name][i] for name in ("input_ids", "token_type_ids") if name in encoding}


def text_inputs(samples: list[Sample], length: int, tokenizer: Any) -> Batch:
    """Token ids, mask and, if the tokenizer has them, types: int64, shape (samples, length)."""
    ids = [sample["input_ids"] for sample in samples]
    batch = {"input_ids": padded(ids, length, padding_token(tokenizer)), "attention_mask": attention_mask(ids, length)}
    if "token_type_ids" in samples[0]:
        batch["token_type_ids"] = padded([sample["token_type_ids"] for sample in samples], length, 0)
    return batch


def random_tokens(config: Any, shape: tuple[int, int], random: Generator) -> Tensor:
    import torch

    sizes = [getattr(config, name, None) for name in ("vocab_size", "src_vocab_size", "tgt_vocab_size")]
    return torch.randint(min(size for size in sizes if size), shape, generator=random)


def share(part: Tensor, whole: Tensor) -> float:
    """A share; 0 of nothing is 0."""
    return float(part) / float(whole) if float(whole) else 0.0
