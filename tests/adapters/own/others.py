"""Projects of other kinds, each under lrctl by `lrctl.workload` alone."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import Dataset, TensorDataset

import lrctl

generator = torch.Generator().manual_seed(0)
text = torch.randint(0, 20, (5000,), generator=generator)
points = TensorDataset(torch.randn(800, 8, generator=generator))
others = TensorDataset(torch.randn(200, 8, generator=generator))


class Windows(Dataset):
    def __init__(self, ids, length=16):
        self.ids, self.length = ids, length

    def __len__(self):
        return (len(self.ids) - 1) // self.length

    def __getitem__(self, i):
        window = self.ids[i * self.length : (i + 1) * self.length + 1]
        return window[:-1], window[1:]


class GPT(nn.Module):
    """Returns (logits, loss), as nanoGPT does."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Embedding(20, 16), nn.Linear(16, 20)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.1)

    def forward(self, x, y):
        logits = self.decoder(self.layer(self.encoder(x)))
        return logits, F.cross_entropy(logits.flatten(0, 1), y.flatten())


windows = {"train": Windows(text[:4000]), "held_out": Windows(text[4000:])}
gpt = lrctl.workload(model=GPT, **windows, clip_norm=1.0)
pretrained = lrctl.workload(
    model=GPT(), **windows, batch_size=8, optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=1e-3)
)


class VAE(nn.Module):
    """Draws random numbers while it is evaluated too."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(8, 8), nn.Linear(4, 8)

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(z), mean, log_variance


def elbo(model, batch, step):
    """With a weight of the second term that rises over the first steps."""
    (x,) = batch
    found, mean, log_variance = model(x)
    weight = 1 if step is None else min(1, step / 100)
    divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean() / 2
    return (found - x).square().sum(1).mean() + weight * divergence


vae = lrctl.workload(model=VAE, train=points, held_out=others, loss=elbo, batch_size=32)


class Classifier(nn.Module):
    """Takes names and returns an object with `loss`, as models of transformers do."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Embedding(20, 8), nn.Linear(8, 3)

    def forward(self, input_ids, labels):
        logits = self.decoder(self.encoder(input_ids).mean(1))
        return SimpleNamespace(loss=F.cross_entropy(logits, labels), logits=logits)


def pad(items):
    ids = nn.utils.rnn.pad_sequence([item["input_ids"] for item in items], batch_first=True)
    return {"input_ids": ids, "labels": torch.tensor([item["labels"] for item in items])}


rows = [{"input_ids": text[i : i + 1 + i % 5], "labels": int(text[i]) % 3} for i in range(900)]
padded = lrctl.workload(model=Classifier, train=rows[:700], held_out=rows[700:], collate=pad, batch_size=16)


def average(model, state):
    for name, weight in model.state_dict().items():
        state[name] = state[name].lerp(weight, 0.1) if name in state else weight.clone()


def evaluate_average(model, batches, state):
    own = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.load_state_dict(state or own)
    losses = [F.mse_loss(model(x), x) for (x,) in batches]
    model.load_state_dict(own)
    return torch.stack(losses).mean()


averaged = lrctl.workload(
    model=lambda: nn.Linear(8, 8), train=points, held_out=others, after_step=average, evaluate=evaluate_average,
    loss=lambda model, batch: F.mse_loss(model(batch[0]), batch[0]),
)  # fmt: skip
