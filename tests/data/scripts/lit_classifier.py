"""A digits classifier as a LightningModule and a LightningDataModule."""

import argparse

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class DigitsDataModule(L.LightningDataModule):
    def __init__(self, path, batch_size):
        super().__init__()
        self.path, self.batch_size = path, batch_size

    def setup(self, stage):
        file = np.load(self.path)
        images, labels = torch.tensor(file["images"]).float() / 16, torch.tensor(file["labels"])
        dataset = TensorDataset(images, labels)
        self.train, self.val, self.test = (
            torch.utils.data.Subset(dataset, range(a, b)) for a, b in ((0, 192), (192, 256), (256, 320))
        )

    def train_dataloader(self):
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, 64)

    def test_dataloader(self):
        return DataLoader(self.test, 64)


class LitClassifier(L.LightningModule):
    def __init__(self, lr, hidden=16, dropout=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 10)
        )

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.net(x), y)
        self.log("train/loss", loss)
        return loss

    def shared_eval(self, batch, prefix):
        x, y = batch
        logits = self.net(x)
        self.log(f"{prefix}/loss", F.cross_entropy(logits, y))
        self.log(f"{prefix}/acc", (logits.argmax(1) == y).float().mean(), prog_bar=True)

    def validation_step(self, batch, batch_idx):
        self.shared_eval(batch, "val")

    def test_step(self, batch, batch_idx):
        self.shared_eval(batch, "test")

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
        total = self.trainer.estimated_stepping_batches
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.hparams.lr, total_steps=total)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="digits.npz")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()

    L.seed_everything(args.seed, workers=True)
    data = DigitsDataModule(args.data, args.batch_size)
    model = LitClassifier(args.lr)
    trainer = L.Trainer(max_epochs=args.epochs, accelerator="auto", devices=1, log_every_n_steps=2)
    trainer.fit(model, datamodule=data)
    trainer.validate(model, datamodule=data)
    trainer.test(model, datamodule=data)
