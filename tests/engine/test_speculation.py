"""What is trained ahead changes how long a search takes, what it costs, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import Lrctl
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import Failure, JobRecord
from lrctl.contracts.strategy import Batch, Search, SearchResult
from lrctl.engine import futures, run
from lrctl.engine.ahead import NEARLY, Ahead, length
from lrctl.engine.budget import Budget
from lrctl.engine.executors import can_speculate
from lrctl.engine.job_runner import JobRunner
from lrctl.engine.prepare import prepare
from lrctl.engine.session import Session
from lrctl.engine.worker import attempt
from lrctl.errors import StoreError
from lrctl.recipe.schema import Choice, Recipe
from lrctl.storage.identity import RunIdentity
from lrctl.storage.run_result import RunResult
from lrctl.storage.store import Store
from lrctl.testing import SPEC, Constant
from lrctl.training import early_stopping
from lrctl.training.trainer import train
from lrctl_executors.processes import ProcessesParams
from lrctl_executors.serial import SerialParams
from searches import forkserver, found, search, small, smoke
from virtual import Kept, Recorded, Virtual

RUN = "a-run"


@pytest.fixture(autouse=True)
def time_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual workers take no time, so that any share of it is too little to look ahead in."""
    monkeypatch.setattr(futures, "SHARE", float("inf"))


# Random searches on a made-up landscape


def chance(*told: object) -> Random:
    return Random(repr(told))


def loss_of(job: SegmentJob) -> float:
    return 1.0 + chance("loss", job.key(SPEC)).random()


def random_search(seed: int) -> Search:
    """Asks for a few jobs at a time; what it goes on from, and asks for next, depends on which was better."""
    ended: dict[str, tuple[float, int]] = {}
    best: tuple[float, str | None, int] = (9.0, None, 0)
    for n in range(chance(seed).randint(3, 8)):
        better = chance(seed, n, best[1]).random() < 0.5
        start, parent = (best[2], best[1]) if better else (0, None)
        lrs = [0.1 * (n + 1) + i / 100 for i in range(chance(seed, n).choice((1, 1, 1, 2, 3)))]
        stop = start + chance(seed, n, "steps").randint(1, 9)
        jobs = [SegmentJob(start, stop, Constant(lr), parent, score_batches=2) for lr in lrs]
        keep = frozenset({best[1]} if best[1] else {})
        results = yield Batch(f"batch {n}", jobs, keep=keep, judge=False)
        for job, result in zip(jobs, results, strict=True):
            ended[result.key] = result.score or 0.0, job.stop
            best = min(best, (result.score or 0.0, result.key, job.stop), key=lambda each: each[0])
    assert best[1]
    return SearchResult(None, best[1], notes=tuple(f"{key} {loss}" for key, (loss, _) in ended.items()))


@dataclass
class Carried:
    """What carrying a search out came to."""

    session: Session
    virtual: Virtual
    found: SearchResult
    batches: list[Batch]


def carry_out(folder: Path, seed: int, workers: int, *, ahead: bool, **more: Any) -> Carried:
    """A random search, with jobs of random lengths."""
    store = Store(folder)
    (store.path / "runs" / RUN).mkdir(exist_ok=True)
    spec = replace(SPEC, run=RUN)
    work = more.pop("attempt", None) or Recorded(store, Store(folder.parent / "nothing"), loss_of)
    length = more.pop("length", lambda job: chance(seed, "length", job).randint(1, 20))
    virtual = Virtual(workers, work, store, length=length)
    session = Session(JobRunner(store, spec, virtual, **more), smoke())
    session.runner.early = store.trained_ahead(RUN)
    begin, batches = partial(random_search, seed), list[Batch]()

    def watched(search: Search) -> Search:
        moved = next(search)
        try:
            while True:
                batches.append(moved)
                moved = search.send((yield moved))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    if ahead:
        session.train_ahead(begin)
    found = session.drive(watched(begin()))
    assert found.checkpoint
    session.runner.restore({found.checkpoint})  # as once it is handed over
    session.runner.clean_up({found.checkpoint})
    return Carried(session, virtual, found, batches)


def checkpoints(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "checkpoints").glob("*.safetensors")}


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), workers=st.integers(2, 4))
def test_a_search_finds_the_same_and_leaves_the_same_behind(
    seed: int, workers: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    plain = carry_out(folder / "plain", seed, workers, ahead=False)
    ahead = carry_out(folder / "ahead", seed, workers, ahead=True)
    assert ahead.found == plain.found
    assert [batch.jobs for batch in ahead.batches] == [batch.jobs for batch in plain.batches]
    assert checkpoints(folder / "ahead") == checkpoints(folder / "plain")
    assert ahead.virtual.now <= plain.virtual.now or ahead.virtual.taken != plain.virtual.taken


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), workers=st.integers(2, 4))
def test_the_cost_is_all_that_was_trained(seed: int, workers: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("stores")
    plain = carry_out(folder / "plain", seed, workers, ahead=False).session.cost(0.0)
    carried = carry_out(folder / "ahead", seed, workers, ahead=True)
    cost = carried.session.cost(0.0)
    trained = 0
    for kind in ("jobs", "stopped"):
        for path in (folder / "ahead" / kind).glob("*.json"):
            store = Store(folder / "ahead")
            record = store.record(path.stem) or store.stopped(path.stem)
            assert record
            trained += record.steps + record.discarded + record.remade.get(RUN, 0)
    assert cost.steps_trained == trained >= plain.steps_trained
    assert cost.jobs == plain.jobs
    own = cost.full_runs - cost.speculated_full_runs
    assert own * carried.session.recipe.run_spec.left >= plain.steps_trained - 1e-6


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_no_job_is_trained_to_its_end_twice_but_for_a_checkpoint_that_is_gone(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, done = tmp_path_factory.mktemp("stores"), list[str]()
    inner = Recorded(Store(folder / "ahead"), Store(folder / "nothing"), loss_of)

    def counting(spec: TrainSpec, job: SegmentJob) -> JobRecord:
        done.append(job.key(spec))
        return inner(spec, job)

    carry_out(folder / "ahead", seed, 3, ahead=True, attempt=counting)
    for key, times in Counter(done).items():
        record = inner.store.record(key)
        assert record
        assert record.remade.get(RUN, 0) == (times - 1) * record.steps


def test_a_job_that_is_nearly_done_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares, give_up = list[float](), Ahead.give_up

    def noted(ahead: Ahead, key: str) -> None:
        assert isinstance(ahead.executor, Virtual)
        done = {job.key(SPEC): (ahead.executor.now - begun) / length(job) for _, _, job, begun in ahead.executor.busy}
        shares.extend([done[key]] * (not ahead.ended))
        give_up(ahead, key)

    monkeypatch.setattr(Ahead, "give_up", noted)
    for seed in range(12):
        carry_out(tmp_path / f"{seed}", seed, 4, ahead=True, length=length)
    assert 0 < max(shares) < NEARLY


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), workers=st.integers(2, 4), at=st.integers(1, 12))
def test_a_search_that_was_killed_goes_on_to_the_same(
    seed: int, workers: int, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, done = tmp_path_factory.mktemp("stores"), list[str]()
    inner = Recorded(Store(folder / "killed"), Store(folder / "nothing"), loss_of)

    def killed(spec: TrainSpec, job: SegmentJob) -> JobRecord:
        done.append(job.key(spec))
        if len(done) == at:
            raise KeyboardInterrupt
        return inner(spec, job)

    plain = carry_out(folder / "plain", seed, workers, ahead=False)
    with suppress(KeyboardInterrupt):
        carry_out(folder / "killed", seed, workers, ahead=True, attempt=killed)
    whole = [each for each in done if len(done) != at or each != done[-1]]
    again = carry_out(folder / "killed", seed, workers, ahead=at % 2 == 0, attempt=inner)
    assert again.found == plain.found
    assert checkpoints(folder / "killed") == checkpoints(folder / "plain")
    assert {*whole} <= again.session.runner.records.keys() | again.session.runner.early.keys()


def test_what_fails_ahead_is_tried_again_only_where_it_is_asked_for(tmp_path: Path) -> None:
    for seed in range(8):
        folder = tmp_path / str(seed)
        inner, failed = Recorded(Store(folder / "ahead"), Store(folder / "nothing"), loss_of), list[str]()

        def failing(spec: TrainSpec, job: SegmentJob, inner: Recorded = inner, failed: list[str] = failed) -> JobRecord:
            if job.ahead:
                failed.append(job.key(spec))
                return JobRecord(job.key(spec), "failed", failure=Failure("OSError", "no luck"), run=spec.run)
            return inner(spec, job)

        plain = carry_out(folder / "plain", seed, 2, ahead=False)
        ahead = carry_out(folder / "ahead", seed, 2, ahead=True, attempt=failing)
        assert ahead.found == plain.found
        assert len(failed) == len({*failed})
        assert {record.status for record in ahead.session.runner.early.values()} <= {"stopped"}


def test_a_fresh_search_trains_ahead_what_the_store_knows(tmp_path: Path) -> None:
    first = carry_out(tmp_path / "store", 1, 3, ahead=True)
    Store(tmp_path / "store").runs.restart(RUN)
    again = carry_out(tmp_path / "store", 1, 3, ahead=True, fresh=True)
    assert again.found == first.found
    assert {job.key(SPEC) for _, job in again.virtual.taken} >= again.session.runner.records.keys()


# Whole searches, trained on linear regression, over workers whose clock is virtual


TUNE_EPS = {
    f"strategy__semilocal__{name}": value for name, value in {"tune_eps": True, "eps": 0.02, "segments": 5}.items()
}
LOOKAHEAD = {"training__steps": 200, "workload__noise": 0.5}
SEARCHES: dict[str, tuple[str, Callable[[], Recipe]]] = {
    "lookahead": ("lookahead", lambda: smoke(**LOOKAHEAD)),
    "baseline": ("baseline", lambda: smoke(training__steps=60, strategy__baseline__family=["wsd", "cosine"])),
    "semilocal": ("semilocal", lambda: small(strategy__semilocal__reference=True)),
    "tune eps": ("semilocal", lambda: small(**TUNE_EPS)),
}


def carried_out(
    folder: Path, command: str, recipe: Recipe, workers: int, *, ahead: bool, **more: Any
) -> tuple[RunResult, Virtual]:
    store = Store(folder)
    virtual = Virtual(workers, partial(attempt, store.path), store)
    kept = Kept(virtual=virtual)
    return run.search(command, replace(recipe, speculate=ahead), store=folder, executors=kept, **more), virtual


@pytest.mark.parametrize(
    "name", ["lookahead", *(pytest.param(each, marks=pytest.mark.slow) for each in SEARCHES if each != "lookahead")]
)
def test_a_strategy_finds_the_same_in_less_time(name: str, tmp_path: Path) -> None:
    command, recipe = SEARCHES[name]
    plain, alone = carried_out(tmp_path / "plain", command, recipe(), 4, ahead=False)
    ahead, helped = carried_out(tmp_path / "ahead", command, recipe(), 4, ahead=True)
    assert replace(ahead, cost=plain.cost) == plain
    assert helped.now <= alone.now
    assert helped.now < alone.now or command == "semilocal"  # which keeps so many workers busy by itself
    assert checkpoints(tmp_path / "ahead") == checkpoints(tmp_path / "plain")
    assert plain.cost.speculated_full_runs == 0.0
    in_vain = ahead.cost.full_runs - plain.cost.full_runs
    assert in_vain == pytest.approx(ahead.cost.speculated_full_runs, abs=1e-6) or in_vain > 0


def test_what_the_search_asks_for_goes_first(tmp_path: Path) -> None:
    command, recipe = SEARCHES["lookahead"]
    _, plain = carried_out(tmp_path / "plain", command, recipe(), 1, ahead=False)
    _, ahead = carried_out(tmp_path / "ahead", command, recipe(), 1, ahead=True)
    assert [job for _, job in ahead.taken] == [job for _, job in plain.taken]


def test_training_ahead_takes_a_search_no_further_over_its_budget_than_its_own_jobs(tmp_path: Path) -> None:
    command, recipe = SEARCHES["lookahead"]
    for most in (300, 700):
        result, virtual = carried_out(tmp_path / str(most), command, recipe(), 4, ahead=True, budget=Budget(steps=most))
        assert result.reached
        assert any(job.ahead for _, job in virtual.taken)
        assert result.cost.steps_trained <= most + max(job.steps for _, job in virtual.taken)


def test_with_a_limit_of_the_disk_nothing_is_trained_ahead(tmp_path: Path) -> None:
    command, recipe = SEARCHES["lookahead"]
    _, virtual = carried_out(tmp_path / "store", command, recipe(), 4, ahead=True, budget=Budget(disk=1e12))
    assert not any(job.ahead for _, job in virtual.taken)


def test_worker_processes_find_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrctl_executors.processes.get_context", forkserver)
    monkeypatch.setattr(futures, "SHARE", 1.0)
    whole = {"training__steps": 2000, "strategy__lookahead__budget": 4.0}
    alone = search(tmp_path / "serial", smoke(**whole), "lookahead")
    workers = {"executor__name": "processes", "executor__workers": 2, "executor__speculate": True}
    together = search(tmp_path / "processes", smoke(**whole | workers), "lookahead")
    assert found(together) == found(alone)
    assert checkpoints(tmp_path / "processes") == checkpoints(tmp_path / "serial")
    assert Store(tmp_path / "processes").trained_ahead(together["run"])


# A job that is given up


def regression() -> tuple[Any, TrainSpec]:
    from lrctl.recipe.workloads import load_workload

    spec = prepare(smoke())
    return load_workload(spec.workload, spec.workload_params, spec.seed), spec


def test_a_job_that_is_given_up_is_stopped_with_what_is_sure_of_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_stopping, "ASK_EVERY", 0.0)
    (workload, spec), asked = regression(), iter([False, False, True])
    trained = train(workload, spec, SegmentJob(0, 9, Constant(0.01)), None, lambda: next(asked))
    assert len(trained.losses) == len(trained.lrs) == 3
    assert trained.at_least == pytest.approx(float(trained.losses.sum()) / 9)


def test_a_job_that_was_given_up_is_trained_when_it_is_asked_for_and_costs_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_stopping, "ASK_EVERY", 0.0)
    store, spec, job = Store(tmp_path / "store"), replace(prepare(smoke()), run=RUN), SegmentJob(0, 9, Constant(0.01))
    key = job.key(spec)
    (store.path / "runs" / RUN).mkdir()
    store.runs.begin_ahead(RUN, key)
    store.runs.give_up_ahead(RUN, key)
    record = attempt(store.path, spec, replace(job, ahead=True))
    assert (record.status, record.steps) == ("stopped", 1)
    assert store.trained_ahead(RUN) == {key: record}
    assert attempt(store.path, spec, job).discarded == 1
    store.runs.begin_ahead(RUN, key)
    whole = attempt(store.path, spec, replace(job, ahead=True, anew=True))
    assert (whole.status, whole.steps) == ("ok", 9)


def test_a_job_of_a_run_that_was_taken_away_is_given_up(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (store.path / "runs" / RUN).mkdir()
    store.runs.begin_ahead(RUN, "a")
    assert not store.runs.given_up(RUN, "a")
    store.runs.take_away(RUN)
    assert store.runs.given_up(RUN, "a")
    with pytest.raises(StoreError, match="ahead"):
        store.runs.begin_ahead(RUN, "a")


def test_no_mark_is_written_through_a_link(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (tmp_path / "elsewhere").mkdir()
    (store.path / "runs" / RUN).mkdir()
    (store.path / "runs" / RUN / "ahead").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link"):
        store.runs.begin_ahead(RUN, "a")


# How it is asked for


def test_it_decides_no_result_and_no_key() -> None:
    recipe = smoke(executor__name="processes", executor__speculate=True)
    assert recipe.speculate
    assert RunIdentity.of("local", recipe, None) == RunIdentity.of("local", smoke(), None)
    assert recipe.to_toml("local") == smoke().to_toml("local")


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        pytest.param(Choice("serial", SerialParams()), "executor serial runs nothing but what", id="serial"),
        pytest.param(Choice("processes", ProcessesParams(workers=1)), "one worker is never idle", id="one worker"),
    ],
)
def test_where_no_worker_can_be_idle_a_warning_says_so(choice: Choice, why: str) -> None:
    with pytest.warns(UserWarning, match=why):
        assert not can_speculate(choice, "cpu")


def test_several_workers_can_be_idle() -> None:
    assert can_speculate(Choice("processes", ProcessesParams(workers=2)), "cpu")


def test_the_flag_sets_the_key(lrctl: Lrctl) -> None:
    done = lrctl("local", "--recipe", "smoke", "--executor", "serial", "--speculate", "--json")
    assert done.code == 0
    assert done.err.count("--speculate: nothing is trained ahead") == 1
    assert done.document["cost"]["speculated_full_runs"] == 0.0
