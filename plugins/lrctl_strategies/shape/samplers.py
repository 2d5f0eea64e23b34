"""Where shapes are drawn: points of the unit cube, at random or by one of Optuna's samplers."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal

from lrctl.errors import MissingError
from lrctl_strategies.shape.space import Point, Space

Name = Literal["random", "tpe", "gp", "cmaes", "qmc"]


class Random:
    """Points drawn independently and uniformly: the first of them are the same however many are asked for."""

    at_once = 0
    """How many points it is asked for at a time; 0 is all, since it does not look at the scores."""

    def __init__(self, space: Space, seed: int) -> None:
        import numpy as np

        # The legacy generator: numpy promises that its stream never changes.
        self.numbers = np.random.RandomState([seed & 0xFFFFFFFF, word(space.name)])
        self.dimensions = len(space.free)

    def ask(self, n: int) -> list[Point]:
        return [tuple(self.numbers.random_sample(self.dimensions).tolist()) for _ in range(n)]

    def tell(self, scores: Sequence[float]) -> None:
        """How good the points were that it was last asked for; it does not look at that."""


class Optuna:
    at_once = 8
    """So many points it is asked for before it is told how good they are: so many runs can go on in parallel."""

    def __init__(self, space: Space, seed: int, sampler: str) -> None:
        try:
            import optuna
        except ImportError as error:
            raise MissingError(
                "--sampler: all but random are Optuna's, which is not installed; run: pip install 'lrctl[optuna]'"
            ) from error
        made = {"tpe": "TPESampler", "gp": "GPSampler", "cmaes": "CmaEsSampler", "qmc": "QMCSampler"}[sampler]
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():  # some of them are experimental, as Optuna says each time
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            drawing = getattr(optuna.samplers, made)(seed=(seed + word(space.name)) % 2**31)
        self.study = optuna.create_study(sampler=drawing)
        self.worst = 0.0
        self.range = optuna.distributions.FloatDistribution(0.0, 1.0)
        self.names = list(space.free)
        self.waiting: list[Any] = []

    def ask(self, n: int) -> list[Point]:
        self.waiting = [self.study.ask(dict.fromkeys(self.names, self.range)) for _ in range(n)]
        return [tuple(trial.params[name] for name in self.names) for trial in self.waiting]

    def tell(self, scores: Sequence[float]) -> None:
        """How good the points were that it was last asked for: lower is better, +inf diverged.

        What diverged counts as far worse than the worst so far.
        Optuna takes no loss that is not finite, and what it is told to have failed its samplers go on to draw.
        """
        self.worst = max([self.worst, *filter(math.isfinite, scores)])
        for trial, score in zip(self.waiting, scores, strict=True):
            self.study.tell(trial, score if math.isfinite(score) else 2 * abs(self.worst) + 1)


def sampler(name: Name, space: Space, seed: int) -> Random | Optuna:
    # Optuna imports it only once its CMA-ES has something to learn from, in the middle of a search.
    if name == "cmaes" and find_spec("cmaes") is None:
        raise MissingError(
            "--sampler cmaes: it needs the package cmaes, which is not installed; run: pip install cmaes"
        )
    # A family with one shape only has nothing to learn.
    return Random(space, seed) if name == "random" or not space.free else Optuna(space, seed, name)


def word(name: str) -> int:
    """A number of 32 bits that stands for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
