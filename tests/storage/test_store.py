from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lrctl as package
from lrctl.contracts.result import JobRecord
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import TrainedRun
from lrctl.errors import StoreError, UsageError
from lrctl.storage import gc
from lrctl.storage.identity import RunIdentity
from lrctl.storage.run_facts import RunFacts
from lrctl.storage.run_result import RunResult
from lrctl.storage.store import Store
from storages import make_old, raw

KEY, CHILD = "a" * 64, "b" * 64

IDENTITY = RunIdentity("semilocal", 2, None, None, {"steps": 10}, {}, {}, {"name": "linear-regression"}, {})


def begin(store: Store, name: str = "r") -> None:
    """Open a run."""
    store.runs.begin(name, IDENTITY, "", {})


def result(**changes: Any) -> RunResult:
    """What a run came to that trained nothing, but for these changes."""
    given: dict[str, Any] = {"command": "semilocal", "run": "r", "workload": "w", "seed": 0, "steps": 10}
    return RunResult(**given | {"schedule": None} | changes)


def entry(key: str | None) -> TrainedRun:
    """An entry of the results."""
    return TrainedRun("wsd", ScheduleRecord("wsd", {}), key, 1.0, 2.0, 3.0, 4.0)


@pytest.fixture
def store(place: Path | str) -> Store:
    return Store(place)


def put(store: Store, key: str = KEY, parent: str | None = None, **more: Any) -> JobRecord:
    """Record a job of 10 steps."""
    losses = np.linspace(2.0, 1.0, 10, dtype=np.float32)
    digests = {"losses": store.put_losses(key, losses, [0.1] * 10)}
    result = JobRecord(key, "ok", 1.5, 0, 1.0, 10, 0.25, parent=parent, digests=digests, run="r", **more)
    store.put_record(result)
    return result


def at(store: Store, key: str) -> Any:
    """Where the checkpoint of a job is."""
    return raw(store) / "checkpoints" / f"{key}.safetensors"


def files(folder: Any) -> dict[str, bytes]:
    """Every file under a folder and what it holds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_result_is_read_back_as_it_was_recorded(store: Store) -> None:
    result = put(store, metrics={"test": {"loss": 0.1 + 0.2}}, scores=(0.1,), attempts=2)
    assert store.record(KEY) == result
    assert Store(store.address).record(KEY) == result
    assert store.record(CHILD) is None


def test_infinities_are_null_on_disk(store: Store) -> None:
    store.put_record(JobRecord(KEY, "ok", math.inf, 10, math.inf, 10))
    document = json.loads((raw(store) / "jobs" / f"{KEY}.json").read_text())
    assert document["mean_loss"] is None
    assert store.record(KEY) == JobRecord(KEY, "ok", math.inf, 10, math.inf, 10)


def test_losses_are_float32_and_lrs_float64(store: Store) -> None:
    losses = np.array([1.1, math.nan, math.inf], dtype=np.float32)
    store.put_losses(KEY, losses, [0.1, 1e-30, 0.0])
    table = store.losses(KEY)
    assert table["loss"].tobytes() == losses.tobytes()
    assert table["lr"].tolist() == [0.1, 1e-30, 0.0]


def test_the_history_of_a_job_is_that_of_all_that_lead_to_it(store: Store) -> None:
    put(store)
    put(store, CHILD, parent=KEY)
    assert store.lineage(CHILD) == [KEY, CHILD]
    assert store.history(CHILD)["loss"].tolist() == [*store.losses(KEY)["loss"], *store.losses(CHILD)["loss"]]
    (raw(store) / "jobs" / f"{KEY}.json").unlink()
    with pytest.raises(StoreError, match=f"job {KEY[:12]} is missing or damaged; run the search again"):
        store.history(CHILD)


@pytest.mark.parametrize("folder", ["jobs", "losses"])
def test_a_job_with_a_flipped_bit_is_not_known(store: Store, folder: str) -> None:
    put(store, metrics={"test": {"loss": 0.5}}, scores=(0.25,))
    (path,) = (raw(store) / folder).iterdir()
    whole, bits, equal = path.read_bytes(), random.Random(0), 0
    expected = store.record(KEY)
    for place in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << bits.randrange(8)
        path.write_bytes(spoilt)
        # A flip in white space can leave the same JSON document.
        assert store.record(KEY) in ((None, expected) if folder == "jobs" else (None,)), f"byte {place}"
        equal += store.record(KEY) is not None
    assert equal < len(whole) / 20


@pytest.mark.parametrize("folder", ["jobs", "losses"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_job_with_a_truncated_file_is_not_known(store: Store, folder: str, share: float) -> None:
    put(store)
    (path,) = (raw(store) / folder).iterdir()
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert store.record(KEY) is None


NOT_RESULTS = {"a list": "[]", "a number": "1", "null": "null", "another job's": '{"key": "x"}', "NaN": '{"key": NaN}'}


@pytest.mark.parametrize("text", NOT_RESULTS.values(), ids=NOT_RESULTS)
def test_what_is_not_a_result_is_not_known(store: Store, text: str) -> None:
    (raw(store) / "jobs" / f"{KEY}.json").write_text(text)
    assert store.record(KEY) is None


def test_a_result_under_another_jobs_name_is_not_known(store: Store) -> None:
    put(store)
    (raw(store) / "jobs" / f"{KEY}.json").rename(raw(store) / "jobs" / f"{CHILD}.json")
    assert store.record(CHILD) is None


def test_a_job_whose_losses_are_gone_is_not_known(store: Store) -> None:
    put(store)
    (raw(store) / "losses" / f"{KEY}.npy").unlink()
    assert store.record(KEY) is None


@pytest.mark.parametrize("name", [".env", "jobs/.keep", "runs/.DS_Store"])
def test_hidden_files_of_others_are_left_alone(store: Store, name: str) -> None:
    path = raw(store) / name
    path.write_text("mine")
    make_old(path, 10**6)
    Store(store.address).drop_checkpoints({KEY})
    assert path.exists()


@pytest.mark.parametrize("name", ["notes.txt", "notes/today.txt"])
def test_a_place_with_other_things_in_it_is_not_made_a_store(name: str, place: Path | str) -> None:
    mine = raw(place) / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"is not a store and holds other things \(notes"):
        Store(place)
    assert list(files(raw(place))) == [name]


def test_whole_files_are_never_swept(store: Store) -> None:
    put(store)
    begin(store)
    before = files(raw(store))
    for path in raw(store).rglob("*"):
        make_old(path, 10**6)
    Store(store.address)
    assert files(raw(store)) == before


# Checkpoints


def test_a_finished_runs_checkpoint_is_not_dropped_until_gc_finds_it_removed(store: Store) -> None:
    for key in (KEY, CHILD):
        at(store, key).write_bytes(key.encode())
    begin(store)
    store.drop_checkpoints(set())
    store.runs.finish(result(checkpoint=KEY))
    store.drop_checkpoints({KEY, CHILD, "c" * 64})
    assert at(store, KEY).exists()
    assert not at(store, CHILD).exists()
    store.runs.take_away("r")  # another search may hand it over at this moment
    store.drop_checkpoints({KEY})
    assert at(store, KEY).exists()
    gc.collect(store)
    assert not at(store, KEY).exists()
    assert not store.runs.is_handed_over(KEY)


def left(store: Store, key: str | None, run: str = "r") -> None:
    """A budget leaves a run, whose checkpoints are there."""
    for each in (KEY, CHILD):
        at(store, each).write_bytes(b"")
    begin(store, run)
    store.runs.leave(result(run=run, status="partial", checkpoint=key, schedule=None))


def kept(store: Store) -> set[str]:
    """Which of the two checkpoints a search cannot delete."""
    store.drop_checkpoints({KEY, CHILD})
    return {key for key in (KEY, CHILD) if at(store, key).exists()}


def test_what_a_partial_result_hands_over_is_kept_until_it_hands_over_another(store: Store) -> None:
    left(store, KEY)
    assert kept(store) == {KEY}
    left(store, CHILD)
    assert kept(store) == {CHILD}
    at(store, KEY).write_bytes(b"")
    store.runs.finish(result(checkpoint=KEY))
    assert kept(store) == {KEY}


def test_what_another_partial_result_hands_over_too_is_kept(store: Store) -> None:
    left(store, KEY, "a")
    left(store, KEY, "b")
    left(store, None, "a")
    assert kept(store) == {KEY}
    left(store, None, "b")
    assert kept(store) == set()


def test_gc_keeps_what_a_partial_result_hands_over(store: Store) -> None:
    left(store, KEY)
    gc.collect(store)
    assert store.runs.is_handed_over(KEY)
    for path in (at(store, KEY), at(store, CHILD), raw(store) / "handed_over" / KEY):
        make_old(path, 10**6)
    gc.collect(store)
    assert kept(store) == {KEY}
    store.runs.take_away("r")
    gc.collect(store)
    assert kept(store) == set()


HANDED_OVER: dict[str, tuple[dict[str, Any], set[str]]] = {
    "one": ({"checkpoint": KEY}, {KEY}),
    "none": ({"checkpoint": None}, set()),
    "several": ({"checkpoint": KEY, "results": (entry(CHILD), entry(None))}, {KEY, CHILD}),
}


@pytest.mark.parametrize(("changes", "expected"), HANDED_OVER.values(), ids=HANDED_OVER)
def test_a_finished_run_hands_over_every_checkpoint_that_it_names(
    store: Store, changes: dict[str, Any], expected: set[str]
) -> None:
    assert result(**changes).handed_over == expected
    for key in (KEY, CHILD):
        at(store, key).write_bytes(b"")
    begin(store)
    store.runs.finish(result(**changes))
    store.drop_checkpoints({KEY, CHILD})
    assert {key for key in (KEY, CHILD) if at(store, key).exists()} == expected


def test_what_another_run_hands_over_too_stays_when_a_run_is_removed(store: Store) -> None:
    at(store, KEY).write_bytes(b"")
    for name in ("a", "b"):
        begin(store, name)
        store.runs.finish(result(run=name, checkpoint=KEY))
    store.runs.take_away("a")
    store.drop_checkpoints({KEY})
    assert at(store, KEY).exists()


def test_dropping_checkpoints_reads_no_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(store)
    store.runs.finish(result(checkpoint=KEY))
    monkeypatch.setattr(RunFacts, "result", lambda *_: pytest.fail("a run was read"))
    store.drop_checkpoints({KEY, CHILD})


# Runs


def test_the_runs_of_a_store_are_listed_by_name(store: Store) -> None:
    for name in ("b", "a"):
        begin(store, name)
    (raw(store) / "runs" / ".hidden").mkdir()
    (raw(store) / "runs" / "file").write_text("")
    assert store.runs.names() == ["a", "b"]


def test_a_run_that_trained_nothing_has_no_checkpoint_file(store: Store) -> None:
    assert store.runs.files(result())["checkpoint"] is None
    assert store.runs.files(result(checkpoint=KEY))["checkpoint"] == store.objects.where(
        f"checkpoints/{KEY}.safetensors"
    )


def test_a_run_that_found_no_schedule_has_no_schedule_file(store: Store) -> None:
    assert store.runs.files(result())["schedule"] is None
    begin(store)
    store.runs.finish(result())
    assert not (raw(store) / "runs" / "r" / "schedule.json").exists()


def test_a_run_is_opened_and_finished(store: Store) -> None:
    store.runs.begin("r", IDENTITY, "[training]\n", {"torch": "2"})
    assert (store.runs.result("r"), store.runs.identity("r")) == (None, IDENTITY)
    found = result(schedule=ScheduleRecord("constant", {"steps": 9, "peak_lr": 0.1}))
    store.runs.finish(found)
    assert store.runs.result("r") == found
    assert sorted(path.name for path in (raw(store) / "runs" / "r").iterdir()) == [
        *("environment.json", "identity.json", "recipe.toml", "result.json", "schedule.json")
    ]
    assert store.read_signed("runs/r/schedule.json") == {
        "format": "lrctl-schedule/1",
        "steps": 10,
        "schedule": {"family": "constant", "params": {"steps": 9, "peak_lr": 0.1}},
        "made_by": {"lrctl": package.__version__, "command": "semilocal", "run": "r"},
    }


@pytest.mark.parametrize("file", ["result.json", "identity.json"])
def test_a_file_of_a_run_that_was_changed_is_not_read(store: Store, file: str) -> None:
    begin(store)
    store.runs.finish(result())
    path = raw(store) / "runs" / "r" / file
    path.write_text(path.read_text().replace("semilocal", "local"))
    assert (store.runs.result("r") is None, store.runs.identity("r") is None) == (file[0] == "r", file[0] == "i")


def test_a_run_of_other_settings_is_refused(store: Store) -> None:
    begin(store)
    begin(store)
    with pytest.raises(UsageError, match="--name r: this run was made with other settings"):
        store.runs.begin("r", replace(IDENTITY, training={"steps": 11}), "", {})


@pytest.mark.parametrize("name", ["", ".", "..", "../other", "a/b", "/elsewhere/x", ".hidden", "a\0b", "x" * 300])
def test_a_run_never_leads_out_of_its_store(store: Store, name: str) -> None:
    put(store)
    before = files(raw(store).parent)
    for act in (store.runs.folder, store.runs.result, store.runs.take_away, lambda n: begin(store, n)):
        with pytest.raises(UsageError, match="must be the name of one folder"):
            act(name)
    assert files(raw(store).parent) == before


# Opening


def test_a_store_is_opened_twice(store: Store) -> None:
    put(store)
    before = files(raw(store))
    assert Store(store.address).record(KEY) is not None
    assert files(raw(store)) == before


@pytest.mark.parametrize("text", ['{"format": "lrctl-store/1"}', "{}", "half a docu"])
def test_a_store_of_another_format_is_refused(place: Path | str, text: str) -> None:
    raw(place).mkdir()
    (raw(place) / "store.json").write_text(text)
    with pytest.raises(UsageError, match=r"store.json: the store's format is .*, this lrctl reads 'lrctl-store/2'"):
        Store(place)
