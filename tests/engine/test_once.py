"""What a search does once: it parses, prepares, tells and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrctl import hookimpl
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch
from lrctl.engine import prepare as preparing
from lrctl.recipe import schema
from lrctl.registry.registry import registry
from lrctl.testing import Constant
from lrctl.training import trainer
from lrctl_strategies.semilocal.params import SemiLocal
from searches import search, session_of, small, smoke


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often things were done."""
    counts: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        inner: Callable[..., Any] = getattr(owner, name)

        def outer(*arguments: Any, **named: Any) -> Any:
            counts[name] += 1
            return inner(*arguments, **named)

        monkeypatch.setattr(owner, name, outer)

    count(SemiLocal, "__post_init__")
    count(preparing, "content_digest")
    count(schema, "toml_tables")
    return counts


def test_a_search_builds_its_parameters_prepares_its_data_and_spells_its_recipe_once(
    tmp_path: Path, counted: Counter[str]
) -> None:
    search(tmp_path, small())
    assert counted == {"__post_init__": 1, "content_digest": 1, "toml_tables": 1}


def test_a_search_that_goes_on_prepares_its_data_once(tmp_path: Path, counted: Counter[str]) -> None:
    first = search(tmp_path)
    (tmp_path / "runs" / first["run"] / "result.json").unlink()
    counted.clear()
    search(tmp_path)
    assert counted["content_digest"] == 1


class Watcher:
    """Sees jobs."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, bool]] = []

    @hookimpl
    def job_finished(self, job: SegmentJob, result: JobResult, reused: bool) -> None:
        assert result.key
        self.seen.append((job.schedule(0), reused))  # type: ignore[call-arg]


def test_observers_see_known_jobs_in_the_order_of_the_batch_and_learn_that_they_were_known(tmp_path: Path) -> None:
    watcher = Watcher()
    lrs = [0.1 + i / 100 for i in range(12)]
    jobs = [SegmentJob(0, 2, Constant(lr), checkpoint=False) for lr in lrs]
    registry().manager.register(watcher)
    try:
        for _ in range(2):
            with session_of(tmp_path, smoke()) as session:
                session.run_batch(Batch("", jobs))
    finally:
        registry().manager.unregister(watcher)
    assert watcher.seen == [(lr, False) for lr in lrs] + [(lr, True) for lr in lrs]


def test_the_cost_of_a_baseline_that_was_killed_at_any_job_is_what_was_really_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(strategy__baseline__family=["wsd"], strategy__baseline__grid=[0.3, 0.1])
    trained: list[int] = []
    train, limit = trainer.train, 10**6

    def counting(workload: Any, spec: Any, job: SegmentJob, *given: Any) -> Any:
        if len(trained) == limit:
            raise KeyboardInterrupt
        trained.append(job.steps)
        return train(workload, spec, job, *given)

    monkeypatch.setattr(trainer, "train", counting)
    whole = search(tmp_path / "whole", recipe, "baseline")
    assert whole["cost"]["steps_trained"] == sum(trained)
    for kill in range(len(trained)):
        trained.clear()
        limit = kill
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / str(kill), recipe, "baseline")
        limit = 10**6
        again = search(tmp_path / str(kill), recipe, "baseline")
        assert again["cost"]["steps_trained"] == sum(trained), kill
        assert again["cost"]["jobs"] == whole["cost"]["jobs"]
