"""Trainers of transformers on tiny models with random weights and generated data, which remember what they did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging

LR, STEPS = 1e-3, 14


@contextmanager
def quiet() -> Iterator[None]:
    """One thread, nothing fetched, and errors only."""
    before, threads = logging.get_verbosity(), torch.get_num_threads()
    logging.set_verbosity(40)
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield
    logging.set_verbosity(before)
    torch.set_num_threads(threads)


class Words(torch.utils.data.Dataset[Any]):
    """Sentences of random words; some labels are left out, so that micro-batches differ in what they count."""

    def __init__(self) -> None:
        self.rows = torch.randint(0, 32, (64, 8), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Any:
        labels = self.rows[place].clone()
        labels[: place % 5] = -100
        return {"input_ids": self.rows[place], "labels": labels}


class Classes(Words):
    def __getitem__(self, place: int) -> Any:
        return {"input_ids": self.rows[place], "labels": self.rows[place, 0] % 2}


class Points(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return 64

    def __getitem__(self, place: int) -> Any:
        return {"x": torch.tensor([place / 64, 1.0]), "labels": torch.tensor([place % 3.0])}


class Net(torch.nn.Module):
    """A model that knows nothing of transformers: each micro-batch's loss is a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x: Any, labels: Any = None) -> Any:
        found = self.layer(x)
        return {"logits": found} if labels is None else {"loss": (found - labels).square().mean(), "logits": found}


class Recorder(Trainer):
    """Remembers the training loss and the LRs of each update."""

    def __init__(self, *arguments: Any, **others: Any) -> None:
        super().__init__(*arguments, **others)
        self.losses: list[float] = []
        self.lrs: list[list[float]] = []
        self.metrics: list[float] = []
        self.parts: list[torch.Tensor] = []

    def training_step(self, *arguments: Any, **others: Any) -> Any:
        self.parts.append(super().training_step(*arguments, **others))
        return self.parts[-1]

    def create_optimizer(self, *arguments: Any) -> Any:
        optimizer = super().create_optimizer(*arguments)
        optimizer.register_step_pre_hook(self.record)
        return optimizer

    def record(self, optimizer: Any, *_: Any) -> None:
        self.losses.append(float(torch.stack(self.parts).sum()))
        self.lrs.append([group["lr"] for group in optimizer.param_groups])
        self.parts = []

    def evaluate(self, *arguments: Any, **others: Any) -> Any:
        metrics = super().evaluate(*arguments, **others)
        self.metrics.append(metrics["eval_loss"])
        return metrics


def gpt() -> Any:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=8, n_embd=16, n_layer=1, n_head=2, bos_token_id=0))


def net() -> Any:
    torch.manual_seed(0)
    return Net()


def bert() -> Any:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "max_position_embeddings": 8}
    return BertForSequenceClassification(BertConfig(num_hidden_layers=1, num_attention_heads=2, **sizes))


MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "gpt": (gpt, Words()),
    "bert": (bert, Classes()),
    "plain module": (net, Points()),
}
"""The loss of an update is the sum of what the first two return for its micro-batches, and the mean of the last's."""


def trainer_of(folder: Path, *callbacks: Any, model: str = "gpt", kind: Any = Recorder, **settings: Any) -> Any:
    make, data = MODELS[model]
    arguments: dict[str, Any] = {
        "max_steps": STEPS,
        "per_device_train_batch_size": 4,
        "learning_rate": LR,
        "save_strategy": "no",
    }
    arguments |= {"report_to": [], "disable_tqdm": True, "use_cpu": True, "logging_strategy": "no"} | settings
    others = {name: arguments.pop(name) for name in ("optimizers", "compute_loss_func") if name in arguments}
    few = arguments.pop("eval_dataset", torch.utils.data.Subset(data, range(8)))
    data = {"train_dataset": data, "eval_dataset": few}
    return kind(make(), TrainingArguments(str(folder), **arguments), callbacks=list(callbacks), **data, **others)
