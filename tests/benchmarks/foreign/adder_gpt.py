"""A transformer that learns to add numbers of two digits, after the adder of minGPT.

"85+50=135" is the sequence 8 5 5 0 5 3 1: the sum's digits come reversed, and only they count in the loss. Dropout 0.1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

NDIGIT = 2
LENGTH = 3 * NDIGIT  # of the input: all digits but the last
VOCAB = 10


def problems() -> tuple[Tensor, Tensor]:
    """All of them, shuffled: inputs, and targets with -100 where the digit is given."""
    order = torch.randperm(10 ** (2 * NDIGIT), generator=torch.Generator().manual_seed(1337))
    rows = []
    for index in order.tolist():
        a, b = divmod(index, 10**NDIGIT)
        text = f"{a:0{NDIGIT}d}{b:0{NDIGIT}d}" + f"{a + b:0{NDIGIT + 1}d}"[::-1]
        rows.append([int(digit) for digit in text])
    digits = torch.tensor(rows)
    x, y = digits[:, :-1], digits[:, 1:].clone()
    y[:, : 2 * NDIGIT - 1] = -100
    return x, y


class Adder(nn.Module):
    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.token = nn.Embedding(VOCAB, width)
        self.position = nn.Parameter(torch.zeros(1, LENGTH, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, VOCAB)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.blocks(self.token(x) + self.position, mask=self.mask, is_causal=True)
        logits: Tensor = self.head(hidden)
        return logits


class AdderGPT:
    def __init__(self, seed: int, width: int = 48, layers: int = 2, heads: int = 4, batch_size: int = 32) -> None:
        self.seed, self.sizes, self.batch_size = seed, (width, layers, heads), batch_size
        self.x, self.y = problems()
        self.splits = {"validation": slice(8000, 9000), "test": slice(9000, 10000)}

    def model(self) -> Adder:
        return Adder(*self.sizes)

    def param_groups(self, model: Adder) -> list[dict[str, Any]]:
        decay: list[nn.Parameter] = []
        no_decay: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            (no_decay if "norm" in name or name.endswith("bias") or "token" in name else decay).append(parameter)
        return [{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        g = torch.Generator().manual_seed(10_000 * self.seed + step)
        rows = torch.randint(8000, (self.batch_size,), generator=g)
        return self.x[rows], self.y[rows]

    def loss(self, model: Adder, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())

    def evaluate(self, model: Adder, split: str) -> dict[str, float]:
        x, y = self.x[self.splits[split]], self.y[self.splits[split]]
        logits = model(x)
        right = (logits.argmax(-1) == y) | (y == -100)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
        return {"loss": loss.item(), "accuracy": right.all(1).float().mean().item()}
