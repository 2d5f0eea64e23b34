"""Where shapes are drawn: at random without Optuna, or by one of its samplers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest

from lrctl.errors import MissingError
from lrctl_strategies.shape import samplers
from lrctl_strategies.shape.samplers import sampler
from lrctl_strategies.shape.space import Point, space
from strategies.shape_landscapes import STEPS, bowl, searched

SPACE = space("two-point-linear:warmup=0.1", STEPS)
LEARNING = ("tpe", "gp", "cmaes")


def available(name: str) -> None:
    pytest.importorskip("optuna")
    if name == "cmaes":
        pytest.importorskip("cmaes")


def near_a_point(point: Point) -> float:
    """The loss is lowest at (0.2, 0.2, 0.2, 0.2)."""
    return sum((u - 0.2) ** 2 for u in point)


def far_from_it(point: Point) -> float:
    return -near_a_point(point)


def asked(name: Any, seed: int, n: int, score: Any = near_a_point, at_once: int = 8) -> list[Point]:
    """The points of a sampler that is told the scores."""
    source = sampler(name, SPACE, seed)
    points: list[Point] = []
    while len(points) < n:
        some = source.ask(min(at_once, n - len(points)))
        source.tell([score(point) for point in some])
        points += some
    return points


def mean_loss(points: Sequence[Point]) -> float:
    return sum(map(near_a_point, points)) / len(points)


def test_random_points_are_the_same_however_they_are_asked_for() -> None:
    assert asked("random", 0, 12, at_once=12) == asked("random", 0, 12, at_once=5)
    assert asked("random", 0, 12) == asked("random", 0, 30)[:12]
    assert asked("random", 0, 12) != asked("random", 1, 12)
    assert all(0 <= u < 1 for point in asked("random", 0, 12) for u in point)


def test_random_points_are_those_of_numpys_stream_that_never_changes() -> None:
    assert asked("random", 0, 1) == [(0.2121871319062556, 0.12458689965836545, 0.9759273179542501, 0.859241500481492)]


def test_two_families_are_not_drawn_at_the_same_points() -> None:
    other = space("two-point-spline:warmup=0.1", STEPS)
    assert sampler("random", SPACE, 0).ask(3) != sampler("random", other, 0).ask(3)


@pytest.mark.parametrize("name", [*LEARNING, "qmc"])
def test_a_sampler_of_optunas_is_a_function_of_its_seed(name: str) -> None:
    available(name)
    assert asked(name, 0, 16) == asked(name, 0, 16)
    assert asked(name, 0, 8) != asked(name, 1, 8)
    assert all(0 <= u <= 1 for point in asked(name, 0, 16) for u in point)


@pytest.mark.parametrize("name", LEARNING)
def test_a_sampler_that_learns_is_told_the_scores(name: str) -> None:
    available(name)
    points, other = (asked(name, 0, 16, score, at_once=4) for score in (near_a_point, far_from_it))
    assert points[:4] == other[:4]
    assert points[12:] != other[12:]


def test_tpe_goes_where_the_scores_are_low() -> None:
    available("tpe")
    points = asked("tpe", 0, 48)
    assert mean_loss(points[-16:]) < mean_loss(points[:8]) / 2


def test_what_diverged_is_told_as_far_worse_than_the_worst() -> None:
    """What has failed Optuna's samplers ignore, and go on to draw."""
    available("tpe")
    source = samplers.Optuna(SPACE, 0, "tpe")
    for best in (1.0, 5.0):
        source.ask(2)
        source.tell([best, float("inf")])
    assert [trial.value for trial in source.study.trials] == [1.0, 3.0, 5.0, 11.0]


def test_a_search_asks_in_turns_and_is_the_same_when_it_is_replayed() -> None:
    available("tpe")
    found, batches = searched(bowl(b=0.5), sampler="tpe", shapes=20, score_seeds=1)
    again, replayed = searched(bowl(b=0.5), sampler="tpe", shapes=20, score_seeds=1)
    assert [len(batch.jobs) for batch in batches] == [8 * 3, 8 * 3, 4 * 3, 2 * 3]
    assert found == again
    assert [batch.jobs for batch in batches] == [batch.jobs for batch in replayed]
    assert found != searched(bowl(b=50.0), sampler="tpe", shapes=20, score_seeds=1)[0]


def test_a_family_with_one_shape_needs_no_sampler() -> None:
    assert isinstance(sampler("tpe", space("triangle", STEPS), 0), samplers.Random)


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes", "qmc"])
def test_without_optuna_the_error_says_what_to_install(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(samplers, "find_spec", lambda _: True)
    with pytest.raises(MissingError, match=r"--sampler: all but random are Optuna's, .* run: pip install"):
        searched(bowl(), sampler=name)


def test_without_cmaes_the_error_comes_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "find_spec", lambda _: None)
    with pytest.raises(MissingError, match="--sampler cmaes: it needs the package cmaes"):
        searched(bowl(), sampler="cmaes")


def test_random_never_imports_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert searched(bowl())[0].schedule is not None
