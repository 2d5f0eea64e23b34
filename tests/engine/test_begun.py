"""Searches of what is left of a run that is under way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import lrctl as package
import programs
from command_line import Lrctl
from lrctl.contracts.horizon import few
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch
from lrctl.engine import epochs
from lrctl.engine.begun import FRESH
from lrctl.engine.epochs import in_epochs, without_steps
from lrctl.engine.job_runner import JobRunner
from lrctl.errors import UsageError
from lrctl.recipe import parse as recipes
from lrctl.registry.registry import registry
from lrctl.storage import checkpoint
from lrctl.storage.gc import collect
from lrctl.storage.identity import RunIdentity
from lrctl.storage.store import Store
from programs import command, write
from searches import search, session_of, settled, small

AT, STEPS, LR = 10, 24, 0.01
BEFORE = PiecewiseLinear(((0, 0.0), (4, LR), (AT, LR)))
AFTER = PiecewiseLinear(((AT, LR), (STEPS, LR / 2)))
ADAMW: dict[str, Any] = {"optimizer__name": "adamw", "training__steps": STEPS}
LEFT: dict[str, Any] = ADAMW | {
    **{f"strategy__{name}__segments": 2 for name in ("local", "semilocal")},
    **{f"strategy__{name}__grid_size": 2 for name in ("local", "semilocal")},
    "start__at": AT,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begun(past: str | float = LR, path: str = "run.pt", **overrides: Any) -> Any:
    return small(**{**LEFT, "start__checkpoint": path, "start__past": past} | overrides)


@pytest.fixture
def behind(folder: Path) -> np.ndarray[Any, Any]:
    """A run of lrctl's own up to AT, whose checkpoint is `run.pt`; the losses it has when it goes on as `AFTER`."""
    store = folder / "uninterrupted"
    with session_of(store, small(**ADAMW)) as session:
        (first,) = session.run_batch(Batch("before", [SegmentJob(0, AT, BEFORE)]))
        (then,) = session.run_batch(
            Batch("after", [SegmentJob(AT, STEPS, AFTER, first.key)], keep=frozenset({first.key}))
        )
    shutil.copy(Store(store).checkpoint(first.key), "run.pt")
    return Store(store).losses(then.key)["loss"]


def save(state: Any, write: Callable[..., None] = torch.save) -> None:
    Path("run.pt").unlink()  # what was read of it lies in the file still
    write(state, "run.pt")


def tensors(state: dict[str, Any]) -> dict[str, Any]:
    """What a program of the user's own saves with torch.save."""
    return {"model": state["model"], "optimizer": state["optimizer"], "iteration": AT}


LAYOUTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "lrctl": lambda _: None,
    "model and optimizer": tensors,
    "state dicts": lambda s: {"model_state_dict": s["model"], "optimizer_state_dict": s["optimizer"]},
    "lightning": lambda s: {
        "state_dict": {f"model.{name}": tensor for name, tensor in s["model"].items()},
        "optimizer_states": [s["optimizer"]],
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_goes_on_as_the_uninterrupted_run_bit_for_bit(behind: np.ndarray[Any, Any], layout: str) -> None:
    if (state := LAYOUTS[layout](checkpoint.load(Path("run.pt")))) is not None:
        save(state)
    found = search(Path("store"), begun(strategy__local__segments=1), "local")
    (segment,) = found["segments"]
    (same,) = [each for each in segment["candidates"] if each["lr"] == LR / 2]
    assert np.array_equal(Store("store").losses(same["key"])["loss"], behind)
    assert (segment["start"], segment["stop"], segment["lr_start"]) == (AT, STEPS, LR)
    assert found["start"] == AT
    assert found["notes"] == [*few(STEPS - AT)]


@pytest.mark.parametrize("bare", ["safetensors", "torch"])
@pytest.mark.usefixtures("behind")
def test_a_bare_state_dict_begins_with_a_fresh_optimizer_and_a_note(bare: str) -> None:
    model = checkpoint.load(Path("run.pt"))["model"]
    save(model, save_file if bare == "safetensors" else torch.save)
    found = search(Path("store"), begun(), "local")
    assert FRESH in found["notes"]
    imported = Store("store").lineage(found["checkpoint"])[0]
    assert Store("store").load_checkpoint(imported)["optimizer"]["state"] == {}


@pytest.mark.usefixtures("behind")
def test_the_schedule_is_for_the_whole_run_with_its_past_as_it_was() -> None:
    document = {"format": "lrctl-schedule/1", "steps": 30}
    document["schedule"] = {"family": "cosine", "params": {"steps": 30, "peak_lr": LR, "warmup": 0.0}}
    Path("past.json").write_text(json.dumps(document))
    past = package.load_schedule("past.json")
    found = search(Path("store"), begun("past.json"), "local")
    schedule = package.load_schedule(found["files"]["schedule"])
    assert [schedule(step) for step in range(AT)] == [past(step) for step in range(AT)]
    assert schedule(AT) == past(AT) == found["segments"][0]["lr_start"]
    history = Store("store").history(found["checkpoint"])
    assert history["lr"].tolist() == [schedule(step) for step in range(STEPS)]
    assert np.isnan(history["loss"]).tolist() == [step < AT for step in range(STEPS)]


@pytest.mark.usefixtures("behind")
def test_costs_are_counted_in_what_is_left_of_the_run() -> None:
    cost = search(Path("store"), begun(), "local")["cost"]
    assert cost["full_runs"] == pytest.approx(cost["steps_trained"] / (STEPS - AT))


@pytest.mark.parametrize("strategy", ["lookahead", "semilocal", "local"])
@pytest.mark.usefixtures("behind")
def test_no_job_begins_before_the_checkpoint(strategy: str) -> None:
    found = search(Path("store"), begun(), strategy)
    store = Store("store")
    first = store.lineage(found["checkpoint"])[0]
    records = [store.record(path.stem) for path in (store.path / "jobs").iterdir()]
    parents = {each.parent for each in records if each and each.key != first}
    assert None not in parents
    assert first in parents
    assert package.load_schedule(found["files"]["schedule"])(0) == LR


@pytest.mark.usefixtures("behind")
def test_a_search_goes_on_after_an_interruption_without_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = settled(search(Path("reference"), begun()))
    train, calls = JobRunner.train, []

    def interrupted(self: JobRunner, keys: Any, *limit: Any) -> None:
        calls.append(keys)
        if len(calls) == 2:
            raise KeyboardInterrupt
        train(self, keys, *limit)

    with monkeypatch.context() as patch:
        patch.setattr(JobRunner, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(Path("store"), begun())
    Path("run.pt").unlink()
    collect(Store("store"))
    assert settled(search(Path("store"), begun())) == whole
    assert settled(search(Path("store"), begun())) == whole


@pytest.mark.usefixtures("behind")
def test_another_content_another_step_or_another_past_is_another_run() -> None:
    runs = {search(Path("store"), begun(), "local")["run"]}
    runs.add(search(Path("store"), begun(past=LR / 2), "local")["run"])
    state = tensors(checkpoint.load(Path("run.pt")))
    state["model"] = {name: 2 * tensor for name, tensor in state["model"].items()}
    save(state)
    runs.add(search(Path("store"), begun(), "local")["run"])
    runs.add(search(Path("store"), begun(start__at=AT + 1), "local")["run"])
    runs.add(search(Path("store"), small(**ADAMW), "local")["run"])
    assert len(runs) == 5


OTHERS: dict[str, dict[str, Any]] = {
    "optimizer": {"optimizer__name": "sgd"},
    "size": {"workload__dim": 5},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.usefixtures("behind")
def test_without_the_file_its_copy_is_for_the_same_workload_and_optimizer(other: str) -> None:
    search(Path("store"), begun(strategy__local__segments=1), "local")
    Path("run.pt").unlink()
    with pytest.raises(UsageError, match="the store has no copy of it for this workload and optimizer"):
        search(Path("store"), begun(strategy__local__segments=1, **OTHERS[other]), "local")
    search(Path("store"), begun(strategy__local__segments=2), "local")


@pytest.mark.usefixtures("behind")
def test_a_finished_search_needs_neither_the_file_nor_a_copy() -> None:
    done = search(Path("store"), begun(), "local")
    Path("run.pt").unlink()
    store = Store("store")
    first = store.lineage(done["checkpoint"])[0]
    collect(store)
    assert not store.has_checkpoint(first)
    assert search(Path("store"), begun(), "local") == done
    with pytest.raises(UsageError, match="there is no such file, and the store has no copy of it"):
        search(Path("store"), begun(strategy__local__segments=1), "local")
    shutil.rmtree(store.path / "runs" / done["run"])
    collect(store)
    assert list((store.path / "imported").iterdir()) == []


@pytest.fixture
def averaged(folder: Path) -> None:
    """A run up to AT that keeps averages, whose checkpoint is `run.pt`."""
    with session_of(folder / "before", small(**ADAMW, training__averaging=(4.0, 8.0))) as session:
        (first,) = session.run_batch(Batch("before", [SegmentJob(0, AT, BEFORE)], keep=frozenset()))
        shutil.copy(Store(folder / "before").checkpoint(first.key), "run.pt")


@pytest.mark.usefixtures("averaged")
def test_averages_go_on_where_step_and_powers_are_theirs() -> None:
    same = begun(training__averaging=(4.0, 8.0), strategy__local__segments=1)
    assert search(Path("store"), same, "local")["notes"] == [*few(STEPS - AT)]
    with pytest.raises(UsageError, match="its averages of the weights are of 10 updates, and --at says 11; give --at"):
        search(Path("store"), begun(training__averaging=(4.0, 8.0), start__at=AT + 1), "local")


@pytest.mark.usefixtures("averaged")
def test_averages_of_other_powers_begin_anew_with_a_note() -> None:
    found = search(Path("store"), begun(training__averaging=(2.0,), strategy__local__segments=1), "local")
    assert "the checkpoint holds averages of powers 4, 8, so those of 2 begin anew" in found["notes"]
    assert "averages" not in Store("store").load_checkpoint(Store("store").lineage(found["checkpoint"])[0])


@pytest.mark.usefixtures("behind")
def test_its_whole_length_may_be_told_in_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochs, "steps_per_epoch", lambda _: STEPS / 3)
    told = {"start.checkpoint": "run.pt", "start.at": AT, "start.past": LR}
    recipe = recipes.read("smoke", without_steps(told, 3))
    assert in_epochs(recipe, 3).training.steps == STEPS
    with pytest.raises(UsageError, match=r"start\.at: must be from 1 to below the run's 8 steps, got 10"):
        in_epochs(recipe, 1)


@pytest.mark.usefixtures("behind")
def test_no_plain_run_beside_it_is_part_of_what_it_is() -> None:
    done = [search(Path("store"), begun(strategy__local__reference=asked), "local") for asked in (True, False)]
    assert done[0] == done[1]
    asked = [RunIdentity.of("local", small(strategy__local__reference=each), None).name for each in (True, False)]
    assert len(set(asked)) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"no checkpoint of any kind", "it is no file of torch.save's", id="another file"),
        pytest.param(b"", "it is no file of torch.save's", id="an empty file"),
        pytest.param(None, "it holds pathlib.*Path, which is neither a tensor nor a number or text", id="code"),
    ],
)
@pytest.mark.usefixtures("behind")
def test_why_a_file_cannot_be_read_is_told_without_advice_to_run_its_code(content: bytes | None, said: str) -> None:
    save({"model": Path("x")})
    if content is not None:
        Path("run.pt").write_bytes(content)
    with pytest.raises(UsageError, match=f"cannot be read as weights only: {said}; save the state dicts") as told:
        search(Path("store"), begun(), "local")
    assert "weights_only" not in str(told.value)


@pytest.mark.usefixtures("behind")
def test_sgd_does_not_go_on_as_adamw() -> None:
    state = tensors(checkpoint.load(Path("run.pt")))
    sgd = torch.optim.SGD(list(state["model"].values())[:1], lr=LR, momentum=0.9)
    sgd.param_groups[0]["params"][0].grad = torch.ones(1, 4)
    sgd.step()
    save({**state, "optimizer": sgd.state_dict()})
    with pytest.raises(UsageError, match="has no 'betas' in its param groups, and that of AdamW has; choose the opt"):
        search(Path("store"), begun(), "local")


def renamed(state: dict[str, Any]) -> dict[str, Any]:
    return {"model": {f"net.{name}": tensor for name, tensor in state["model"].items()}}


def longer(state: dict[str, Any]) -> dict[str, Any]:
    return {"model": {name: torch.zeros(9, 9) for name in state["model"]}}


def decayed(state: dict[str, Any]) -> dict[str, Any]:
    groups = [{**group, "weight_decay": 0.5} for group in state["optimizer"]["param_groups"]]
    return {**tensors(state), "optimizer": {**state["optimizer"], "param_groups": groups}}


def split(state: dict[str, Any]) -> dict[str, Any]:
    groups = [*state["optimizer"]["param_groups"], {**state["optimizer"]["param_groups"][0], "params": []}]
    return {**tensors(state), "optimizer": {**state["optimizer"], "param_groups": groups}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(renamed, "has no tensor 'weight'", id="a missing tensor"),
        pytest.param(longer, r"its 'weight' has shape \(9, 9\), and the model's \(1, 4\)", id="a wrong shape"),
        pytest.param(
            decayed,
            "made with weight_decay 0.5, and the recipe says .*optimizer.weight_decay=0.5",
            id="another setting",
        ),
        pytest.param(split, r"param groups of \[1, 0\] parameters, and this one has \[1\]", id="other param groups"),
        pytest.param(lambda _: {"step": 3}, "holds no state dict of a model but step", id="no model"),
        pytest.param(
            lambda s: {"model": s["model"], "optimizer": [{"a": 1}, {}]}, "states of 2 optimizers", id="two optimizers"
        ),
        pytest.param(lambda _: {"model": {0: torch.ones(1)}}, "has no tensor 'weight'", id="no names"),
        pytest.param(lambda _: {"model": Path("x")}, "cannot be read as weights only", id="code"),
    ],
)
@pytest.mark.usefixtures("behind")
def test_a_checkpoint_that_does_not_fit_is_one_sentence(change: Any, said: str) -> None:
    save(change(checkpoint.load(Path("run.pt"))))
    with pytest.raises(UsageError, match=said):
        search(Path("store"), begun(), "local")


@pytest.mark.usefixtures("behind")
def test_another_optimizer_does_not_go_on_as_the_one_that_was() -> None:
    with pytest.raises(UsageError, match="made with decoupled_weight_decay True, and Adam has False here"):
        search(Path("store"), begun(optimizer__name="adam", optimizer__weight_decay=0.1), "local")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"start__checkpoint": "none.pt"}, "none.pt: there is no such file", id="no such file"),
        pytest.param({"start__checkpoint": "."}, "cannot be read: Is a directory", id="a folder"),
        pytest.param({"start__at": STEPS}, "must be from 1 to below the run's 24 steps, got 24", id="a step too late"),
        pytest.param({"start__at": 0}, "must be from 1 to below", id="step 0"),
        pytest.param({"start__past": "short.json"}, "it is for 5 steps, and --at 10 says", id="a past too short"),
        pytest.param({"start__past": "0"}, "must be an LR greater than 0", id="an LR of 0"),
        pytest.param(
            {"start__past": "1e300"}, "must be an LR greater than 0 and at most 3.4e", id="an LR no float32 is"
        ),
        pytest.param({"start__past": "fast"}, "fast: cannot be read as a schedule.json", id="no number"),
    ],
)
@pytest.mark.usefixtures("behind")
def test_what_is_wrong_with_the_flags_is_one_sentence(settings: dict[str, Any], said: str) -> None:
    params = {"knots": [[0, LR]]}
    schedule = {"format": "lrctl-schedule/1", "steps": 5, "schedule": {"family": "piecewise-linear", "params": params}}
    Path("short.json").write_text(json.dumps(schedule))
    with pytest.raises(UsageError, match=said):
        search(Path("store"), begun(**settings), "local")


@pytest.mark.usefixtures("behind")
def test_a_strategy_that_trains_whole_runs_says_which_do_not() -> None:
    told = r"trains whole runs, .*at step 10; use one .*: lookahead, semilocal, local \(lrctl guide wind-down"
    with pytest.raises(UsageError, match=told):
        search(Path("store"), begun(), "baseline")


@pytest.mark.usefixtures("behind")
def test_the_strategies_that_go_on_say_so_by_their_mark() -> None:
    assert registry().marked("strategy", "goes_on") == ["lookahead", "semilocal", "local"]
    for name in registry().marked("strategy", "goes_on"):
        assert search(Path("store"), begun(strategy__lookahead__budget=3.0), name)["start"] == AT


FLAGS = ("local", "--recipe", "smoke", "--steps", STEPS, "--executor", "serial", "--set", "optimizer.name=adamw")
SIZE = ("--set", "workload.dim=4", "--set", "workload.noise=1.0", "--segments", 2, "--grid-size", 2)


@pytest.mark.usefixtures("behind")
def test_the_command_line_and_python_do_the_same(lrctl: Lrctl, folder: Path) -> None:
    flags = (*FLAGS, *SIZE, "--from", "run.pt", "--at", AT, "--past", LR, "--json")
    planned = lrctl(*flags, "--dry-run").document
    done = lrctl(*flags).document
    assert planned["jobs"] == done["cost"]["jobs"]
    assert planned["jobs_known"] == 0 < lrctl(*flags, "--dry-run").document["jobs_known"]
    settings = {"training.steps": STEPS, "executor.name": "serial", "optimizer.name": "adamw", "workload.dim": 4}
    settings |= {"workload.noise": 1.0, "strategy.local.segments": 2, "strategy.local.grid_size": 2}
    again = package.search("local", "smoke", settings=settings, start_from="run.pt", at=AT, past=LR)
    assert again["run"] == done["run"]
    assert "start" in (folder / ".lrctl" / "runs" / done["run"] / "recipe.toml").read_text()
    assert lrctl("report", done["run"]).code == 0
    assert lrctl("export", done["run"], "--to", "torch").code == 0


@pytest.mark.usefixtures("behind")
def test_some_of_the_flags_are_not_enough(lrctl: Lrctl) -> None:
    done = lrctl(*FLAGS, "--from", "run.pt", "--at", AT)
    assert (done.code, "--from, --at and --past together; give --past" in done.error) == (2, True)


@pytest.mark.usefixtures("behind")
def test_a_recipe_has_no_file_read_that_nobody_named(lrctl: Lrctl, folder: Path) -> None:
    text = f'extends = "smoke"\n[start]\ncheckpoint = "{folder}/run.pt"\nat = 4\npast = 0.1\n'
    Path("r.toml").write_text(text)
    assert "name it yourself with --from" in lrctl("local", "--recipe", "r.toml").error


@pytest.mark.usefixtures("behind")
def test_what_a_run_under_way_found_is_fitted_and_tuned_as_whole_runs(lrctl: Lrctl) -> None:
    lrctl(*FLAGS, *SIZE, "--from", "run.pt", "--at", AT, "--past", LR)
    fitted = lrctl("fit-closed-form", "latest", "--json").document
    assert fitted["steps"] == STEPS
    assert "start" not in fitted


def test_a_program_goes_on_from_its_own_file(folder: Path) -> None:
    Path("weights.json").write_text("[1.0, 1.0, 1.0]")
    valley = command(write(folder, "valley.py"))
    settings = {name: value for name, value in LEFT.items() if not name.startswith("optimizer")}

    def from_file(path: str, **more: Any) -> str:
        program = programs.recipe(valley, **settings, start__checkpoint=path, start__past=0.1, **more)
        return Store("store").lineage(search(Path("store"), program, "local")["checkpoint"])[0]

    store, first = Store("store"), from_file("weights.json")
    assert bytes(store.load_checkpoint(first)["file"].tolist()) == b"[1.0, 1.0, 1.0]"
    assert from_file(str(store.checkpoint(first)), strategy__local__lean=True) == first
