"""Jobs that a program does: what it is told, what it answers, what decides its key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lrctl
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.engine.prepare import prepare
from lrctl.engine.worker import work
from lrctl.errors import UsageError
from lrctl.registry.registry import registry
from lrctl.storage.store import Store
from lrctl.testing import Constant
from programs import SEMILOCAL, command, recipe, spec_of, write
from searches import forget, session_of


def probe(folder: Path) -> TrainSpec:
    """A program that keeps what it was told."""
    told = ('with open(job["result"]', 'open("told.json", "w").write(json.dumps(job))\nwith open(job["result"]')
    return spec_of(command(write(folder, "valley.py", told)))


def test_a_job_is_told_in_a_file_and_its_answer_becomes_a_record(store: Store, folder: Path) -> None:
    spec = probe(folder)
    first = work(store, spec, SegmentJob(0, 5, Constant(0.5)))
    told = json.loads(Path("told.json").read_text())
    assert (told["format"], told["start"], told["stop"], told["steps"], told["seed"]) == ("lrctl-job/1", 0, 5, 20, 0)
    assert (told["resume"], told["evaluate"], told["score_batches"]) == (None, [], 0)
    assert not Path(told["lrs"]).parent.exists()
    job = SegmentJob(5, 8, Constant(0.25), first.key, evaluate=("validation", "test"), checkpoint=False)
    second = work(store, spec, job)
    told = json.loads(Path("told.json").read_text())
    assert (told["start"], told["stop"], told["save"], told["evaluate"]) == (5, 8, None, ["validation", "test"])
    assert told["resume"]
    assert store.losses(second.key)["lr"].tolist() == [0.25] * 3
    assert second.metrics["validation"] != second.metrics["test"]
    assert "checkpoint" not in second.digests


def test_a_run_that_is_cut_gives_what_a_whole_one_does(store: Store, folder: Path) -> None:
    spec = spec_of(command(write(folder, "valley.py")))
    whole = work(store, spec, SegmentJob(0, 8, Constant(0.5)))
    first = work(store, spec, SegmentJob(0, 5, Constant(0.5)))
    second = work(store, spec, SegmentJob(5, 8, Constant(0.5), first.key))
    assert np.array_equal(store.history(second.key), store.losses(whole.key))
    lrctl.unpack_checkpoint(store.checkpoint(whole.key), "whole")
    lrctl.unpack_checkpoint(store.checkpoint(second.key), "second")
    assert Path("whole").read_bytes() == Path("second").read_bytes()
    with pytest.raises(UsageError, match="second: cannot be written: File exists"):
        lrctl.unpack_checkpoint(store.checkpoint(second.key), "second")
    with pytest.raises(UsageError, match="unpack_checkpoint"):
        lrctl.load_weights(store.checkpoint(second.key))


def test_a_checkpoint_may_be_a_folder(store: Store, folder: Path) -> None:
    inside = '    with open(job["save"], "w") as file:'
    saved = f'    os.makedirs(job["save"] + "/rank/0")\n    open(job["save"] + "/empty", "w").close()\n{inside}'
    changes = (inside, saved.replace('open(job["save"], "w")', 'open(job["save"] + "/rank/w.json", "w")'))
    loaded = ('open(job["resume"])', 'open(job["resume"] + "/rank/w.json")')
    spec = spec_of(command(write(folder, "valley.py", changes, loaded)))
    first = work(store, spec, SegmentJob(0, 5, Constant(0.5)))
    work(store, spec, SegmentJob(5, 8, Constant(0.5), first.key))
    lrctl.unpack_checkpoint(store.checkpoint(first.key), "back")
    back = sorted(path.relative_to("back").as_posix() for path in Path("back").rglob("*"))
    assert back == ["empty", "rank", "rank/0", "rank/w.json"]


@pytest.mark.parametrize(
    ("job", "told"),
    [
        (SegmentJob(0, 5, Constant(0.5), gradient_norms=True), "the norms of its gradients are asked for"),
        (SegmentJob(0, 5, registry().get("schedule", "greedy").target(0.1)), "decided by what it sees of the run"),
    ],
    ids=["gradient norms", "adaptive"],
)
def test_what_a_program_cannot_be_told_is_refused(job: SegmentJob, told: str, store: Store, folder: Path) -> None:
    with pytest.raises(UsageError, match=told):
        work(store, spec_of(command(write(folder, "valley.py"))), job)


def test_what_is_changed_while_the_search_runs_is_an_error(store: Store, folder: Path) -> None:
    path = write(folder, "valley.py")
    spec = spec_of(command(path))
    work(store, spec, SegmentJob(0, 5, Constant(0.5)))
    path.write_text(path.read_text() + "\n")
    with pytest.raises(UsageError, match="its data or code changed while the search runs"):
        work(store, spec, SegmentJob(0, 5, Constant(0.25)))


def test_a_job_that_is_made_again_is_compared_loosely(store: Store, folder: Path) -> None:
    drift = ("losses.append(", "losses.append((1 + 1e-4 * random.random()) * ")
    spec, job = spec_of(command(write(folder, "valley.py", drift))), SegmentJob(0, 5, Constant(0.5))
    first = work(store, spec, job)
    losses = store.losses(first.key)
    store.checkpoint(first.key).unlink()
    again = work(store, spec, job)
    assert again.mean_loss == first.mean_loss
    assert store.losses(first.key).tolist() == losses.tolist()
    assert store.has_checkpoint(first.key)
    assert not spec.exact


def test_a_metric_may_be_null_where_it_is_not_finite(store: Store, folder: Path) -> None:
    path = write(folder, "valley.py", ('{"loss": loss(w', '{"other": float("nan"), "loss": None and loss(w'))
    record = work(store, spec_of(command(path)), SegmentJob(0, 5, Constant(0.5), evaluate=("test",)))
    assert record.metrics == {"test": {"loss": np.inf, "other": np.inf}}


def test_a_lost_checkpoint_is_made_again_from_the_program(folder: Path) -> None:
    made = recipe(command(write(folder, "valley.py")), **SEMILOCAL)
    with session_of(folder / "store", made) as session:
        first = SegmentJob(0, 5, Constant(0.5))
        (key,) = session.runner.meet([first])
        session.runner.train([key])
        forget(session.runner.store, key)
        session.runner.restore({key})
        assert session.runner.store.has_checkpoint(key)


# Identity


@pytest.mark.parametrize("how", ["script", "config", "depends", "command", "steps"])
def test_what_decides_what_a_program_trains_is_part_of_its_keys(how: str, folder: Path) -> None:
    path = write(folder, "valley.py")
    (folder / "small.yaml").write_text("a: 1")
    (folder / "package").mkdir()
    (folder / "package" / "model.py").write_text("1")
    words = ["--config=small.yaml"]
    more: dict[str, Any] = {"workload__depends": ("package",)}
    job, before = SegmentJob(0, 5, Constant(0.5)), prepare(recipe(command(path, *words), **more))
    if how == "steps":
        more["training__steps"] = 30
    elif how == "command":
        words.append("--wide")
    else:
        changed = {"script": path, "config": folder / "small.yaml", "depends": folder / "package" / "model.py"}[how]
        changed.write_text(changed.read_text() + "#")
    after = prepare(recipe(command(path, *words), **more))
    assert job.key(before) != job.key(after)


def test_the_timeout_and_what_python_keeps_beside_are_no_part_of_a_key(folder: Path) -> None:
    path = write(folder, "valley.py")
    (folder / "package" / "__pycache__").mkdir(parents=True)
    before = prepare(recipe(command(path), workload__depends=("package",)))
    (folder / "package" / "__pycache__" / "x.pyc").touch()
    (folder / "package" / ".hidden").touch()
    after = prepare(recipe(command(path), workload__depends=("package",), workload__timeout=60.0))
    assert before.identity == after.identity
    assert after.workload_unkeyed == {"timeout": 60.0, "gpus": 0}
