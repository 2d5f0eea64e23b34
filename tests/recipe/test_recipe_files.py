"""Recipes by name, in folders, and those that extend others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lrctl.errors import UsageError
from lrctl.recipe import files as recipe_file
from lrctl.recipe import parse as recipes
from recipe.texts import TEXT, written


def test_the_bundled_recipes_are_found_by_name() -> None:
    assert {"quickstart", "smoke"} <= set(recipe_file.bundled())
    assert recipe_file.find("smoke").read_text(encoding="utf-8")


def test_without_a_name_the_quickstart_recipe_is_read() -> None:
    assert recipes.read().source == recipes.DEFAULT == "quickstart"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Bundled recipes of the test's own: top, group/one, group/two; also the working directory."""
    (tmp_path / "recipes/group").mkdir(parents=True)
    for name in ("top", "group/one", "group/two"):
        (tmp_path / f"recipes/{name}.toml").write_text(TEXT)
    (tmp_path / "recipes/README.md").write_text("no recipe")
    monkeypatch.setattr(recipe_file, "__file__", str(tmp_path / "recipe" / "files.py"))
    monkeypatch.chdir(tmp_path)
    recipe_file.bundled.cache_clear()
    yield tmp_path / "recipes"
    recipe_file.bundled.cache_clear()


def test_a_recipe_in_a_folder_has_the_folder_in_its_name(folder: Path) -> None:
    assert list(recipe_file.bundled()) == ["group/one", "group/two", "top"]
    assert recipe_file.find("group/one") == folder / "group/one.toml"
    assert recipes.read("group/one").source == "group/one"
    assert recipes.read("recipes/group/one.toml").source == "one.toml"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tpo", "--recipe tpo: unknown recipe; did you mean 'top'?"),
        ("group/tow", "--recipe group/tow: there is no such file; did you mean 'group/two'?"),
        ("group", "--recipe group: unknown recipe; it is a folder; choose from: group/one, group/two"),
        ("xyz", "--recipe xyz: unknown recipe; choose from: group/..., top"),
        ("xyz.toml", "--recipe xyz.toml: there is no such file; give a TOML file or choose from: group/..., top"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_an_unknown_recipe_has_a_hint_that_is_not_long(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        recipes.read(name)


# Recipes that extend others


def test_a_recipe_takes_over_what_it_does_not_say_itself(file: str, tmp_path: Path) -> None:
    written(
        tmp_path,
        mine=f"""
extends = "{file}"
training.seed = 5
workload.noise = 0.5
strategy.semilocal.decay = true
strategy.local.segments = 3
""",
    )
    mine, base = recipes.read("mine.toml"), recipes.read(file)
    assert mine.source == "mine.toml"
    assert mine.training == replace(base.training, seed=5)
    assert mine.workload.params == replace(base.workload.params, noise=0.5)
    assert mine.params("semilocal") == replace(base.params("semilocal"), decay=True)
    assert mine.params("local").segments == 3
    assert mine.executor == base.executor
    assert "extends" not in mine.to_toml("semilocal")
    assert recipes.read("mine.toml", {"training.seed": 6}).training.seed == 6


def test_recipes_extend_each_other_in_a_chain_by_name_and_by_file(folder: Path) -> None:
    written(folder / "group", low='extends = "top"\ntraining.steps = 7', high='extends = "low.toml"\ntraining.seed = 2')
    recipe_file.bundled.cache_clear()
    training = recipes.read("group/high").training
    assert (training.steps, training.seed) == (7, 2)


@pytest.mark.parametrize(
    ("text", "optimizer", "dim"),
    [
        ('workload = {name = "linear-regression", dim = 9}', {"weight_decay": 0.5, "clip_norm": 1.0}, 9),
        ('optimizer.name = "sgd"', {"weight_decay": 0.0, "clip_norm": 0.0, "momentum": 0.0}, 4),
        ('optimizer.clip_norm = 3.0\nworkload.name = "images"', {"weight_decay": 0.1, "clip_norm": 3.0}, None),
        ('workload = {name = "images"}', {"weight_decay": 0.1, "clip_norm": 0.0}, None),
    ],
    ids=["the same workload", "another optimizer", "another workload, optimizer first", "another workload"],
)
def test_another_name_starts_its_table_from_the_defaults(
    tmp_path: Path, text: str, optimizer: dict[str, float], dim: int | None
) -> None:
    written(
        tmp_path, base=TEXT + "[optimizer]\nweight_decay = 0.5\nclip_norm = 1.0", mine=f'extends = "base.toml"\n{text}'
    )
    mine = recipes.read(str(tmp_path / "mine.toml"))
    assert asdict(mine.optimizer.settings).items() >= optimizer.items()
    assert getattr(mine.workload.params, "dim", None) == dim


BAD_EXTENDS = {
    "itself": ("one", "one.toml: extends: one.toml -> one.toml is a loop; one of them must extend nothing"),
    "a loop": ("two", "three.toml: extends: two.toml -> three.toml -> two.toml is a loop; one of them must"),
    "a loop further down": ("into", "three.toml: extends: two.toml -> three.toml -> two.toml is a loop"),
    "a near name": ("near", "near.toml: extends: unknown recipe 'smok'; did you mean 'smoke'?"),
    "no file": ("none", "none.toml: extends: nothing.toml: there is no such file in"),
    "a file outside": ("out", "out.toml: extends: ../r.toml is outside the recipe's folder; move it there, or extend"),
    "no name": ("number", "number.toml: extends: must be a recipe's name or a TOML file, got 3"),
    "a mistake below": ("fine", "wrong.toml: training.stps: unknown key; did you mean 'steps'?"),
    "a mistake on top": ("top", "top.toml: workload.dims: unknown key; did you mean 'dim'?"),
}


@pytest.mark.parametrize(("name", "message"), BAD_EXTENDS.values(), ids=BAD_EXTENDS)
def test_what_cannot_be_extended_is_refused(file: str, tmp_path: Path, name: str, message: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    names = {"one": "one.toml", "two": "three.toml", "three": "two.toml", "into": "two.toml", "near": "smok"}
    others = {"none": "nothing.toml", "out": f"../{file}", "fine": "wrong.toml"}
    written(inner, **{each: f'extends = "{base}"' for each, base in (names | others).items()})
    written(inner, number="extends = 3", wrong="training.stps = 4", top='extends = "smoke"\nworkload.dims = 3')
    with pytest.raises(UsageError, match=re.escape(message)):
        recipes.read(str(inner / f"{name}.toml"))
