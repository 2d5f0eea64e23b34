from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrctl import hookimpl
from lrctl.analysis.smoothing import final_train_loss
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import AdamW
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import Observation
from lrctl.contracts.strategy import Batch
from lrctl.engine.prepare import prepare, resolve_device
from lrctl.errors import JobFailedError, ReproducibilityError, UsageError
from lrctl.planning.estimate import estimate
from lrctl.planning.profile import Measured
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import load_workload
from lrctl.registry.registry import registry
from lrctl.registry.schedules import build_schedule
from lrctl.storage.store import Store
from lrctl.testing import Constant
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import train
from searches import facts, forget, found, search, session_of, settled, small, smoke


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the small search, never interrupted."""
    return search(tmp_path_factory.mktemp("reference") / "store")


@pytest.fixture(autouse=True)
def no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk is what takes longest here, and no test pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store"


@dataclass(eq=False)
class Watch:
    """An observer that calls a function before each batch and after each job."""

    before_batch: Callable[[Batch], None] | None = None
    after_job: Callable[[JobResult], None] | None = None

    @hookimpl
    def batch_started(self, batch: Batch) -> None:
        if self.before_batch:
            self.before_batch(batch)

    @hookimpl
    def job_finished(self, result: JobResult) -> None:
        if self.after_job:
            self.after_job(result)


@pytest.fixture
def watch() -> Iterator[Callable[..., None]]:
    """Registers observers for the length of a test."""
    watches: list[Watch] = []

    def add(**calls: Any) -> None:
        watches.append(Watch(**calls))
        registry().manager.register(watches[-1])

    yield add
    for each in watches:
        registry().manager.unregister(each)


def stop_at(batch: int) -> Callable[[Batch], None]:
    """Interrupts a search before its batch number `batch`, once."""
    seen: list[Batch] = []

    def stop(started: Batch) -> None:
        seen.append(started)
        if len(seen) == batch:
            raise KeyboardInterrupt

    return stop


# The path that was found


def gpt_recipe(folder: Path) -> Recipe:
    """A GPT of two layers with dropout."""
    (folder / "text.txt").write_text(" ".join(f"{n * n} of {n}" for n in range(1500)))
    sizes = {"layers": 2, "heads": 2, "d_model": 16, "context": 8, "batch_size": 4, "dropout": 0.2, "eval_tokens": 512}
    table = {"name": "gpt", "path": str(folder / "text.txt"), "tokenizer": "bytes", **sizes}
    few = {"strategy__semilocal__segments": 3, "strategy__semilocal__grid_size": 2, "training__steps": 15}
    return smoke(**{f"workload__{key}": value for key, value in table.items()}, **few)


PATHS: dict[str, tuple[str, Callable[[Path], Recipe]]] = {
    "eps in nats": ("semilocal", lambda _: small(strategy__semilocal__eps=0.05, training__steps=43)),
    "eps as progress": ("semilocal", lambda _: small(strategy__semilocal__eps_unit="progress")),
    "local": ("local", lambda _: small()),
    "gpt with dropout": ("semilocal", gpt_recipe),
}


@pytest.mark.parametrize(("command", "recipe_in"), PATHS.values(), ids=PATHS)
def test_training_from_scratch_with_the_schedule_found_is_the_path_of_the_search(
    command: str,
    recipe_in: Callable[[Path], Recipe],
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    recipe = recipe_in(tmp_path)
    document = search(place, recipe, command)
    assert document["schedule"]["family"] == "piecewise-linear"
    schedule = build_schedule(PiecewiseLinear, document["schedule"]["params"])
    spec, steps = prepare(recipe), recipe.training.steps
    workload = load_workload(spec.workload, spec.workload_params, spec.seed)
    with quiet_torch(spec.threads):
        again = train(workload, spec, SegmentJob(0, steps, schedule, evaluate=("validation", "test")))
    history = Store(place).history(document["checkpoint"])
    assert again.losses.tobytes() == history["loss"].tobytes()
    assert again.lrs == history["lr"].tolist() == [schedule(step) for step in range(steps)]
    assert again.metrics == document["metrics"]
    assert document["test_loss"] == again.metrics["test"]["loss"]
    assert document["train_loss"] == final_train_loss(again.losses)


@dataclass(frozen=True)
class Bounce:
    """A scripted adaptive schedule: up by half when the loss falls, to a third when it rises."""

    lr: float = 0.05

    def init(self) -> Any:
        return {"lr": self.lr, "last": None}

    def __call__(self, _step: int, state: Any) -> float:
        return float(state["lr"])

    def update(self, state: Any, seen: Observation) -> Any:
        falls = state["last"] is None or seen.loss < state["last"]
        return {"lr": state["lr"] * (1.5 if falls else 1 / 3), "last": seen.loss}


def test_an_adaptive_schedule_goes_on_through_checkpoints(place: Path) -> None:
    with session_of(place, smoke()) as ours:
        whole, first = ours.run_batch(Batch("", [SegmentJob(0, 40, Bounce()), SegmentJob(0, 15, Bounce())]))
        (last,) = ours.run_batch(Batch("", [SegmentJob(15, 40, Bounce(), first.key)], keep=frozenset({whole.key})))
    assert ours.runner.store.history(last.key).tobytes() == ours.runner.store.history(whole.key).tobytes()


# Known work


def test_a_finished_search_is_answered_at_once(place: Path) -> None:
    first = search(place)
    before = {folder: facts(place, folder) for folder in ("jobs", "losses", "checkpoints")}
    assert search(place) == first
    assert {folder: facts(place, folder) for folder in before} == before


def test_a_fresh_search_trains_everything_and_finds_the_same(place: Path, reference: dict[str, Any]) -> None:
    search(place)
    before = facts(place)
    assert settled(search(place, fresh=True)) == settled(reference)
    after = facts(place)
    assert after.keys() == before.keys()
    assert all(after[name][:2] != before[name][:2] for name in before)


def test_jobs_of_other_searches_are_not_trained_again(place: Path, reference: dict[str, Any]) -> None:
    search(place, command="local")
    before = facts(place)
    document = search(place)
    assert found(document) == found(reference)
    assert document["cost"]["jobs_reused"] == 7, "segments 1 and 2: until then the paths are one"
    assert document["cost"]["steps_trained"] == 32 + 16, "two more for the checkpoint that local search dropped"
    assert sum(facts(place)[name] != before[name] for name in before) == 2


def test_a_name_stands_for_one_set_of_settings(place: Path) -> None:
    search(place, name="mine")
    with pytest.raises(UsageError, match="--name mine: this run was made with other settings"):
        search(place, small(training__seed=1), name="mine")
    assert search(place, small(training__seed=1), name="mine", fresh=True)["seed"] == 1


@pytest.mark.parametrize("name", ["../..", ".."])
def test_a_fresh_search_deletes_nothing_outside_its_own_run(place: Path, name: str) -> None:
    search(place)
    before = facts(place)
    with pytest.raises(UsageError, match="must be the name of one folder"):
        search(place, name=name, fresh=True)
    assert facts(place) == before


def test_a_search_that_was_stopped_goes_on(place: Path, reference: dict[str, Any], watch: Callable[..., None]) -> None:
    watch(before_batch=stop_at(3))
    with pytest.raises(KeyboardInterrupt):
        search(place)
    before = facts(place)
    assert len(before) == 7
    assert settled(search(place)) == settled(reference)
    assert {name: facts(place)[name] for name in before} == before


# Damage


def keys_of(document: dict[str, Any]) -> list[str]:
    """The jobs that lead to the answer."""
    return [next(c["key"] for c in s["candidates"] if c["lr"] == s["chosen"]) for s in document["segments"]]


def flip(place: float, bit: int) -> Callable[[Path], None]:
    """Flips a bit at a share of a file."""

    def spoil(path: Path) -> None:
        whole = bytearray(path.read_bytes())
        whole[int(place * len(whole))] ^= 1 << bit
        path.write_bytes(whole)

    return spoil


def cut(share: float) -> Callable[[Path], None]:
    """Truncates a file."""
    return lambda path: os.truncate(path, int(share * path.stat().st_size))


RANDOM = random.Random(0)
SPOILT = {
    f"bit {bit} at {at:.3f}": flip(at, bit) for at, bit in [(RANDOM.random(), RANDOM.randrange(8)) for _ in "....."]
}
SPOILT |= {"first byte": flip(0, 0), "in the header": flip(0.1, 3), "last byte": flip(0.9999, 7)}
SPOILT |= {"cut to a half": cut(0.5), "empty": cut(0), "gone": Path.unlink}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_damaged_checkpoint_is_made_again(
    spoil: Callable[[Path], None], place: Path, reference: dict[str, Any], watch: Callable[..., None]
) -> None:
    watch(before_batch=stop_at(3))
    with pytest.raises(KeyboardInterrupt):
        search(place)
    spoil(Store(place).checkpoint(keys_of(reference)[1]))
    document = search(place)
    assert found(document) == found(reference)
    again = document["cost"]["steps_trained"] - 88
    assert again in (8, 16), "it, and its own parent where the damage shows only once that is dropped"


@pytest.mark.parametrize("folder", ["jobs", "losses"])
@pytest.mark.parametrize(
    "spoil", [flip(0.3, 1), flip(0.9, 2), cut(0.5), Path.unlink], ids=["flip", "flip 2", "cut", "gone"]
)
def test_damaged_facts_are_made_again(
    folder: str, spoil: Callable[[Path], None], place: Path, reference: dict[str, Any], watch: Callable[..., None]
) -> None:
    watch(before_batch=stop_at(3))
    with pytest.raises(KeyboardInterrupt):
        search(place)
    (path,) = (place / folder).glob(f"{keys_of(reference)[1]}.*")
    spoil(path)
    assert found(search(place)) == found(reference)
    assert Store(place).record(keys_of(reference)[1]) is not None


def unfinish(store: Store, document: dict[str, Any]) -> None:
    """Forget that a run is finished and its last job, and lose all checkpoints."""
    (store.path / "runs" / document["run"] / "result.json").unlink()
    for path in (store.path / "checkpoints").iterdir():
        path.unlink()
    forget(store, document["checkpoint"])


def test_lost_checkpoints_are_made_again_through_generations(place: Path, reference: dict[str, Any]) -> None:
    unfinish(Store(place), search(place))
    before = facts(place, "losses")
    document = search(place)
    assert found(document) == found(reference)
    assert document["cost"]["steps_trained"] == 88 + 16
    assert {name: facts(place, "losses")[name][2] for name in before} == {name: f[2] for name, f in before.items()}


def test_a_lost_answer_is_made_again_before_it_is_handed_over(place: Path, reference: dict[str, Any]) -> None:
    document = search(place)
    (place / "runs" / document["run"] / "result.json").unlink()
    Store(place).checkpoint(document["checkpoint"]).unlink()
    assert found(search(place)) == found(reference)
    assert Store(place).checkpoint(document["checkpoint"]).exists()


def test_other_losses_than_the_stored_ones_end_the_search(place: Path, reference: dict[str, Any]) -> None:
    store = Store(place)
    unfinish(store, search(place))
    key = keys_of(reference)[0]
    result, table = store.record(key), store.losses(key)
    assert result is not None
    digest = store.put_losses(key, table["loss"] + np.float32(1e-3), list(table["lr"]))
    store.put_record(replace(result, digests={**result.digests, "losses": digest}))
    with pytest.raises(ReproducibilityError, match="gave another loss at its step 0 than the one stored"):
        search(place)
    assert found(search(place, fresh=True)) == found(reference)


def test_a_checkpoint_that_another_search_deletes_is_made_again(
    place: Path, reference: dict[str, Any], watch: Callable[..., None]
) -> None:
    spoilt: set[str] = set()

    def delete(_: JobResult) -> None:
        for path in (place / "checkpoints").iterdir():
            if path.name not in spoilt:
                spoilt.add(path.name)
                path.unlink()

    watch(after_job=delete)
    assert found(search(place)) == found(reference)
    assert len(spoilt) == 11


# Checkpoints


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


# Failures

NET = """
import os, signal
from pathlib import Path
import torch
from lrctl.errors import UsageError

class Net:
    def __init__(self, seed, folder="", how="raise", times=0):
        self.seed, self.folder, self.how, self.times = seed, Path(folder), how, times

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        torch.manual_seed(step)
        return torch.randn(4, 2)

    def loss(self, model, batch):
        return model(batch).square().mean()

    def evaluate(self, model, split):
        return {"loss": 1.0 if split == "test" else 2.0}
"""
FAILING = """
    def batch(self, step):
        tries = self.folder / "tries"
        done = len(tries.read_text()) if tries.exists() else 0
        if step == 4 and done < self.times:
            tries.write_text("x" * (done + 1))
            if self.how == "usage":
                raise UsageError("the data are not there")
            raise FloatingPointError("the moon is full")
        torch.manual_seed(step)
        return torch.randn(4, 2)
"""


def net(folder: Path, extra: str = "", **overrides: Any) -> Recipe:
    """A recipe that trains the class Net of a file in this folder."""
    (folder / "net.py").write_text(NET + extra)
    few = {"strategy__semilocal__segments": 2, "strategy__semilocal__grid_size": 1, "training__steps": 10}
    return smoke(workload__name=f"{folder / 'net.py'}:Net", **few, **overrides)


@pytest.fixture
def no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look at a workload trains nothing."""
    monkeypatch.setattr("lrctl.checks.purity.check_purity", lambda *_: None)


@pytest.mark.usefixtures("no_probe")
def test_a_job_that_fails_each_time_ends_the_search(tmp_path: Path, place: Path) -> None:
    recipe = net(tmp_path, FAILING, workload__folder=str(tmp_path), workload__times=10**6)
    with pytest.raises(JobFailedError, match=r"failed 3 times, last with FloatingPointError: the moon is full") as end:
        search(place, recipe)
    assert "net.py" in end.value.details
    assert len((tmp_path / "tries").read_text()) == 2 * 9 + 1, "every job of the batch is tried before the third time"
    assert [json.loads(content)["steps"] for _, _, content in facts(place).values()] == [0], "the first look alone"


@pytest.mark.parametrize("kind", ["TypeError", "ValueError", "KeyError", "IndexError", "AttributeError"])
def test_a_mistake_in_the_code_is_met_once(kind: str, tmp_path: Path, place: Path) -> None:
    wrong = FAILING.replace("FloatingPointError", kind)
    with pytest.raises(JobFailedError, match=rf"failed with {kind}: '?the moon is full'? \(net.py, line"):
        search(place, net(tmp_path, wrong, workload__folder=str(tmp_path), workload__times=10**6))
    assert len((tmp_path / "tries").read_text()) == 1


@pytest.mark.usefixtures("no_probe")
def test_a_job_that_fails_once_is_tried_again(tmp_path: Path, place: Path) -> None:
    document = search(place, net(tmp_path, FAILING, workload__folder=str(tmp_path), workload__times=1))
    attempts = {name: json.loads(content)["attempts"] for name, (_, _, content) in facts(place).items()}
    assert sorted(attempts.values(), reverse=True)[:2] == [2, 1]
    (again,) = (name for name, tries in attempts.items() if tries == 2)
    result = Store(place).record(again.removesuffix(".json"))
    assert result is not None
    assert result.attempts == 2
    sound = search(tmp_path / "sound", net(tmp_path, FAILING, workload__folder=str(tmp_path), workload__times=1))
    assert found(sound) == found(document)


FULL = """
    def model(self):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
"""


def test_a_job_that_is_too_large_even_alone_ends_the_search_with_advice(tmp_path: Path, place: Path) -> None:
    recipe = net(tmp_path, FULL)
    with (
        pytest.warns(UserWarning, match="a device ran out of memory"),
        pytest.raises(
            JobFailedError, match=r"2\.00 GiB\..*; lower executor\.per_gpu, or raise training\.micro_batches"
        ),
    ):
        search(place, recipe)


@pytest.mark.parametrize("kind", ["UsageError", "MissingError", "type('Own', (UsageError,), {})"])
def test_a_mistake_of_the_user_is_not_tried_again(kind: str, tmp_path: Path, place: Path) -> None:
    raised = FAILING.replace("raise UsageError", f"from lrctl.errors import MissingError, UsageError; raise {kind}")
    recipe = net(tmp_path, raised, workload__folder=str(tmp_path), workload__times=9, workload__how="usage")
    with pytest.raises(UsageError, match=r"^the data are not there$"):
        search(place, recipe)
    assert (tmp_path / "tries").read_text() == "x"


def test_an_optimizer_is_settled_once(tmp_path: Path) -> None:
    own = "\n    def optimizer(self, model):\n        return torch.optim.SGD(model.parameters(), lr=0.0)\n"
    assert prepare(net(tmp_path, own)).optimizer is None
    with pytest.raises(UsageError, match=r"smoke: optimizer: workload .*Net brings its own optimizer"):
        prepare(net(tmp_path, own, optimizer__weight_decay=0.2))
    chosen = prepare(net(tmp_path, own, optimizer__weight_decay=0.2, optimizer__name="adamw")).optimizer
    assert chosen is not None
    assert chosen == AdamW(weight_decay=0.2)


def test_an_observer_that_fails_is_a_warning(place: Path, watch: Callable[..., None]) -> None:
    def fail(_: JobResult) -> None:
        raise ValueError("no")

    watch(after_job=fail)
    with pytest.warns(UserWarning, match="its observer job_finished failed: ValueError: no"):
        search(place)


# Estimates


@pytest.mark.parametrize("made", ["nothing", "a folder", "a store"])
def test_an_estimate_tells_jobs_and_steps_and_writes_nothing(made: str, place: Path, tmp_path: Path) -> None:
    if made == "a folder":
        place.mkdir()
    if made == "a store":
        search(place, smoke(), command="local")
    before = sorted(tmp_path.rglob("*"))
    told = estimate("semilocal", smoke(), store=place)
    assert sorted(tmp_path.rglob("*")) == before
    assert (told["jobs_known"] > 0) is (made == "a store")
    cost = search(place, smoke())["cost"]
    assert told["jobs"] == cost["jobs"]
    assert told["steps"] == 40 * told["full_runs"] == 270


def test_an_estimates_disk_holds_the_search(place: Path, watch: Callable[..., None]) -> None:
    told = estimate("semilocal", small(), store=place)
    counts: list[int] = []
    watch(after_job=lambda _: counts.append(len(facts(place, "checkpoints"))))
    search(place)
    assert told["peak_disk_bytes"] == max(counts) * told["checkpoint_bytes"]


def test_an_estimate_counts_the_run_that_is_trained_again_for_its_checkpoint(place: Path) -> None:
    axes = {"strategy__baseline__family": ["wsd"], "strategy__baseline__axis": ["warmup=0.1", "decay=0.3"]}
    recipe = smoke(strategy__baseline__grid=[3e-4], **axes)
    told = estimate("baseline", recipe, store=place)
    cost = search(place, recipe, command="baseline")["cost"]
    assert told["jobs"] == cost["jobs"]
    assert told["steps"] == cost["steps_trained"]


def test_a_run_that_is_alone_is_trained_once(place: Path) -> None:
    recipe = smoke(strategy__baseline__family=["constant"], strategy__baseline__grid=[0.1])
    told = estimate("baseline", recipe, store=place)
    cost = search(place, recipe, command="baseline")["cost"]
    assert (told["steps"], cost["steps_trained"]) == (40, 40)


def test_an_estimate_counts_the_comparisons_of_averages(place: Path) -> None:
    axes = {"strategy__baseline__family": ["wsd"], "strategy__baseline__axis": ["warmup=0.1", "decay=0.3"]}
    recipe = smoke(strategy__baseline__grid=[3e-4], training__averaging=(4.0,), **axes)
    told = estimate("baseline", recipe, store=place)
    cost = search(place, recipe, command="baseline")["cost"]
    assert told["forwards"] == cost["extra_forwards"] + cost["scored_batches"]
    assert told["full_runs"] == pytest.approx(cost["full_runs"])
    assert min(cost["extra_forwards"], cost["scored_batches"]) > 0


def test_of_whole_runs_only_the_checkpoint_handed_over_is_left(place: Path) -> None:
    recipe = smoke(strategy__baseline__family=["wsd"], strategy__baseline__grid=[0.1, 0.3])
    document = search(place, recipe, command="baseline")
    assert place_of(document) == [f"{document['checkpoint']}.safetensors"]
    assert len(Store(place).lineage(document["checkpoint"])) > 1


def place_of(document: dict[str, Any]) -> list[str]:
    """The checkpoints beside the one that a document names."""
    return [path.name for path in Path(document["files"]["checkpoint"]).parent.iterdir()]


def test_an_estimate_s_time_counts_what_evaluating_takes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrctl.planning.estimate.probe", lambda *_, **__: Measured(0.0, 2.0, 1, 1))
    axes = {"strategy__baseline__family": ["triangle"], "strategy__baseline__grid": [1e-4, 3e-4, 1e-3]}
    told = estimate("baseline", smoke(executor__name="serial", **axes), store=place)
    assert told["seconds"] == 2.0 * (3 + 1)  # each run, and what is handed over


def test_a_finished_search_is_found_without_beginning_it_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = search(place, small())
    monkeypatch.setattr("lrctl.engine.run.advance", lambda _: pytest.fail("the search began again"))
    assert search(place, small()) == first
    with pytest.raises(pytest.fail.Exception):
        search(place, small(training__seed=1))


# Numbers


def smoothed_end(losses: list[float]) -> float:
    """The last value of a Gaussian filter of 10 steps, cut at 40, the series reflected at its ends."""
    n = len(losses)
    weights = {offset: math.exp(-0.5 * (offset / 10) ** 2) for offset in range(-40, 41)}
    places = {offset: (n - 1 + offset) % (2 * n) for offset in weights}
    values = {offset: losses[at if at < n else 2 * n - 1 - at] for offset, at in places.items()}
    return sum(weights[offset] * values[offset] for offset in weights) / sum(weights.values())


@pytest.mark.parametrize("n", [1, 2, 5, 40, 41, 300])
def test_the_final_train_loss_is_the_end_of_the_smoothed_losses(n: int) -> None:
    losses = np.random.default_rng(n).normal(size=n).astype(np.float32)
    assert final_train_loss(losses) == pytest.approx(smoothed_end(losses.tolist()), rel=1e-12)


KNOWN = {"constant": ([2.0] * 7, 2.0), "last of two": ([0.0] * 99 + [1.0], 0.0795935)}


@pytest.mark.parametrize(("losses", "expected"), KNOWN.values(), ids=KNOWN)
def test_the_final_train_loss_of_known_series(losses: list[float], expected: float) -> None:
    assert final_train_loss(np.array(losses)) == pytest.approx(expected, abs=1e-6)


def test_a_device_that_torch_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--device warp: cannot be used here: .*; choose cpu, or leave it out"):
        resolve_device("warp")


def test_a_search_does_not_keep_the_lr_of_each_step_of_its_jobs(place: Path) -> None:
    """Over many long jobs these would be most of what a search holds in memory."""
    with session_of(place, small()) as session:
        jobs = [SegmentJob(0, 8, PiecewiseLinear(((0, 0.0), (8, lr)))) for lr in (0.1, 0.2)]
        session.run_batch(Batch("", jobs))
        assert [vars(job).keys() & {"lrs"} for job in session.runner.seen.values()] == [set(), set()]
