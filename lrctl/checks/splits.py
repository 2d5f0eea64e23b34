"""Whether what is trained on, scored on, validated and tested are other data.

Imports torch.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import torch

from lrctl.checks.evaluation import SCORES, metrics_of
from lrctl.checks.rules import STEPS, Broken, Rule, Subject, Untold
from lrctl.contracts.exact import Exact
from lrctl.contracts.workload import Scored, Sized
from lrctl.training.batches import tensors_in

SHARED = 0.2
"""The share of a split's rows above which another split is the same data in part."""

FEW = 5
"""So many rows in common are more than chance, where they are extrapolated to all training data."""

DISTINCT = 0.8
"""The share of distinct rows below which rows say nothing: those of short inputs are alike by chance."""

Rows = Counter[bytes]


def disjoint(subject: Subject) -> str:
    if isinstance(subject.workload, Exact):
        raise Untold("its runs have a closed form, and there are no data")
    passes = subject.trained_passes()
    seen: dict[str, Rows] = {}
    passes.train()
    with shown(passes.model) as seen["training"]:
        for step in range(STEPS):
            passes.forward(passes.batch(step))
    if isinstance(subject.workload, Scored):
        with passes.frozen(), shown(passes.model) as seen["scoring"]:
            for batch, _ in passes.reserved(SCORES):
                passes.forward(batch)
    metrics = {}
    for split in ("validation", "test"):
        with shown(passes.model) as seen[split]:
            metrics[split], _ = metrics_of(passes, split)
    if metrics["validation"] == metrics["test"] and math.isfinite(metrics["test"]["loss"]):
        raise Broken(f"validation and test have the same metrics: {metrics['test']}", ADVICE)
    drawn = STEPS / subject.workload.steps_per_epoch() if isinstance(subject.workload, Sized) else 1.0
    return compared(seen, min(1.0, drawn))


ADVICE = "hold out other data for each split: what is chosen by one is reported by the other"


def compared(seen: dict[str, Rows], drawn: float) -> str:
    """Compare the rows of all splits; `drawn` is the share of the training data that was seen."""
    told = {name: rows for name, rows in seen.items() if rows and len(rows) >= DISTINCT * rows.total()}
    most, names = 0.0, ("", "")
    for one, other in combinations(told, 2):
        both = len(told[one].keys() & told[other].keys())
        share = both / min(len(told[one]), len(told[other]))
        if one == "training" and both >= FEW + by_chance(told, other):
            share = max(share, min(1.0, both / len(told[other]) / drawn))
        if share > most:
            most, names = share, (one, other)
    if most > SHARED:
        raise Broken(f"{most:.0%} of the rows that the model is shown for {names[0]} are those of {names[1]}", ADVICE)
    if not {"validation", "test"} <= told.keys():
        raise Untold("the metrics differ; the rows that the model is shown do not tell the splits apart")
    return f"the splits share at most {most:.1%} of the rows that the model is shown"


def by_chance(told: dict[str, Rows], split: str) -> float:
    """Three times as many rows as training and a split may have in common where rows are alike by chance.

    As often as rows of training come twice, or those of validation in test.
    """
    n, m = len(told["training"]), len(told[split])
    pairs = [2 * (told["training"].total() - n) / n**2]
    if {"validation", "test"} <= told.keys():
        validation, test = told["validation"], told["test"]
        pairs.append(len(validation.keys() & test.keys()) / (len(validation) * len(test)))
    return 3 * max(pairs) * n * m


@contextmanager
def shown(model: torch.nn.Module) -> Iterator[Rows]:
    """Digests of the rows that a model is given, for the length of a block."""
    seen: Rows = Counter()

    def note(_: Any, inputs: Any, named: Any) -> None:
        tensors = [each.detach().cpu() for each in tensors_in([inputs, named]) if each.dim()]
        length = len(tensors[0]) if tensors else 0
        for i in range(length):
            row = hashlib.sha256()
            for tensor in tensors:
                if len(tensor) == length:
                    row.update(tensor[i].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
            seen[row.digest()] += 1

    with model.register_forward_pre_hook(note, with_kwargs=True):
        yield seen


SPLITS = Rule(
    "splits", "validation and test are other data than each other and than training", disjoint, ("evaluation",)
)
