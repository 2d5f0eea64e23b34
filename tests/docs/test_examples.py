"""The code that the pages show works as it stands there. Those of the page on hooks are tried in test_third_party."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import lrctl
from docs.pages import PAGES, ROOT, blocks, name_of
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.recipe import parse as recipe
from lrctl.recipe.workloads import load_workload
from lrctl.registry.schedules import schedule_text
from lrctl.testing import check_workload

WITH_CODE = [page for page in PAGES if blocks(page, "python") and page.name != "hooks.md"]
TUTORIALS = ROOT / "lrctl" / "guide" / "tutorials"
HOW_TO = ROOT / "lrctl" / "guide" / "how-to"
STORED = ".lrctl/runs/semilocal-72591d65/schedule.json"
FILE = re.compile(r"# (\w+\.py)\n")
FOUND = PiecewiseLinear(((0, 0.0), (60, 0.01), (600, 0.0)))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, whose modules can be imported; nothing is fetched, and no worker processes are started."""
    modules = {*sys.modules}
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("LRCTL_STORE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("lrctl.engine.executors.START", math.inf)
    (tmp_path / STORED).parent.mkdir(parents=True)
    (tmp_path / STORED).write_text(schedule_text(FOUND, 600))
    torch.manual_seed(0)
    yield tmp_path
    for name in {*sys.modules} - modules:
        if (tmp_path / f"{name}.py").exists():
            del sys.modules[name]


def run(page: Path) -> list[dict[str, Any]]:
    """Run the blocks of a page, one after the other; one that begins with a file's name is written to that file."""
    ran = []
    for code in blocks(page, "python"):
        if head := FILE.match(code):
            Path(head[1]).write_text(code, encoding="utf-8")
            importlib.invalidate_caches()
        else:
            ran.append({"__name__": "__main__"})
            exec(compile(code, page.name, "exec"), ran[-1])
    return ran


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_code_of_a_page_runs(page: Path) -> None:
    run(page)


@pytest.mark.parametrize(
    ("page", "workload", "least"),
    [
        (ROOT / "README.md", "mine.py:workload", 0.45),
        (TUTORIALS / "own-project.md", "stripes.py:workload", 0.6),
        (TUTORIALS / "own-project.md", "words.py:workload", 1.9),
        (TUTORIALS / "own-project.md", "by_hand.py:ByHand", 0.6),
        (TUTORIALS / "hugging-face.md", "sentences.py:Sentences", 0.72),
    ],
    ids=["README", "own project", "with a state", "a class", "hugging face"],
)
def test_the_users_own_workload_keeps_the_contract_and_learns(page: Path, workload: str, least: float) -> None:
    for code in blocks(page, "python"):
        if head := FILE.match(code):
            Path(head[1]).write_text(code, encoding="utf-8")
    check_workload(load_workload(workload, {}, seed=0))
    settings = {
        "workload.name": workload,
        "training.steps": 90,
        "strategy.semilocal.segments": 3,
        "strategy.semilocal.grid_size": 2,
        "strategy.semilocal.grid": [0.03, 0.01, 0.003],
        "optimizer.name": "adamw",
        "optimizer.clip_norm": 1.0,
    }
    result = lrctl.search("semilocal", "smoke", settings=settings)
    assert result["test_loss"] < least
    model = load_workload(workload, {}, seed=0).model()
    model.load_state_dict(lrctl.load_weights(result["files"]["checkpoint"]))


def test_the_recipe_is_a_recipe() -> None:
    run(TUTORIALS / "own-project.md")
    (text,) = blocks(HOW_TO / "recipe-file.md", "toml")
    Path("r.toml").write_text(text, encoding="utf-8")
    found = recipe.read("r.toml")
    assert found.workload.name == str(Path("stripes.py").resolve()) + ":workload"
    assert found.params("semilocal").segments == 8
    assert load_workload(found.workload.name, found.workload.changed, seed=0).model() is not None


def test_the_scheduler_of_a_stored_schedule_follows_it() -> None:
    (names,) = run(HOW_TO / "export.md")
    used = []
    for _ in range(600):
        used.append(names["optimizer"].param_groups[0]["lr"])
        names["optimizer"].step()
        names["scheduler"].step()
    assert used == [FOUND(step) for step in range(600)]


def test_a_schedule_that_sees_the_run_raises_the_lr() -> None:
    greedy, line_search = run(HOW_TO / "own-loop.md")
    assert greedy["scheduler"].last_epoch == 100
    assert greedy["scheduler"].get_last_lr() > [1e-2]
    assert line_search["loss"] < 4
