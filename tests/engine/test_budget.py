"""A budget ends a search between two jobs; with a larger one it goes on as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl import api, hookimpl
from lrctl.contracts.executor import Executor
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import JobRecord
from lrctl.engine import budget
from lrctl.engine.budget import Budget
from lrctl.errors import BudgetReachedError, UsageError
from lrctl.recipe.schema import Recipe
from lrctl.registry.registry import registry
from lrctl.storage.store import Store
from lrctl.testing import Constant
from lrctl.training.early_stopping import Limited
from searches import search, session_of, settled, small, smoke

FEW = {"training__steps": 20, "workload__noise": 1.0, "workload__dim": 4}

LONG = {"training__steps": 800, "workload__noise": 0.5, "strategy__transfer__grid": (0.1, 0.2, 0.4)}

SHAPE = {"family": ["cosine"], "against": [], "shapes": 2, "grid": [0.1, 0.3], "score_seeds": 1, "fresh_seeds": 2}

SEARCHES: dict[str, tuple[str, Recipe]] = {
    "semilocal": ("semilocal", small()),
    "with stopping": ("semilocal", small(training__stop_early=True)),
    "lean": ("semilocal", small(strategy__semilocal__lean=True)),
    "tune eps": ("semilocal", small(strategy__semilocal__tune_eps=True, strategy__semilocal__segments=2)),
    "local": ("local", small()),
    "lookahead": ("lookahead", smoke(**FEW, strategy__lookahead__budget=5.0)),
    "baseline": ("baseline", smoke(**FEW, strategy__baseline__family=["wsd"], strategy__baseline__grid=[0.1, 0.3])),
    "beside a plain run": ("local", small(strategy__local__reference=True)),
    "transfer": ("transfer", smoke(**LONG, strategy__transfer__train=True)),
    "greedy": ("greedy", smoke(**FEW, strategy__greedy__seeds=[0, 1], strategy__greedy__initial_lr=["0.1"])),
    "shape": ("shape", smoke(**FEW, **{f"strategy__shape__{name}": value for name, value in SHAPE.items()})),
}

TIMED: dict[str, tuple[str, Recipe]] = {
    "contest": ("contest", smoke(**FEW, strategy__contest__contender=["sgd momentum=0.5"])),
}
"""Those whose documents tell how long steps took."""


def digests(store: Path, document: dict[str, Any]) -> Any:
    """Of the losses and the weights that were handed over."""
    record = Store(store).record(document["checkpoint"] or "")
    return record and record.digests


Whole = Callable[[str], tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="module")
def whole_of(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The store and the result of one of the searches, never interrupted; trained once for all tests."""

    @cache
    def found(name: str) -> tuple[Path, dict[str, Any]]:
        command, recipe = (SEARCHES | TIMED)[name]
        store = tmp_path_factory.mktemp("whole")
        return store, search(store, recipe, command)

    return found


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_in_many_goes_is_the_search_in_one(name: str, tmp_path: Path, whole_of: Whole) -> None:
    (command, recipe), (store, whole) = SEARCHES[name], whole_of(name)
    total = whole["cost"]["steps_trained"]
    partial = []
    for share in (1, 3, 6, 9):
        limit = max(1, total * share // 10)
        found = search(tmp_path / "goes", recipe, command, budget=Budget(steps=limit))
        if found["status"] == "done":  # the last job was begun before
            break
        partial.append(found)
        assert limit <= found["cost"]["steps_trained"] < limit + recipe.training.steps
        assert found["reached"].startswith(f"--max-steps {limit} is reached: ")
        assert Path(found["files"]["result"]).name == "partial.json"
    assert len(partial) >= 2
    last = search(tmp_path / "goes", recipe, command)
    assert settled(last) == settled(whole)
    assert digests(tmp_path / "goes", last) == digests(store, whole)
    assert not [*(tmp_path / "goes").rglob("partial.json")]


Left = Callable[[str, float], dict[str, Any]]


@pytest.fixture
def left(tmp_path: Path, whole_of: Whole) -> Left:
    """What a search has after a share of its steps."""

    def found(name: str, share: float) -> dict[str, Any]:
        steps = round(whole_of(name)[1]["cost"]["steps_trained"] * share)
        command, recipe = (SEARCHES | TIMED)[name]
        return search(tmp_path / "left", recipe, command, budget=Budget(steps=steps))

    return found


# What is handed over


def test_nothing_is_handed_over_before_the_first_decision(left: Left) -> None:
    found = left("local", 0.1)
    assert (found["status"], found["schedule"], found["checkpoint"]) == ("partial", None, None)
    assert found["notes"][-2] == "no schedule can be handed over yet"
    assert found["notes"][-1].endswith("; the same command with a larger budget, or with none, goes on")


def test_a_path_is_held_and_wound_down(left: Left) -> None:
    found = left("local", 0.6)
    (first,) = found["segments"]
    end = [[8, first["chosen"]], [21, first["chosen"]], [24, 0.0]]
    assert found["schedule"]["params"]["knots"] == [[0, 0.0], *end]
    assert found["checkpoint"] is None
    assert found["notes"][0].startswith(
        "the schedule is searched up to step 8; from there its LR is held until step 21"
    )


def test_lookahead_hands_over_its_best_run_with_its_losses_and_weights(left: Left) -> None:
    found = left("lookahead", 0.95)
    assert found["status"] == "partial"
    assert found["schedule"]["params"]["knots"][-1] == [20, 0.0]
    assert found["test_loss"] > 0
    assert api.load_weights(found["files"]["checkpoint"])


def test_no_other_search_deletes_what_is_handed_over_and_the_search_itself_does_at_its_end(
    tmp_path: Path, left: Left
) -> None:
    found, (command, recipe) = left("lookahead", 0.95), SEARCHES["lookahead"]
    search(tmp_path / "left", smoke(**FEW, strategy__lookahead__budget=6.0), command)
    assert api.load_weights(found["files"]["checkpoint"])
    last = search(tmp_path / "left", recipe, command)
    assert api.load_weights(last["files"]["checkpoint"])
    assert not [*(tmp_path / "left").rglob("partial.json")]


def test_of_a_search_in_many_goes_only_the_checkpoint_handed_over_is_left(tmp_path: Path, whole_of: Whole) -> None:
    (command, recipe), total = SEARCHES["lookahead"], whole_of("lookahead")[1]["cost"]["steps_trained"]
    handed = set()
    for share in (0.5, 0.95, 0.98):
        found = search(tmp_path, recipe, command, budget=Budget(steps=int(share * total)))
        handed |= {found["checkpoint"]} - {None}
    found = search(tmp_path, recipe, command)
    assert len(handed) == 2
    assert [path.stem for path in (tmp_path / "checkpoints").iterdir()] == [found["checkpoint"]]
    assert {mark.name for mark in (tmp_path / "handed_over").iterdir()} & handed <= {found["checkpoint"]}


def test_a_grid_search_hands_over_the_best_run_that_has_ended(left: Left) -> None:
    found = left("baseline", 0.5)
    (best,) = found["results"]
    assert found["schedule"] == best["schedule"]
    assert (found["test_loss"], found["checkpoint"]) == (best["test_loss"], None)  # its weights are not kept
    losses = [each["validation_loss"] for each in best["tried"]]
    assert best["validation_loss"] == min(losses)


def test_a_shape_search_hands_over_its_best_trial(left: Left) -> None:
    found = left("shape", 0.5)
    assert found["schedule"]["family"] == "cosine"
    assert "best single trial" in found["notes"][0]


def test_a_search_whose_plain_run_is_left_out_hands_over_its_answer(left: Left, whole_of: Whole) -> None:
    found, whole = left("beside a plain run", 1.0), whole_of("beside a plain run")[1]
    assert (found["status"], found.get("reference")) == ("partial", None)
    for name in ("schedule", "checkpoint", "segments", "train_loss", "validation_loss", "test_loss"):
        assert found[name] == whole[name]
    assert api.load_weights(found["files"]["checkpoint"])
    assert "the search itself is complete: only the plain run beside it is missing" in found["notes"]


def test_a_contest_hands_over_the_best_whole_run_that_has_ended(left: Left) -> None:
    found = left("contest", 0.7)
    assert found["schedule"]["params"]["steps"] == found["steps"]
    assert found["winner"] in ("yours", "sgd momentum=0.5")
    assert found["test_loss"] > 0
    assert api.load_weights(found["files"]["checkpoint"])
    assert any("the contest is not decided" in note for note in found["notes"])


def test_a_transfer_hands_over_its_peak_while_the_long_run_is_trained(left: Left, whole_of: Whole) -> None:
    found, whole = left("transfer", 0.8), whole_of("transfer")[1]
    assert (found["status"], found["checkpoint"]) == ("partial", None)
    assert (found["schedule"], found["peak_lr"]) == (whole["schedule"], whole["peak_lr"])


def test_a_comparison_hands_over_the_seeds_that_are_done(left: Left) -> None:
    found = left("greedy", 0.6)
    assert {each.get("seed", 0) for each in found["results"]} == {0}


def test_the_schedule_that_is_handed_over_is_a_file_that_can_be_used(left: Left) -> None:
    found = left("local", 0.6)
    schedule = api.load_schedule(found["files"]["schedule"])
    assert schedule(24) == 0.0


# Time and disk


@dataclass
class Clock:
    """Time that passes with each job."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    @hookimpl
    def job_finished(self) -> None:
        self.now += 10.0

    __hash__ = object.__hash__


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    found = Clock()
    monkeypatch.setattr(budget, "clock", found)
    registry().manager.register(found)
    yield found
    registry().manager.unregister(found)


@pytest.mark.usefixtures("clock")
def test_time_ends_a_search_and_begins_anew_with_each_go(tmp_path: Path, whole_of: Whole) -> None:
    for jobs in (3, 6):  # known jobs are told too, and take their time here
        found = search(tmp_path / "goes", budget=Budget.of(time=f"{jobs * 10 - 5}s"))
        assert (found["status"], found["cost"]["jobs"]) == ("partial", jobs)
        assert found["reached"] == f"--max-time {jobs * 10 - 5} s is reached: the command runs for {jobs * 10} s"
    assert settled(search(tmp_path / "goes")) == settled(whole_of("semilocal")[1])


def test_a_store_that_is_full_ends_a_search(tmp_path: Path, whole_of: Whole) -> None:
    found = search(tmp_path / "goes", budget=Budget.of(disk="1kB"))
    assert (found["status"], found["cost"]["jobs"]) == ("partial", 0)
    assert found["reached"].startswith("--max-disk 1.0 kB is reached: the store has ")
    used = Store(tmp_path / "goes").used_bytes()
    more = search(tmp_path / "goes", budget=Budget(disk=used + 2000))
    assert more["status"] == "partial"
    assert more["cost"]["jobs"] > 0
    assert settled(search(tmp_path / "goes")) == settled(whole_of("semilocal")[1])


def test_what_is_finished_is_finished_whatever_the_budget(tmp_path: Path) -> None:
    done = search(tmp_path)
    assert search(tmp_path, budget=Budget(steps=1)) == done


def test_a_search_that_was_killed_goes_on_within_a_budget(tmp_path: Path, whole_of: Whole) -> None:
    class Stop:
        @hookimpl
        def batch_started(self, batch: Any) -> None:
            if "segment 2" in batch.title:
                raise KeyboardInterrupt

    stop = Stop()
    registry().manager.register(stop)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "goes")
    registry().manager.unregister(stop)
    assert search(tmp_path / "goes", budget=Budget(steps=40))["cost"]["steps_trained"] == 40
    assert settled(search(tmp_path / "goes")) == settled(whole_of("semilocal")[1])


# Executors


class Ahead:
    """An executor that takes two jobs before it runs them, as two workers do."""

    def __init__(self, inner: Executor) -> None:
        self.inner = inner

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
        waiting = iter(jobs)
        while taken := [job for job in (next(waiting, None), next(waiting, None)) if job]:
            yield from self.inner.run(spec, taken)

    def close(self) -> None:
        self.inner.close()


def test_jobs_that_were_begun_are_finished_and_recorded(tmp_path: Path) -> None:
    with session_of(tmp_path, small()) as session:
        session.runner.executor = Ahead(session.runner.executor)
        session.runner.reached = lambda: "full" if len(session.runner.records) >= 2 else ""
        keys = session.runner.meet([SegmentJob(0, 8, Constant(lr)) for lr in (0.1, 0.2, 0.3, 0.4, 0.5)])
        with pytest.raises(BudgetReachedError, match="full"):
            session.runner.train(keys)
        assert [key for key in keys if Store(tmp_path).record(key)] == keys[:2]


def test_jobs_without_steps_are_always_begun() -> None:
    jobs = [SegmentJob(8, 8, Constant(0.1), "parent"), SegmentJob(0, 8, Constant(0.1))]
    assert [job.start for job in Limited(jobs, lambda: None, lambda: "full")] == [8]


# What the user gives and sees

GIVEN: dict[str, tuple[dict[str, Any], Callable[[Budget], bool]]] = {
    "steps": ({"steps": 5}, lambda found: found.steps == 5),
    "seconds": ({"time": "90s"}, lambda found: found.seconds == 90),
    "minutes": ({"time": "1.5m"}, lambda found: found.seconds == 90),
    "hours": ({"time": "2h"}, lambda found: found.seconds == 7200),
    "a number": ({"time": 90}, lambda found: found.seconds == 90),
    "gigabytes": ({"disk": "5GB"}, lambda found: found.disk == 5e9),
    "bytes": ({"disk": 100}, lambda found: found.disk == 100),
}


@pytest.mark.parametrize(("given", "holds"), GIVEN.values(), ids=GIVEN)
def test_limits_have_units(given: dict[str, Any], holds: Callable[[Budget], bool]) -> None:
    assert holds(Budget.of(**given))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no steps": ({"steps": 0}, "--max-steps 0: must be a whole number of at least 1"),
    "half a step": ({"steps": 0.5}, "--max-steps 0.5: must be a whole number of at least 1"),
    "no time": ({"time": "0s"}, "--max-time 0s: must be a time, such as 90s, 10m or 2h"),
    "weeks": ({"time": "1w"}, "--max-time 1w: must be a time, such as 90s, 10m or 2h"),
    "a past": ({"time": "-1s"}, "--max-time -1s: must be a time, such as 90s, 10m or 2h"),
    "a word": ({"disk": "much"}, "--max-disk much: must be a size, such as 500MB or 5GB"),
}


@pytest.mark.parametrize(("given", "message"), BAD.values(), ids=BAD)
def test_what_is_no_limit_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        Budget.of(**given)
    assert str(raised.value) == message


COMMAND = ["local", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1,0.3", "--grid-size", "1"]
COMMAND += ["--segments", "2", "--set", "training.stop_early=false"]


def test_a_command_ends_with_its_own_code_and_goes_on(lrctl: Lrctl) -> None:
    done = lrctl(*COMMAND, "--max-steps", "50", "--json")
    assert done.code == 4
    assert done.document["status"] == "partial"
    assert done.err.splitlines()[-1].startswith(
        "note: --max-steps 50 is reached: 60 steps are trained; the same command"
    )
    assert Path(done.document["files"]["result"]).is_file()
    assert lrctl("export", done.document["files"]["schedule"], "--to", "csv").code == 0
    assert not lrctl("runs", "--json").document["runs"][0].get("test_loss")
    assert "is not finished" in lrctl("report", done.document["run"]).error
    latest = lrctl("export", "latest", "--to", "torch").error
    assert latest.endswith(
        f"latest: no run is finished; give the command of one again, which continues it: {done.document['run']}"
    )
    shown = lrctl(*COMMAND, "--max-steps", "50", "--quiet")
    goes_on = "the same command with a larger budget, or with none, goes on"
    assert (shown.code, shown.err) == (4, f"--max-steps 50 is reached: 60 steps are trained; {goes_on}\n")
    assert "partial.json" in shown.out
    last = lrctl(*COMMAND, "--max-steps", "5000", "--json", "--quiet")
    assert (last.code, last.document["status"]) == (0, "done")
    assert settled(last.document) == settled(lrctl(*COMMAND, "--json", "--quiet", "--store", "other").document)


def test_each_seed_has_the_budget_of_steps(lrctl: Lrctl) -> None:
    seeds = [*COMMAND, "--seeds", "0,1", "--json", "--quiet"]
    done = lrctl(*seeds, "--max-steps", "50")
    assert done.code == 4
    assert [each["cost"]["steps_trained"] for each in done.document["runs"]] == [60, 60]
    assert done.document["comparison"] is None
    assert lrctl(*seeds).code == 0


def test_python_hands_over_what_there_is() -> None:
    settings = {"executor.name": "serial", "strategy.local.segments": 2, "strategy.local.grid": [0.1]}
    found = api.search("local", "smoke", settings=settings, max_steps=10, max_time="1h", max_disk=1e9)
    assert found["status"] == "partial"


def test_a_dry_run_says_whether_the_search_fits(lrctl: Lrctl) -> None:
    limits = ["--max-steps", "50", "--max-time", "10h", "--max-disk", "5GB"]
    told = lrctl(*COMMAND, *limits, "--dry-run", "--json").document["budget"]
    assert [(each["limit"], each["fits"]) for each in told] == [
        ("--max-steps", False),
        ("--max-time", True),
        ("--max-disk", True),
    ]
    lines = lrctl(*COMMAND, *limits, "--dry-run").out.splitlines()
    assert any(line.startswith("it does not fit: it would take about ") for line in lines)
    assert "budget" not in lrctl(*COMMAND, "--dry-run", "--json").document


def test_a_dry_run_of_seeds_compares_the_steps_of_one(lrctl: Lrctl) -> None:
    seeds = [*COMMAND, "--seeds", "0,1", "--dry-run", "--json"]
    one = lrctl(*COMMAND, "--dry-run", "--json").document["steps"]
    for limit, fits in ((one, True), (one - 1, False)):
        told = lrctl(*seeds, "--max-steps", str(limit)).document
        assert told["steps"] == 2 * one
        assert told["budget"] == [{"limit": "--max-steps", "allowed": limit, "needed": one, "fits": fits}]
