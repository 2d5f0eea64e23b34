"""A variational autoencoder on scikit-learn's digits, after PyTorch's vae example; its loss sums over the pixels."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from torch import Tensor, nn, optim
from torch.nn import functional as F  # noqa: N812


class VAE(nn.Module):
    def __init__(self, hidden: int, latent: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, 64)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z: Tensor) -> Tensor:
        logits: Tensor = self.fc4(F.relu(self.fc3(z)))
        return logits

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss_function(recon_x: Tensor, x: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Reconstruction and KL divergence, summed over all elements of the batch."""
    # The example's sigmoid and binary_cross_entropy raise an error where training diverged to NaN.
    bce = F.binary_cross_entropy_with_logits(recon_x, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


class DigitsVAE:
    def __init__(self, seed: int, hidden: int = 128, latent: int = 8, batch_size: int = 64) -> None:
        self.seed, self.hidden, self.latent, self.batch_size = seed, hidden, latent, batch_size
        images = torch.tensor(load_digits().data, dtype=torch.float32) / 16
        images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
        self.train, self.validation, self.test = images[:1200], images[1200:1500], images[1500:]

    def model(self) -> VAE:
        return VAE(self.hidden, self.latent)

    def optimizer(self, model: VAE) -> optim.Optimizer:
        return optim.Adam(model.parameters(), lr=1e-3)

    def batch(self, step: int) -> Tensor:
        epoch, at = divmod(step, len(self.train) // self.batch_size)
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(1000 * self.seed + epoch))
        return self.train[order[at * self.batch_size : (at + 1) * self.batch_size]]

    def loss(self, model: VAE, batch: Tensor) -> Tensor:
        recon, mu, logvar = model(batch)
        return loss_function(recon, batch, mu, logvar) / len(batch)

    def evaluate(self, model: VAE, split: str) -> dict[str, float]:
        return {"loss": self.loss(model, self.validation if split == "validation" else self.test).item()}
