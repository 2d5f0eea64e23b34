"""What a recipe says, what overrides it, and how it is frozen."""

from __future__ import annotations

import itertools
import re
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.contracts.canonical import listed
from lrctl.contracts.optimizers import OPTIMIZERS, SGD, AdamW
from lrctl.errors import UsageError
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Choice, OptimizerChoice, Training, toml_tables

TEXTS = st.text("ab.=# '\"\\\n\r\t\x00\x7f\x80é日😀", max_size=6)
PLAIN = st.recursive(
    TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


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
        (
            {"momentum": 0.9},
            "optimizer.momentum: it is a setting of sgd, muon, and optimizer.name is 'auto'; change that, or ",
        ),
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


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["workload.name", "optimizer.name", "optimizer.momentum"]))
)
def test_overrides_mean_the_same_in_any_order(order: tuple[str, ...]) -> None:
    values = {"workload.name": "linear-regression", "optimizer.name": "sgd", "optimizer.momentum": 0.9}
    own = recipes.read("quickstart", {key: values[key] for key in order}).optimizer
    assert (own.name, own.settings) == ("sgd", SGD(momentum=0.9))


def test_a_table_is_not_overwritten_by_a_value(file: str) -> None:
    with pytest.raises(UsageError, match=r"^--set training.steps.x: steps is not a table$"):
        recipes.read(file, {"training.steps.x": 3})


# Frozen


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
