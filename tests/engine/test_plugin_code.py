"""A plugin's code is part of what decides a result: upgraded, or edited, the same command is another search."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.recipe.plugin_code import code_of
from lrctl.registry.parts import KINDS
from lrctl.registry.registry import registry

SOURCES = {
    "__init__": "",
    "data": "SCALE = 1.0",
    "plugin": """
from dataclasses import dataclass
from lrctl import hookimpl
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch, SearchResult

@dataclass(frozen=True)
class NoParams: ...

@dataclass(frozen=True)
class Halving:
    initial_lr: float

    def init(self):
        return self.initial_lr

    def __call__(self, step, state):
        return state

    def update(self, state, seen):
        return state / 2

class Well:
    def __init__(self, params, seed): ...

    def model(self):
        import torch
        return torch.nn.Linear(1, 1)

    def batch(self, step):
        import torch
        return torch.ones(2, 1)

    def loss(self, model, batch):
        from lrctl_well.data import SCALE
        return SCALE * (model(batch) - 1).square().mean()

    def evaluate(self, model, split):
        return {"loss": float(self.loss(model, self.batch(0)))}

def halving(params, run):
    job = SegmentJob(0, run.steps, Halving(0.1))
    (result,) = yield Batch("the run", [job])
    return SearchResult(job.schedule, result.key)

@hookimpl
def register_strategies(register):
    register(halving, name="halving", params=NoParams, help="one run")

@hookimpl
def register_schedules(register):
    register(Halving, name="half", help="halves")

@hookimpl
def register_workloads(register):
    register(Well, name="well", params=NoParams, help="a well")
""",
}

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package as pip does: a version, and what is replaced in its modules."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.delenv("LRCTL_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(str(site))

    def forget() -> None:
        registry.cache_clear()
        importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.partition(".")[0] == "lrctl_well"]:
            del sys.modules[name]

    def install(version: str, old: str = "", new: str = "") -> None:
        notes = site / "lrctl_well-1.0.dist-info"
        for path in (site / "lrctl_well", notes):
            path.mkdir(exist_ok=True)
        for name, source in SOURCES.items():
            (site / "lrctl_well" / f"{name}.py").write_text(source.replace(old, new) if old else source)
        (notes / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lrctl-well\nVersion: {version}\n")
        (notes / "entry_points.txt").write_text("[lrctl]\nwell = lrctl_well.plugin\n")
        forget()

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield install
    forget()


SMOKE = ["--recipe", "smoke", "--steps", "4", "--executor", "serial", "--json", "--quiet"]
LOCAL = ["local", *SMOKE, "--segments", "2", "--grid", "0.1", "--grid-size", "1"]
WELL = [*LOCAL, "--workload", "well", "--set", "optimizer.name=adamw"]
HALVING = ["halving", *SMOKE]

CHANGES = {
    "a new version": ("1.1", "", ""),
    "the part's own module": ("1.0", "- 1", "- 2"),
    "another module of the package": ("1.0", "SCALE = 1.0", "SCALE = 9.0"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_workload_of_a_plugin_that_changed_is_trained_anew(
    change: tuple[str, str, str], install: Install, lrctl: Lrctl
) -> None:
    install("1.0")
    first = lrctl(*WELL).document
    assert lrctl(*WELL).document == first
    install(*change)
    again = lrctl(*WELL).document
    assert again["run"] != first["run"]
    assert again["cost"]["jobs_reused"] == 0
    assert (again["test_loss"] != first["test_loss"]) is (change[0] == "1.0")
    done = lrctl("compare", first["run"], again["run"])
    assert (done.code, "the digest of data and code" in done.error) == (2, True)
    install("1.0")
    assert lrctl(*WELL).document == first


def test_a_strategy_of_a_plugin_that_changed_is_another_run_of_known_jobs(install: Install, lrctl: Lrctl) -> None:
    install("1.0")
    first = lrctl(*HALVING).document
    assert lrctl(*HALVING).document == first
    install("1.1", "'one run'", "'just a run'")
    again = lrctl(*HALVING).document
    assert again["run"] != first["run"]
    notes = lrctl("compare", first["run"], again["run"], "--json").document["notes"]
    assert any(note.startswith("The runs differ in plugin strategy: lrctl-well 1.0 source ") for note in notes), notes


def test_a_schedule_that_sees_the_run_and_changed_is_trained_anew(install: Install, lrctl: Lrctl) -> None:
    command = [
        "greedy",
        *SMOKE,
        "--optimizer",
        "sgd",
        "--initial-lr",
        "0.01",
        "--against",
        "half",
        "--against",
        "plateau",
    ]
    install("1.0")
    first = lrctl(*command).document
    install("1.0", "state / 2", "state / 3")
    again = lrctl(*command).document
    assert again["cost"]["jobs_reused"] == again["cost"]["jobs"] - 1
    jobs = {(each["name"], each["checkpoint"]) for each in first["results"]}
    now = {(each["name"], each["checkpoint"]) for each in again["results"]}
    assert {name for name, _ in now - jobs} == {"sgd half"}


def test_the_code_of_lrctl_s_own_parts_is_told_by_the_numerics_version() -> None:
    assert {code_of(part) for kind in KINDS for part in registry().of(kind)} == {""}


def test_a_family_that_cannot_be_used_is_a_warning_of_a_search_that_does_not_need_it(
    install: Install, lrctl: Lrctl
) -> None:
    install("1.0", "register(Halving,", "register('lrctl_well.nowhere:Halving',")
    done = lrctl(*LOCAL)
    assert (done.code, "plugin lrctl_well.plugin is not used: ModuleNotFoundError" in done.err) == (0, True)
