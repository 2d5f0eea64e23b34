"""Trains a small CNN fast: BatchNorm without affine weights, biases with a learning rate of their own, and an EMA."""

import argparse
from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="digits.npz")
parser.add_argument("--epochs", type=float, default=3)
parser.add_argument("--batch_size", type=int, default=32)
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--momentum", type=float, default=0.85)
parser.add_argument("--weight_decay", type=float, default=0.015)
parser.add_argument("--bias_scaler", type=float, default=8.0)
parser.add_argument("--label_smoothing", type=float, default=0.1)
parser.add_argument("--ema_decay", type=float, default=0.8)
parser.add_argument("--seed", type=int, default=0)
hyp = parser.parse_args()


class Loader:
    """All images in memory; flips and shifts them anew for each epoch."""

    def __init__(self, images, labels, batch_size, train):
        self.images, self.labels = images, labels
        self.batch_size, self.train = batch_size, train

    def __len__(self):
        n = len(self.images)
        return n // self.batch_size if self.train else (n + self.batch_size - 1) // self.batch_size

    def __iter__(self):
        images = self.images
        if self.train:
            flip = torch.rand(len(images)) < 0.5
            images = torch.where(flip.view(-1, 1, 1, 1), images.flip(-1), images)
            dx, dy = torch.randint(-1, 2, (2,)).tolist()
            images = images.roll((dx, dy), (2, 3))
        indices = (torch.randperm if self.train else torch.arange)(len(images))
        for i in range(len(self)):
            idxs = indices[i * self.batch_size : (i + 1) * self.batch_size]
            yield images[idxs], self.labels[idxs]


class BatchNorm(nn.BatchNorm2d):
    def __init__(self, num_features):
        super().__init__(num_features, eps=1e-12, momentum=0.4)
        self.weight.requires_grad = False


class ConvGroup(nn.Module):
    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding="same", bias=False)
        self.norm1 = BatchNorm(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding="same", bias=False)
        self.norm2 = BatchNorm(channels_out)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.gelu(self.norm1(x))
        return F.gelu(self.norm2(self.conv2(x)))


class Net(nn.Sequential):
    def __init__(self, width=8):
        super().__init__(ConvGroup(1, width), ConvGroup(width, 2 * width), nn.Flatten(), nn.Linear(8 * width, 10))


class EMA:
    """The exponential moving average of a network's weights and statistics."""

    def __init__(self, net, decay):
        self.net, self.decay = deepcopy(net), decay

    @torch.no_grad()
    def update(self, net):
        for ours, theirs in zip(self.net.state_dict().values(), net.state_dict().values()):
            if theirs.is_floating_point():
                ours.lerp_(theirs, 1 - self.decay)
            else:
                ours.copy_(theirs)


@torch.no_grad()
def evaluate(net, loader):
    net.eval()
    logits = torch.cat([net(images) for images, _ in loader])
    labels = torch.cat([labels for _, labels in loader])
    loss = F.cross_entropy(logits, labels).item()
    return {"loss": loss, "accuracy": (logits.argmax(1) == labels).float().mean().item()}


file = np.load(hyp.data)
images, labels = torch.tensor(file["images"]).float()[:, None] / 16, torch.tensor(file["labels"])
parts = {"train": slice(0, 192), "validation": slice(192, 256), "test": slice(256, 320)}
train_loader = Loader(images[parts["train"]], labels[parts["train"]], hyp.batch_size, train=True)
eval_loaders = {s: Loader(images[parts[s]], labels[parts[s]], 64, train=False) for s in ("validation", "test")}
total_steps = int(hyp.epochs * len(train_loader))

torch.manual_seed(hyp.seed)
net = Net()
ema = EMA(net, hyp.ema_decay)
norm_biases = [p for k, p in net.named_parameters() if "norm" in k and p.requires_grad]
other_params = [p for k, p in net.named_parameters() if "norm" not in k and p.requires_grad]
param_configs = [
    dict(params=other_params, lr=hyp.lr, weight_decay=hyp.weight_decay / hyp.lr),
    dict(params=norm_biases, lr=hyp.lr * hyp.bias_scaler, weight_decay=hyp.weight_decay / (hyp.lr * hyp.bias_scaler)),
]
optimizer = torch.optim.SGD(param_configs, momentum=hyp.momentum, nesterov=True)


def triangle(step):
    peak = 0.2 * total_steps
    return step / peak if step < peak else (total_steps - step) / (total_steps - peak)


scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(triangle(step), 0.01))

step = 0
for epoch in range(int(np.ceil(hyp.epochs))):
    total_loss = 0.0
    for inputs, targets in train_loader:
        net.train()
        loss = F.cross_entropy(net(inputs), targets, label_smoothing=hyp.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        ema.update(net)
        total_loss += loss.item()
        step += 1
        if step >= total_steps:
            break
    print(f"epoch {epoch}: train loss {total_loss / len(train_loader):.4f}, validation {evaluate(ema.net, eval_loaders['validation'])}")

print("test", evaluate(ema.net, eval_loaders["test"]))
