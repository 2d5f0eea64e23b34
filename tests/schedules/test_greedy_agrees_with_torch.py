"""`plateau`, and GreedyLR that cannot rise, are torch's ReduceLROnPlateau, step by step."""

from __future__ import annotations

import inspect
import math
from dataclasses import fields
from random import Random
from typing import Any

import pytest
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lrctl.lr_scheduler import AdaptiveLR, GreedyLR
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.plateau import Plateau
from schedules.streams import metrics, optimizer_of, states

STEPS = 80
NEVER = "ignore:.*which can therefore never"


def drawn(random: Random) -> tuple[tuple[float, ...], dict[str, Any]]:
    """LRs and settings that both take."""
    pick = random.choice
    lrs = tuple(10 ** random.uniform(-6, 0) for _ in range(pick([1, 1, 2, 3])))
    return lrs, {
        "mode": pick(["min", "max"]),
        "factor": pick([0.95, 0.5, 0.1]),
        "patience": pick([0, 1, 2, 10]),
        "threshold": pick([0.0, 1e-4, 0.125]),
        "threshold_mode": pick(["abs", "rel"]),
        "min_lr": pick([0.0, 1e-3, [lr * random.uniform(0.1, 2) for lr in lrs]]),
        "eps": pick([0.0, 1e-8, 1e-4]),
    }


def assert_agree(ours: AdaptiveLR, theirs: Any, stream: list[float]) -> None:
    """Both do the same at every step."""
    for step, metric in enumerate(stream):
        ours.step(metric)
        theirs.step(metric)
        memory = ours.control.memory
        best = theirs.best if math.isfinite(theirs.best) else None
        seen = (memory["best"], memory["num_bad_epochs"], memory["cooldown_counter"])
        assert seen == (best, theirs.num_bad_epochs, theirs.cooldown_counter), step
        lrs = [group["lr"] for group in ours.optimizer.param_groups]
        assert ours.get_last_lr() == lrs == [group["lr"] for group in theirs.optimizer.param_groups], step


@pytest.mark.filterwarnings(NEVER)
@pytest.mark.parametrize("seed", range(10))
def test_plateau_agrees_at_every_step(seed: int) -> None:
    random = Random(seed)
    for _ in range(30):
        lrs, settings = drawn(random)
        settings["cooldown"] = random.choice([0, 1, 3])
        theirs = ReduceLROnPlateau(optimizer_of(*lrs), **settings)
        bound = settings.pop("min_lr")
        ours = Plateau(lrs, **settings, min_lr=tuple(bound) if isinstance(bound, list) else bound)
        assert_agree(AdaptiveLR(optimizer_of(*lrs), ours), theirs, metrics(random, STEPS))


@pytest.mark.filterwarnings(NEVER)
@pytest.mark.parametrize("variant", ["hf", "authors"])
@pytest.mark.parametrize("seed", range(4))
def test_greedy_that_cannot_rise_agrees_at_every_step(seed: int, variant: Any) -> None:
    random = Random(seed)
    for _ in range(30):
        lrs, settings = drawn(random)
        ours = GreedyLR(optimizer_of(*lrs), variant, **settings, max_lr=0.0, smooth=False, reset_start=None)
        theirs = ReduceLROnPlateau(optimizer_of(*lrs), **settings)
        assert_agree(ours, theirs, metrics(random, STEPS))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_plateau_takes_nan_and_the_worst_infinity_as_torch_does(bad: float) -> None:
    stream = [bad, 3.0, bad, 2.0, bad, bad, bad, 1.0, bad, bad]
    ours = AdaptiveLR(optimizer_of(0.5), Plateau(0.5, patience=1))
    assert_agree(ours, ReduceLROnPlateau(optimizer_of(0.5), patience=1), stream)
    assert ours.get_last_lr() == [0.5 * 0.1 * 0.1]


def test_plateau_has_the_defaults_of_torch() -> None:
    theirs = inspect.signature(ReduceLROnPlateau.__init__).parameters
    assert {field.name: field.default for field in fields(Plateau)[1:]} == {
        name: parameter.default for name, parameter in theirs.items() if name not in ("self", "optimizer")
    }


@pytest.mark.filterwarnings(NEVER)
@pytest.mark.parametrize("seed", range(4))
def test_authors_is_hf_without_cooldown_warmup_and_resets(seed: int) -> None:
    random = Random(seed)
    rises = falls = 0
    for _ in range(50):
        lrs, settings = drawn(random)
        settings |= {"min_lr": 1e-9, "max_lr": 10.0, "smooth": random.choice([True, False]), "window_size": 5}
        stream = metrics(random, STEPS)
        variants: list[Any] = ["hf", "authors"]
        hf, authors = (states(Greedy(lrs, each, reset_start=None, **settings), stream) for each in variants)
        assert hf == authors
        rises += hf[-1]["lrs"] > list(lrs)
        falls += hf[-1]["lrs"] < list(lrs)
    assert rises
    assert falls
