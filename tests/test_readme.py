"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import lrctl
from command_line import Lrctl
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.recipe import files as recipe_file
from lrctl.recipe import parse as recipe
from lrctl.recipe.workloads import load_workload
from lrctl.registry.schedules import schedule_text
from lrctl.testing import check_workload

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def block(text: str) -> str:
    """The README's Python block that holds a text."""
    (found,) = (code for code in BLOCKS if text in code)
    return str(found)


@pytest.fixture
def spirals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "spirals.py").write_text(block("class Spirals"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "spirals.py:Spirals"


def test_the_users_own_workload_keeps_the_contract(spirals: str) -> None:
    check_workload(load_workload(spirals, {"hidden": 8}, seed=0))


def test_the_users_own_workload_learns_in_a_search(spirals: str, tmp_path: Path) -> None:
    settings = {
        "workload.name": spirals,
        "workload.hidden": 32,
        "training.steps": 90,
        "executor.name": "serial",
        "strategy.semilocal.segments": 3,
        "strategy.semilocal.grid_size": 2,
        "optimizer.name": "adamw",
    }
    result = lrctl.search("semilocal", "smoke", settings=settings, store=tmp_path / "store")
    assert result["test_loss"] < 0.5, "hardly better than chance, which is 0.693"
    schedule = lrctl.load_schedule(tmp_path / "store" / "runs" / result["run"] / "schedule.json")
    assert [list(knot) for knot in schedule.knots] == result["schedule"]["params"]["knots"]
    model = load_workload(spirals, {"hidden": 32}, seed=0).model()
    model.load_state_dict(
        lrctl.load_weights(tmp_path / "store" / "checkpoints" / f"{result['checkpoint']}.safetensors")
    )


def test_the_example_of_the_python_api_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    code = block("lrctl.search(").replace('recipe="smoke", ', 'recipe="smoke.toml", ')
    smoke = recipe_file.find("smoke").read_text(encoding="utf-8")
    Path("smoke.toml").write_text(smoke + '\n[executor]\nname = "serial"\n', encoding="utf-8")
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})


def test_the_recipe_of_the_readme_is_a_recipe(spirals: str) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    Path("r.toml").write_text(text, encoding="utf-8")
    found = recipe.read("r.toml")
    assert found.workload.name == str(Path(spirals).resolve())
    assert found.params("semilocal").segments == 8


def test_every_local_link_leads_somewhere() -> None:
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("https://")}
    assert {link for link in links if not (ROOT / link).exists()} == set()


def test_every_path_in_the_map_exists() -> None:
    paths = set(re.findall(r"`((?:lrctl|plugins|recipes|tests)/[\w/.]*)`", README))
    assert len(paths) > 10
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_the_example_of_a_scheduler_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = PiecewiseLinear(((0, 0.0), (60, 0.01), (600, 0.0)))
    (tmp_path / "schedule.json").write_text(schedule_text(found, 600))
    names: dict[str, Any] = {}
    exec(re.sub(r"\.lrctl/runs/[\w-]+/schedule\.json", "schedule.json", block("ScheduleLR")), names)
    used = []
    for _ in range(600):
        used.append(names["optimizer"].param_groups[0]["lr"])
        names["optimizer"].step()
        names["scheduler"].step()
    assert used == [found(step) for step in range(600)]


def test_the_example_of_schedules_that_see_the_run_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(block("import GreedyLR"), names)
    exec(block("AdaptiveLRCallback"), {})
    assert names["scheduler"].last_epoch == 100
    assert names["scheduler"].get_last_lr() > [1e-2]


def test_every_command_that_the_readme_names_is_there(lrctl: Lrctl) -> None:
    commands = set(re.findall(r"(?:`|^    )lrctl ([a-z][a-z-]+)", README, re.MULTILINE))
    assert len(commands) > 10
    assert {command for command in commands if lrctl(command, "--help").code != 0} == set()
