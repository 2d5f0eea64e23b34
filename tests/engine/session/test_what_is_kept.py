"""Which checkpoints are there during a search and after it, and in which order results come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch
from lrctl.engine.prepare import prepare
from lrctl.storage.store import Store
from lrctl.testing import Constant
from searches import facts, search, session_of, small, smoke


def test_only_the_answers_checkpoint_stays(place: Path) -> None:
    document = search(place)
    assert list(facts(place, "checkpoints")) == [f"{document['checkpoint']}.safetensors"]
    assert len(facts(place, "losses")) == 12, "those of losers stay"


def test_there_is_never_more_than_one_batch_and_a_parent(place: Path, watch: Callable[..., None]) -> None:
    counts: list[int] = []
    watch(after_job=lambda _: counts.append(len(facts(place, "checkpoints"))))
    search(place)
    assert counts == [1, 2, 3, 2, 3, 4, 5, 2, 3, 4, 5, 1]


def test_an_answers_checkpoint_survives_other_searches(place: Path) -> None:
    documents = [search(place, small(strategy__semilocal__eps=eps)) for eps in (0.48, 0.05, 0.0)]
    documents += [search(place, command="local"), search(place, name="again"), search(place, name="again", fresh=True)]
    answers = {f"{document['checkpoint']}.safetensors" for document in documents}
    assert set(facts(place, "checkpoints")) == answers
    assert len(answers) == 3


def test_a_job_named_as_parent_gets_a_checkpoint_even_if_none_was_asked_for(place: Path) -> None:
    with session_of(place, smoke()) as ours:
        bare = SegmentJob(0, 5, Constant(0.1), checkpoint=False)
        (first,) = ours.run_batch(Batch("", [bare]))
        assert not ours.runner.store.checkpoint(first.key).exists()
        (second,) = ours.run_batch(Batch("", [SegmentJob(5, 10, Constant(0.1), first.key)]))
    assert (second.status, ours.runner.records[second.key].attempts) == ("ok", 1)


def test_results_come_in_the_order_of_the_jobs_and_equal_jobs_are_done_once(place: Path) -> None:
    jobs = [SegmentJob(0, 5, Constant(lr)) for lr in (0.1, 0.2, 0.1, 0.3)]
    spec = prepare(smoke())
    with session_of(place, smoke()) as ours:
        results = ours.run_batch(Batch("", jobs))
    assert [result.key for result in results] == [job.key(spec) for job in jobs]
    assert results[0] is not results[1]
    assert len(facts(place)) == 3


def test_of_whole_runs_only_the_checkpoint_handed_over_is_left(place: Path) -> None:
    recipe = smoke(strategy__baseline__family=["wsd"], strategy__baseline__grid=[0.1, 0.3])
    document = search(place, recipe, command="baseline")
    assert place_of(document) == [f"{document['checkpoint']}.safetensors"]
    assert len(Store(place).lineage(document["checkpoint"])) > 1


def place_of(document: dict[str, Any]) -> list[str]:
    """The checkpoints beside the one that a document names."""
    return [path.name for path in Path(document["files"]["checkpoint"]).parent.iterdir()]
