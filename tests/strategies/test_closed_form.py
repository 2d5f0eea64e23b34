"""`lrctl fit-closed-form`: from a run or a file, with and without training."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

import lrctl as api
from command_line import Lrctl, refused
from lrctl.contracts.axes import tunable
from lrctl.registry.registry import registry
from lrctl.registry.schedules import schedule_text

SMALL = ["--executor", "serial", "--grid", "0.3,0.1,0.03", "--baseline", "triangle", "--quiet", "--json"]


def test_a_plain_fit_trains_nothing_and_needs_no_workload(lrctl: Lrctl, run: str) -> None:
    document = lrctl(
        "fit-closed-form", run, "--workload", "gpt", "--set", "workload.path=none.txt", *SMALL[-2:]
    ).document
    assert (document["checkpoint"], document["cost"]["jobs"], document["train_loss"]) == (None, 0, None)
    families = {part.name for part in registry().of("schedule") if tunable(part.target)}
    assert {entry["family"] for entry in document["fits"]} == families
    errors = [entry["error"] for entry in document["fits"]]
    assert errors == pytest.approx(sorted(errors), abs=1e-6)
    best = document["fits"][0]
    assert document["schedule"] == {"family": best["family"], "params": best["params"]}
    schedule = api.load_schedule(document["files"]["schedule"])
    assert type(schedule) is registry().get("schedule", best["family"]).target


def test_a_run_and_its_schedule_file_give_the_same_fit(lrctl: Lrctl, run: str) -> None:
    flags = ["--family", "triangle", "--family", "linear", "--quiet", "--json"]
    by_name = lrctl("fit-closed-form", run, *flags).document
    by_file = lrctl("fit-closed-form", f".lrctl/runs/{run}/schedule.json", *flags).document
    assert by_name["fits"] == by_file["fits"]
    assert (by_name["steps"], by_file["steps"]) == (40, 40)


def test_a_run_s_own_recipe_is_used_for_what_is_trained(lrctl: Lrctl, run: str) -> None:
    document = lrctl("fit-closed-form", run, "--family", "triangle", "--tune", *SMALL).document
    frozen = [tomllib.loads(Path(f".lrctl/runs/{name}/recipe.toml").read_text()) for name in (run, document["run"])]
    assert frozen[0]["workload"] == frozen[1]["workload"]
    assert frozen[0]["training"] == frozen[1]["training"]


def test_the_schedule_is_trained_beside_its_fits_and_gives_the_search_s_own_losses(lrctl: Lrctl, run: str) -> None:
    document = lrctl("fit-closed-form", run, "--family", "quadratic", "--tune", *SMALL).document
    entries = {entry["name"]: entry for entry in document["results"]}
    assert sorted(entries) == ["found", "quadratic", "triangle"]
    search = json.loads(Path(f".lrctl/runs/{run}/result.json").read_text())
    for loss in ("train_loss", "validation_loss", "test_loss"):
        assert entries["found"][loss] == search[loss]
    losses = [entry["validation_loss"] for entry in document["results"]]
    assert losses == sorted(losses)
    assert document["validation_loss"] == losses[0]


def test_a_found_schedule_that_is_trained_again_is_compared_once(lrctl: Lrctl, run: str) -> None:
    tuned = lrctl("fit-closed-form", run, "--family", "quadratic", "--tune", *SMALL).document["run"]
    labels = [method["label"] for method in lrctl("compare", run, tuned, "--json").document["methods"]]
    assert sorted(label.partition(" ")[0] for label in labels) == ["quadratic", "semilocal", "triangle"]
    alone = [method["label"] for method in lrctl("compare", tuned, "--json").document["methods"]]
    assert "found" in alone


def test_the_same_command_again_trains_nothing(lrctl: Lrctl, run: str) -> None:
    command = ["fit-closed-form", run, "--family", "triangle", "--tune", *SMALL]
    first, again = lrctl(*command).document, lrctl(*command).document
    assert first == again


def test_what_a_baseline_trained_is_not_trained_again(lrctl: Lrctl, run: str) -> None:
    lrctl("baseline", "--recipe", "smoke", "--family", "triangle", *SMALL[:4], *SMALL[-2:])
    document = lrctl("fit-closed-form", run, "--family", "quadratic", "--tune", *SMALL).document
    assert document["cost"]["jobs_reused"] >= 3


def test_a_fit_reads_as_a_table(lrctl: Lrctl, run: str) -> None:
    done = lrctl("fit-closed-form", run, "--family", "triangle", "--family", "linear", "--predict", "--quiet")
    assert (done.code, done.err) == (0, "")
    header = next(line for line in done.out.splitlines() if line.startswith("family"))
    assert header.split() == ["family", "bound", "error", "parameters", "fitted"]
    assert "not finite" not in done.out
    assert "checkpoint" not in done.out


def test_a_dry_run_of_a_plain_fit_says_that_nothing_is_trained(lrctl: Lrctl, run: str) -> None:
    document = lrctl("fit-closed-form", run, "--family", "triangle", "--dry-run", "--json", "--quiet").document
    assert (document["jobs"], document["steps"], document["seconds"]) == (0, 0, 0)


def test_a_run_of_the_user_s_own_code_is_fitted_without_running_it(lrctl: Lrctl) -> None:
    Path("own.py").write_text(OWN)
    flags = ["--grid", "0.1,0.01", "--segments", "2", "--steps", "6", "--quiet", "--json"]
    done = lrctl("local", "--workload", "own.py:Own", "--executor", "serial", *flags)
    run = done.document["run"]
    Path("own.py").write_text("raise RuntimeError('ran')")
    assert lrctl("fit-closed-form", run, "--family", "triangle", "--quiet").code == 0
    for more in ((), ("--allow-code",)):
        refused(lrctl("fit-closed-form", run, "--family", "triangle", "--tune", *more, "--quiet"), "a store runs none")
    Path("own.py").write_text(OWN)
    tune = ["fit-closed-form", run, "--family", "triangle", "--tune", *SMALL]
    assert lrctl(*tune, "--workload", "own.py:Own").document["workload"].endswith("own.py:Own")


OWN = """
import torch
class Own:
    def __init__(self, seed): pass
    def model(self): return torch.nn.Linear(1, 1)
    def batch(self, step): return torch.ones(1, 1)
    def loss(self, model, batch): return model(batch).square().mean()
    def evaluate(self, model, split): return {"loss": float(model(torch.ones(1, 1)).square())}
"""


def test_the_python_interface_takes_a_run_s_name(run: str) -> None:
    settings = {"strategy.fit-closed-form.source": run, "strategy.fit-closed-form.family": ["triangle"]}
    document = api.search("fit-closed-form", settings=settings)
    assert (document["steps"], document["fits"][0]["family"]) == (40, "triangle")


def test_stretching_from_the_command_line_sets_the_run_s_length(lrctl: Lrctl, run: str) -> None:
    done = lrctl("fit-closed-form", run, "--family", "triangle", "--stretch", "60", *SMALL)
    assert done.document["steps"] == 60
    assert done.document["results"][0]["full_runs"] >= 3


def test_a_schedule_of_another_length_than_its_file_is_stretched_as_a_whole(lrctl: Lrctl) -> None:
    half = registry().get("schedule", "linear").target(steps=20, peak_lr=0.3)
    Path("half.json").write_text(schedule_text(half, 40))
    flags = ["--recipe", "smoke", "--family", "linear", "--stretch", "80", *SMALL]
    document = lrctl("fit-closed-form", "half.json", *flags).document
    schedule = api.load_schedule(document["files"]["schedule"])
    top = max(schedule(step) for step in range(80))
    assert schedule(30) / top == pytest.approx(half(15) / 0.3)


def test_a_fit_of_a_fit_does_not_inherit_what_was_asked_for_then(lrctl: Lrctl, run: str) -> None:
    tuned = lrctl("fit-closed-form", run, "--family", "triangle", "--tune", *SMALL).document["run"]
    stretched = lrctl("fit-closed-form", run, "--family", "triangle", "--stretch", "60", *SMALL).document["run"]
    for name, steps in ((tuned, 40), (stretched, 60)):
        document = lrctl("fit-closed-form", name, "--family", "linear", "--quiet", "--json").document
        assert (document["cost"]["jobs"], document["steps"]) == (0, steps)


def test_a_frozen_recipe_makes_the_same_run_again(lrctl: Lrctl, run: str) -> None:
    first = lrctl("fit-closed-form", run, "--family", "triangle", "--tune", *SMALL).document
    frozen = f".lrctl/runs/{first['run']}/recipe.toml"
    assert lrctl("fit-closed-form", "--recipe", frozen, "--quiet", "--json").document == first
