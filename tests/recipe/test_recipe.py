from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.contracts.canonical import listed
from lrctl.contracts.optimizers import OPTIMIZERS, SGD, AdamW
from lrctl.errors import UsageError
from lrctl.recipe import files as recipe_file
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Choice, OptimizerChoice, Training, toml_tables

TEXT = """
[training]
steps = 100

[workload]
name = "linear-regression"
dim = 4
noise = 0.25

[executor]
name = "processes"
workers = 3

[strategy.semilocal]
eps = 0.25
grid = [0.1, 0.01]
"""

TEXTS = st.text("ab.=# '\"\\\n\r\t\x00\x7f\x80é日😀", max_size=6)
PLAIN = st.recursive(
    TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(TEXT)
    return "r.toml"


def test_a_recipe_overrides_defaults_and_keeps_the_others(file: str) -> None:
    recipe = recipes.read(file)
    assert recipe.source == "r.toml"
    assert recipe.training == Training(steps=100, seed=0, device="auto", dtype="float32", threads=1)
    assert recipe.workload.table == {"name": "linear-regression", "dim": 4, "batch_size": 8, "noise": 0.25}
    assert recipe.executor.table == {"name": "processes", "workers": 3, "per_gpu": 1}
    assert recipe.params("semilocal").grid == (0.1, 0.01)
    assert recipe.params("semilocal").eps_unit == "progress"
    assert recipe.params("local").segments == 10


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("training.steps", 7, "training.steps"),
        ("training.seed", 3, "training.seed"),
        ("divergence.margin", 3.0, "divergence.margin"),
    ],
)
def test_an_override_wins_over_the_recipe(file: str, key: str, value: Any, path: str) -> None:
    found: Any = recipes.read(file, {key: value})
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


def test_an_override_of_the_optimizer_leaves_its_other_settings(file: str) -> None:
    before = recipes.read(file, {"optimizer.eps": 1e-6}).optimizer.settings
    changed = recipes.read(file, {"optimizer.eps": 1e-6, "optimizer.weight_decay": 0.0}).optimizer.settings
    assert changed == replace(before, weight_decay=0.0)


def test_another_optimizer_starts_from_its_defaults() -> None:
    recipe = recipes.read("quickstart", {"optimizer.name": "sgd", "optimizer.momentum": 0.9})
    assert recipe.optimizer == OptimizerChoice(SGD(momentum=0.9), auto=False, given=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "adm"}, "optimizer.name: unknown optimizer 'adm'; did you mean 'adam'?"),
        (
            {"name": "sgd", "betas": [0.9, 0.99]},
            "optimizer.betas: it is a setting of adamw, adam, muon, ",
        ),
        ({"momentum": 0.9}, "optimizer.momentum: it is a setting of sgd, muon; set optimizer.name first"),
        ({"name": "sgd", "momentun": 0.9}, "optimizer.momentun: unknown key; did you mean 'momentum'?"),
        ({"name": "sgd", "momentum": 1.0}, "optimizer.momentum: must be in"),
        ({"name": "sgd", "nesterov": True}, "optimizer.nesterov: needs momentum"),
        ({"name": "adam", "betas": [0.9]}, "optimizer.betas: must be two numbers"),
        ({"name": "adagrad", "lr_decay": -1.0}, "optimizer.lr_decay: must be at least 0"),
        ({"name": "adafactor", "d": 0.5}, "optimizer.d: must be at least 1"),
        ({"name": "adafactor", "beta2_decay": 0.5}, "optimizer.beta2_decay: must be at most 0"),
        ({"name": "adamw", "clip_norm": -1.0}, "optimizer.clip_norm: must be at least 0"),
        ({"name": 3}, "optimizer.name: must be a string"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_optimizer_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        recipes.check({"training": {"steps": 4}, "workload": {"name": "gpt"}, "optimizer": settings}, "r")


def test_a_strategy_is_told_every_optimizer_and_the_recipes_own_settings() -> None:
    run_spec = recipes.read("quickstart", {"optimizer.name": "sgd", "optimizer.momentum": 0.9}).run_spec
    assert set(run_spec.optimizers) == set(OPTIMIZERS)
    assert run_spec.optimizers["sgd"] == SGD(momentum=0.9)
    assert run_spec.optimizers["adamw"] == AdamW()


def test_settings_without_a_name_are_those_of_adamw() -> None:
    run_spec = recipes.read("quickstart", {"optimizer.weight_decay": 0.05}).run_spec
    assert run_spec.optimizers["adamw"] == AdamW(weight_decay=0.05)


def test_an_override_of_a_strategy_leaves_its_other_parameters(file: str) -> None:
    params = recipes.read(file, {"strategy.semilocal.decay": True}).params("semilocal")
    assert (params.decay, params.eps, params.grid) == (True, 0.25, (0.1, 0.01))


@pytest.mark.parametrize(
    "overrides",
    [
        {"workload.name": "gpt", "workload.context": 9},
        {"workload.context": 9, "workload.name": "gpt"},
    ],
    ids=["name first", "name last"],
)
def test_another_workload_starts_from_its_own_defaults(file: str, overrides: dict[str, Any]) -> None:
    params = recipes.read(file, overrides).workload.params
    assert params.context == 9
    assert not hasattr(params, "dim")


def test_the_same_workload_keeps_the_recipes_parameters(file: str) -> None:
    assert recipes.read(file, {"workload.name": "linear-regression"}).workload.params.dim == 4


def test_another_executor_starts_from_its_own_defaults(file: str) -> None:
    assert recipes.read(file, {"executor.name": "auto"}).executor.table == {"name": "auto", "workers": 0, "per_gpu": 1}


def test_an_optimizer_counts_as_given_where_the_recipe_says_anything_about_it(file: str) -> None:
    assert not recipes.read(file).optimizer.given
    assert recipes.read(file, {"optimizer.weight_decay": 0.1}).optimizer.given


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("training.steps=3", ("training.steps", 3)),
        ("training.steps = 3", ("training.steps", 3)),
        ("a.b=1e-3", ("a.b", 1e-3)),
        ("a.b=true", ("a.b", True)),
        ("a.b=[1, 2]", ("a.b", [1, 2])),
        ('a.b="3"', ("a.b", "3")),
        ("a.b=x=y", ("a.b", "x=y")),
        ("a.b=C:\\dir", ("a.b", "C:\\dir")),
        ("a.b=", ("a.b", "")),
        ("a.b.c=", ("a.b.c", "")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_setting_is_read_as_toml_or_else_as_a_string(text: str, setting: tuple[str, Any]) -> None:
    key, value = recipes.parse_setting(text)
    assert (key, value) == setting
    assert type(value) is type(setting[1])


@pytest.mark.parametrize("name", ["net.py:Net", "sub/net.py:Net"])
def test_code_in_a_recipe_is_relative_to_the_recipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/r.toml").write_text(TEXT.replace("linear-regression", name))
    monkeypatch.chdir(tmp_path)
    assert recipes.read("there/r.toml").workload.name == str(tmp_path.resolve() / "there" / name)


@pytest.mark.parametrize("name", ["net.py:Net", "../net.py:Net"])
def test_code_in_an_override_is_relative_to_the_working_directory(file: str, name: str) -> None:
    found = recipes.read(file, {"workload.name": name}).workload
    assert found == Choice(f"{(Path.cwd() / name.partition(':')[0]).resolve()}:Net", {})


@pytest.mark.parametrize("name", ["quickstart", "smoke"])
@pytest.mark.parametrize("strategy", ["semilocal", "local"])
def test_a_frozen_recipe_reads_back_as_the_same_recipe(name: str, strategy: str, tmp_path: Path) -> None:
    recipe = recipes.read(name, {"optimizer.eps": 1e-12, "strategy.semilocal.grid": [1e-5, 3e16]})
    (tmp_path / "frozen.toml").write_text(recipe.to_toml(strategy), encoding="utf-8")
    again = recipes.read(str(tmp_path / "frozen.toml"))
    assert again.params(strategy) == recipe.params(strategy)
    same: dict[str, Any] = {"source": "", "executor": Choice("auto", {}), "strategies": {}}
    assert replace(again, **same) == replace(recipe, **same)
    assert again.to_toml(strategy) == recipe.to_toml(strategy)


def test_a_frozen_recipe_spells_out_every_value_that_is_set(file: str) -> None:
    frozen = tomllib.loads(recipes.read(file).to_toml("semilocal"))
    assert frozen["training"] == listed(asdict(recipes.read(file).training))
    assert frozen["divergence"] == {"max_non_finite": 3, "margin": 2.0}
    assert frozen["workload"] == {"name": "linear-regression", "dim": 4, "batch_size": 8, "noise": 0.25}
    assert frozen["strategy"]["semilocal"]["segments"] == 10
    assert "max_lr" not in frozen["strategy"]["semilocal"]
    assert "executor" not in frozen


@pytest.mark.parametrize(
    "text", ["a \"b\" 'c'", "back\\slash\\", "naïve 日本 😀", "tab\tnew\nline\r", "\x00\x1f\x7f", ""]
)
def test_a_string_survives_a_frozen_recipe(text: str, file: str, tmp_path: Path) -> None:
    recipe = recipes.read(file, {"workload.name": "net.py:Net", "workload.text": text, "training.device": text})
    frozen = tmp_path / "frozen.toml"
    frozen.write_text(recipe.to_toml("local"), encoding="utf-8", newline="")
    again = recipes.read(str(frozen))
    assert again.workload.params == {"text": text}
    assert again.training.device == text


@given(st.dictionaries(TEXTS, st.dictionaries(TEXTS, PLAIN, max_size=3), max_size=2))
def test_tables_survive_toml(params: dict[str, dict[str, Any]]) -> None:
    assert tomllib.loads(toml_tables({"workload": params, "training": {"steps": 1}})) == (
        {"training": {"steps": 1}} | ({"workload": params} if params else {})
    )


def test_a_value_that_is_none_is_left_out_of_toml() -> None:
    assert toml_tables({"a": {"x": None, "y": 1}, "b": {}}) == "[a]\ny = 1\n"


def test_the_bundled_recipes_are_found_by_name() -> None:
    assert {"quickstart", "smoke"} <= set(recipe_file.bundled())
    assert recipe_file.find("smoke").read_text(encoding="utf-8")


def test_without_a_name_the_quickstart_recipe_is_read() -> None:
    assert recipes.read().source == recipes.DEFAULT == "quickstart"


def test_a_table_is_not_overwritten_by_a_value(file: str) -> None:
    with pytest.raises(UsageError, match=r"^--set training.steps.x: steps is not a table$"):
        recipes.read(file, {"training.steps.x": 3})


# Folders


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


def written(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)


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


def test_code_that_a_recipe_names_is_refused_wherever_it_lies(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for file in ("net.py", "../net.py", "/net.py", "sub/net.py"):
        written(inner, mine=TEXT.replace("linear-regression", f"{file}:Net"))
        refused = recipes.read(str(inner / "mine.toml")).refused
        assert (
            f"mine.toml: workload.name: {(inner / file).resolve()}:Net is Python code, and a recipe runs none"
            in refused
        )
        assert f"--workload {(inner / file).resolve()}:Net, or give --allow-code" in refused
        assert recipes.read(str(inner / "mine.toml"), allow_code=True).refused == ""
        assert recipes.read(str(inner / "mine.toml"), {"workload.name": "other.py:Net"}).refused == ""


def test_code_in_a_recipe_that_is_extended_is_refused_too(tmp_path: Path) -> None:
    written(
        tmp_path, base=TEXT.replace("linear-regression", "net.py:Net"), mine='extends = "base.toml"\nworkload.dim = 3'
    )
    written(tmp_path, own='extends = "base.toml"\nworkload.name = "linear-regression"')
    assert "base.toml: workload.name: " in recipes.read(str(tmp_path / "mine.toml")).refused
    assert recipes.read(str(tmp_path / "mine.toml"), allow_code=True).refused == ""
    assert recipes.read(str(tmp_path / "own.toml")).refused == ""


def test_code_in_a_stored_recipe_is_refused_whatever_is_allowed(tmp_path: Path) -> None:
    written(tmp_path, mine=TEXT.replace("linear-regression", "net.py:Net"))
    mine = str(tmp_path / "mine.toml")
    refused = recipes.read(mine, allow_code=True, stored=True).refused
    assert refused.startswith(
        f"{mine}: workload.name: {tmp_path.resolve()}/net.py:Net is Python code, and a store runs none"
    )
    assert "--allow-code" not in refused
    assert recipes.read(mine, {"workload.name": "net.py:Net"}, stored=True).refused == ""


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["workload.name", "optimizer.name", "optimizer.momentum"]))
)
def test_overrides_mean_the_same_in_any_order(order: tuple[str, ...]) -> None:
    values = {"workload.name": "linear-regression", "optimizer.name": "sgd", "optimizer.momentum": 0.9}
    own = recipes.read("quickstart", {key: values[key] for key in order}).optimizer
    assert (own.name, own.settings) == ("sgd", SGD(momentum=0.9))
