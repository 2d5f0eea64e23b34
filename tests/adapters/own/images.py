"""A small image classifier with random augmentation, as one would have it, and how lrctl gets it."""

import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class RandomFlip:
    def __call__(self, image):
        return image[:, ::-1].copy() if random.random() < 0.5 else image


class RandomShift:
    def __call__(self, image):
        return np.roll(image, np.random.randint(-1, 2), axis=0)


class AddNoise:
    def __call__(self, image):
        return torch.from_numpy(image) + 0.1 * torch.randn(image.shape)


class Bars(Dataset):
    """Images of bars in four widths."""

    def __init__(self, first, n, transforms=()):
        rng = np.random.default_rng(first)
        self.labels = rng.integers(4, size=n)
        phase = rng.uniform(0, 8, size=(n, 1, 1))
        waves = np.sin((np.arange(8) + phase) * (0.5 + self.labels[:, None, None]))
        self.images = (waves + rng.normal(0, 0.5, size=(n, 8, 8))).astype(np.float32)
        self.transforms = transforms

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i]
        for transform in self.transforms:
            image = transform(image)
        return {"image": torch.as_tensor(image)[None], "label": int(self.labels[i])}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)
        self.drop, self.head = nn.Dropout(0.1), nn.Linear(288, 4)

    def forward(self, x):
        return self.head(self.drop(torch.relu(self.norm(self.conv(x))).flatten(1)))


train_set = Bars(0, 1200, [RandomFlip(), RandomShift(), AddNoise()])
test_set = Bars(1, 200)


def compute_loss(model, batch):
    logits = model(batch["image"])
    return nn.functional.cross_entropy(logits, batch["label"])


def evaluate(model, loader):
    losses, hits = [], []
    for batch in loader:
        logits = model(batch["image"])
        losses.append(nn.functional.cross_entropy(logits, batch["label"], reduction="none"))
        hits.append((logits.argmax(1) == batch["label"]).float())
    return {"loss": torch.cat(losses).mean(), "accuracy": torch.cat(hits).mean()}


def make_optimizer(model):
    head = [*model.head.parameters()]
    body = [p for name, p in model.named_parameters() if not name.startswith("head.")]
    groups = [{"params": body, "lr": 0.1}, {"params": head, "lr": 0.05}]
    return torch.optim.SGD(groups, momentum=0.9, nesterov=True)


def main():
    model = Net()
    optimizer = make_optimizer(model)
    for _ in range(5):
        model.train()
        for batch in DataLoader(train_set, batch_size=32, shuffle=True):
            loss = compute_loss(model, batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        with torch.no_grad():
            print(evaluate(model, DataLoader(test_set, batch_size=100)))


if __name__ == "__main__":
    main()

# What lrctl needs:
import lrctl  # noqa: E402

workload = lrctl.workload(
    model=Net, train=train_set, held_out=test_set, loss=compute_loss, evaluate=evaluate,
    optimizer=make_optimizer, batch_size=32, clip_norm=1.0,
)  # fmt: skip
