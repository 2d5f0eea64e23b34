"""Whether a run learned anything: only those that did tell of LRs and of optimizers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from lrctl_strategies.contest.trials import Ended, Trials
from lrctl_strategies.lookahead.scoring import Score

SLIGHT = 0.01
"""A smaller share of the untrained model's loss is no gain, however sure: so much is won by learning only how frequent
the answers are."""


def untrained(trials: Trials, run: Ended) -> Score:
    """The score of the model before any training, on those batches that the run was scored on."""
    losses = trials.untrained.losses[: len(run.score.losses)]
    return Score(fmean(losses), losses) if losses else trials.untrained


def gain(trials: Trials, run: Ended) -> float:
    """What a run ended better by than the untrained model; 0 where that is within the noise, negative where worse."""
    before = untrained(trials, run)
    if not math.isfinite(run.score.mean):
        return -math.inf
    if not math.isfinite(before.mean):
        return math.inf
    gained = before.mean - run.score.mean
    noise = max(trials.scoring(run.trial.steps).noise(before, run.score), SLIGHT * abs(before.mean))
    return gained if abs(gained) > noise else 0.0


def learned(trials: Trials, tried: Mapping[float, Ended]) -> bool:
    """Whether any of these runs, by LR, ended better than the untrained model."""
    return any(gain(trials, run) > 0 for run in tried.values())


def flat(trials: Trials, tried: Mapping[float, Ended]) -> list[float]:
    """The LRs, ascending, whose runs the noise does not tell from the untrained model; none where a run learned."""
    if learned(trials, tried):
        return []
    return sorted(lr for lr, run in tried.items() if gain(trials, run) == 0)
