"""Searches whose jobs and runs are deleted, or taken by others, while they are at work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import searches
from lrctl.contracts.result import JobRecord
from lrctl.engine import session
from lrctl.errors import UsageError
from lrctl.storage import gc, listing
from lrctl.storage.identity import RunIdentity
from lrctl.storage.store import Store
from lrctl.training import trainer
from searches import facts, small
from storages import few_elsewhere, raw
from stored import all_of_yesterday, left

Known = tuple[RunIdentity, str]
"""What a run is, and its recipe."""


def known_of(store: Store) -> Known:
    identity, recipe = store.runs.identity("r"), store.runs.recipe("r")
    assert identity
    assert recipe
    return identity, recipe


@few_elsewhere("batches", range(1, 5), [2])
@pytest.mark.parametrize("moment", ["run_batch", "judged"])
@pytest.mark.parametrize("eps", [0.48, 0.0], ids=["all reused", "some reused"])
def test_gc_beside_a_running_search_takes_nothing_that_is_not_made_again(
    eps: float, moment: str, batches: int, place: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where both runs were removed: the one that had trained what the search reuses, and its own."""
    expected = searches.search(tmp_path / "other")
    searches.search(place, small(strategy__semilocal__eps=eps), name="shared")
    answer, train, count, paid = getattr(session.Session, moment), trainer.train, 0, 0

    def collected_before(self: session.Session, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == batches:
            for name in Store(place).runs.names():
                Store(place).runs.take_away(name)
            all_of_yesterday(place)
            gc.collect(Store(place))
            assert left(Store(place)) == dict.fromkeys(("jobs", "losses", "checkpoints"), "")
        return answer(self, *arguments)

    def counting(workload: Any, spec: Any, job: Any, *others: Any) -> Any:
        nonlocal paid
        paid += job.steps
        return train(workload, spec, job, *others)

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, moment, collected_before)
        patch.setattr(trainer, "train", counting)
        document = searches.search(place, name="mine")
    assert searches.found(document) == searches.found(expected)
    cost = document["cost"]
    assert cost["jobs"] == expected["cost"]["jobs"]
    assert 8 * (cost["jobs"] - cost["jobs_reused"]) <= cost["steps_trained"] == paid
    assert searches.search(place, name="mine") == document
    assert list(facts(place, "checkpoints")) == [f"{document['checkpoint']}.safetensors"]


@few_elsewhere("batches", range(1, 5), [2])
@pytest.mark.parametrize("what", ["the same search anew", "runs remove"])
def test_a_search_does_not_mind_what_is_done_to_its_run_meanwhile(
    what: str, batches: int, place: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = searches.search(tmp_path / "other", name="r")
    run_batch, count = session.Session.run_batch, 0

    def disturbed(self: session.Session, batch: Any) -> Any:
        nonlocal count
        results = run_batch(self, batch)
        count += 1
        if count == batches and what == "runs remove":
            Store(place).runs.take_away("r")
        elif count == batches:
            again = searches.search(place, name="r", fresh=True)
            assert searches.settled(again) == searches.settled(expected)
        return results

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "run_batch", disturbed)
        found = searches.search(place, name="r")
    assert searches.found(found) == searches.found(expected)
    assert [row["status"] for row in listing.runs(Store(place))] == ["finished"]
    assert searches.found(searches.search(place, name="r")) == searches.found(expected)


def alone(*_: object) -> None:
    pass


def another_makes_its_folder(store: Store, _: Known) -> None:
    store.objects.make_folder("runs/r")


def another_begins_it(store: Store, known: Known) -> None:
    store.runs.begin("r", *known, {})


@few_elsewhere("beside", [alone, another_makes_its_folder, another_begins_it], [another_begins_it])
@pytest.mark.parametrize("fresh", [False, True], ids=["again", "fresh"])
def test_a_run_may_be_removed_before_any_write_into_its_folder(
    fresh: bool, beside: Callable[[Store, Known], None], place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, known, at = searches.search(place, name="r"), known_of(Store(place)), 0
    kind, result = type(Store(place).objects), raw(place) / "runs" / "r" / "result.json"
    put = kind.put
    result.unlink()

    def removed_before(objects: Any, name: str, content: bytes) -> None:
        nonlocal at
        at -= name.startswith("runs/r/")
        if at == 0 and name.startswith("runs/r/"):
            at -= 1
            Store(place).runs.restart("r")
            beside(Store(place), known)
        put(objects, name, content)

    monkeypatch.setattr(kind, "put", removed_before)
    for count in range(1, 6):  # the recipe, what it runs on, the identity, the schedule, the result
        at = count
        found = searches.search(place, name="r", fresh=fresh)
        assert at < 0
        assert searches.found(found) == searches.found(expected)
        assert [(row["status"], row["defects"]) for row in listing.runs(Store(place))] == [("finished", [])]
        result.unlink()


def test_a_run_that_another_search_has_taken_the_name_of_is_not_its_result(
    place: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_batch, others = session.Session.run_batch, small(strategy__semilocal__eps=0.0)

    def taken(self: session.Session, batch: Any) -> Any:
        patch.undo()
        searches.search(place, others, name="r", fresh=True)
        return run_batch(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(session.Session, "run_batch", taken)
        with pytest.raises(UsageError, match="--name r: this run was made with other settings"):
            searches.search(place, name="r")
    alone = searches.search(tmp_path / "alone", others, name="r")
    assert searches.found(searches.search(place, others, name="r")) == searches.found(alone)


def test_a_fresh_search_takes_no_fact_away_before_it_has_another(
    place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches.search(place, name="r")
    known, facts_of = {}, Store.put_record

    def watched(self: Store, record: JobRecord) -> None:
        known[record.key] = self.record(record.key) is not None
        facts_of(self, record)

    monkeypatch.setattr(Store, "put_record", watched)
    again = searches.search(place, name="r", fresh=True)
    assert again["cost"]["steps_trained"] == 24 * 11 / 3
    assert list(known.values()) == [True] * len(known)
