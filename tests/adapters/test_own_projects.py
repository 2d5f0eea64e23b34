"""Two projects as their users have them, with few lines more: checked, searched, killed, continued, in any executor."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import lrctl
from lrctl.checks.building import SecondProcess
from lrctl.checks.check import check
from lrctl.engine.prepare import prepare
from lrctl.recipe import parse as recipes
from lrctl.recipe.workloads import load_workload
from lrctl.testing import check_workload
from searches import facts, forkserver, found

OWN = Path(__file__).parent / "own"
PROJECTS = {"images": OWN / "images.py", "words": OWN / "words.py"}
MARK = "# What lrctl needs:\n"

SETTINGS = {
    "training.steps": 12,
    "training.stop_early": False,
    "executor.name": "serial",
    "strategy.semilocal.segments": 3,
    "strategy.semilocal.grid_size": 2,
    "strategy.semilocal.grid": [0.1, 0.01],
}


@pytest.fixture(scope="module")
def second() -> Iterator[SecondProcess]:
    with closing(SecondProcess()) as process:
        yield process


def searched(project: str, store: Path, **settings: Any) -> dict[str, Any]:
    given = {**SETTINGS, **settings}
    return lrctl.search("semilocal", "smoke", workload=f"{PROJECTS[project]}:workload", settings=given, store=store)


@pytest.fixture(scope="module", params=PROJECTS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A project's name, and the store of a search on it that was never interrupted."""
    store = tmp_path_factory.mktemp("whole") / "store"
    searched(request.param, store)
    return request.param, store


@pytest.mark.parametrize("project", PROJECTS)
def test_at_most_ten_lines_are_added(project: str) -> None:
    text = PROJECTS[project].read_text(encoding="utf-8")
    added = text.partition(MARK)[2].splitlines() + ["import lrctl"] * (project == "words")
    assert len([line for line in added if line.strip()]) <= 10


@pytest.mark.parametrize("project", PROJECTS)
def test_every_rule_holds(project: str, second: SecondProcess) -> None:
    spec = prepare(recipes.read("smoke", {"workload.name": f"{PROJECTS[project]}:workload"}))
    assert {each.rule: each.found for each in check(spec, second).findings if each.status == "broken"} == {}


@pytest.mark.parametrize("name", ["gpt", "pretrained", "vae", "padded", "averaged"])
def test_no_rule_of_a_project_of_another_kind_is_called_broken(name: str) -> None:
    check_workload(load_workload(f"{OWN / 'others.py'}:{name}", {}, seed=0))


def killed(project: str, store: Path, jobs: int) -> None:
    """Begin the search in a process of its own, and kill that once so many jobs are stored."""
    process = forkserver().Process(target=searched, args=(project, store))
    process.start()
    deadline = time.monotonic() + 60
    while len(list(store.glob("jobs/[!.]*"))) < jobs and process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_a_search_that_was_killed_goes_on_to_the_same_result(whole: tuple[str, Path], tmp_path: Path) -> None:
    project, store = whole
    killed(project, tmp_path, jobs=3)
    assert len(facts(tmp_path)) < len(facts(store)), "it was not killed in time"
    assert found(searched(project, tmp_path)) == found(searched(project, store))
    assert facts(tmp_path).keys() == facts(store).keys()


def test_two_workers_give_the_same_result(
    whole: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrctl_executors.processes.get_context", forkserver)
    project, store = whole
    side_by_side = searched(project, tmp_path, **{"executor.name": "processes", "executor.workers": 2})
    assert found(side_by_side) == found(searched(project, store))
