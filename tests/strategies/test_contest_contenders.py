"""The contenders of a contest, and the parameters that are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lrctl.contracts.optimizers import ByName
from lrctl.contracts.strategy import RunSpec
from lrctl.errors import UsageError
from lrctl.testing import run_spec
from lrctl_strategies.contest.contenders import BY_ROLE, Contender, contenders
from lrctl_strategies.contest.params import Contest
from strategies.contests import QUICKSTART, STEPS, World


def parsed(text: str, run: RunSpec | None = None) -> Contender:
    (_, contender) = contenders(Contest(contender=(text,)), run or run_spec(STEPS))
    return contender


def test_a_contender_is_an_optimizer_and_what_is_not_its_default() -> None:
    assert parsed(BY_ROLE).name == "adamw-by-role"
    made = parsed("adamw betas=0.9,0.95 embedding=4 mine.lr=2 embedding.decay=0 lr=0.01 family=cosine:end=0.1")
    assert made.settings is not None
    assert made.settings.betas == (0.9, 0.95)  # type: ignore[attr-defined]
    assert (made.settings.lr_scale, made.settings.decay_scale) == ({"embedding": 4.0, "mine": 2.0}, {"embedding": 0.0})
    assert (made.lr, made.family) == (0.01, "cosine:end=0.1")
    assert parsed("schedule-free").family == "constant-with-warmup:warmup=0.25"
    assert parsed("torch.optim.NAdam embedding=2 momentum_decay=0.1").settings == ByName(
        name="torch.optim.NAdam", lr_scale={"embedding": 2.0}, options={"momentum_decay": 0.1}
    )


def test_gradients_are_clipped_as_yours_are() -> None:
    run = run_spec(STEPS)
    adamw = replace(run.optimizers["adamw"], clip_norm=1.0)
    run = replace(run, optimizers={**run.optimizers, "adamw": adamw}, optimizer="adamw")
    clips = [
        each.settings.clip_norm
        for each in contenders(Contest(contender=("muon", "sgd clip_norm=0")), run)
        if each.settings
    ]
    assert clips == [1.0, 1.0, 0.0]


def test_one_that_is_yours_is_not_trained_twice() -> None:
    run = replace(run_spec(STEPS), optimizer="muon")
    assert [each.name for each in contenders(Contest(contender=("muon", "adamw")), run)] == ["yours", "adamw"]


def test_two_that_train_alike_are_refused() -> None:
    alike = Contest(contender=("low: muon lr=0.001", "high: muon lr=0.1"))
    with pytest.raises(UsageError, match=r"--contender: high trains as low does, .*; leave out one of them"):
        contenders(alike, run_spec(STEPS))


@pytest.mark.parametrize(
    ("contender", "told"),
    [
        ("moun", "--contender 'moun': unknown optimizer; did you mean 'muon'"),
        ("adamw embeding=8", "unknown setting; did you mean"),
        ("adamw embedding", "embedding: must be a setting and its value"),
        ("adamw embedding=much", "embedding: must be a number"),
        *(
            (f"adamw lr={lr}", f"--contender 'adamw lr={lr}': lr: must be an LR greater than 0 and at most 3.4e+38")
            for lr in ("-1", "0", "inf", "nan", "1e300", "1e39", "true", "fast", "0.1,0.2")
        ),
        ("yours lr=1e300", "lr: must be an LR greater than 0"),
        ("sgd momentum=2", "momentum: must be in"),
        ("muon family=greedy", "it cannot be tuned"),
        ("muon family=wsd:decoy=1", "unknown setting"),
        ("evil:Class", "runs no code but torch's"),
        ("", "--contender '': unknown optimizer"),
        ("yours: muon", "takes lr= only"),
        ("mine: yours", "takes lr= only"),
        ("yours momentum=0.5", "takes lr= only"),
    ],
)
def test_a_contender_that_is_none_is_refused(contender: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        World(QUICKSTART).play(contender=(contender,))
    assert told in str(error.value)


def test_a_budget_with_no_room_says_what_it_would_take() -> None:
    world = World(QUICKSTART)
    with pytest.raises(UsageError, match=r"--budget 4: 5 contenders, yours among them, take at least 6.7 full runs"):
        world.play(budget=4)
    assert not world.batches


def test_a_budget_that_validation_losses_use_up_is_refused_before_anything_is_trained() -> None:
    world = World(QUICKSTART, reserve=0, evaluated=300)
    with pytest.raises(UsageError, match="take at least 1"):
        world.play()
    assert not any(job.steps for job in world.jobs)


def test_a_family_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="it cannot be tuned"):
        World(QUICKSTART).play(family="greedy", contender=("muon family=cosine",))


def test_a_run_of_no_length_is_refused() -> None:
    with pytest.raises(UsageError, match="too few for a contest"):
        World(QUICKSTART).play(run=run_spec(1), budget=99)


@pytest.mark.parametrize(
    "wrong",
    [{"budget": 0}, {"margin": -1}, {"ratio": 1}, {"short_run": 1}, {"finalists": 0}, {"fresh_seeds": 0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Contest(**wrong)
