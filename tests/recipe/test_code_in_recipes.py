"""Code that a recipe names: where it is looked for, and whose leave it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrctl.errors import UsageError
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Choice
from recipe.texts import TEXT, written


@pytest.mark.parametrize("name", ["net.py:Net", "sub/net.py:Net"])
def test_code_in_a_recipe_is_relative_to_the_recipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/r.toml").write_text(TEXT.replace("linear-regression", name))
    monkeypatch.chdir(tmp_path)
    assert recipes.read("there/r.toml").workload.name == str(tmp_path.resolve() / "there" / name)


def test_a_module_in_a_recipe_is_found_from_the_recipe_on_and_needs_leave_as_a_file_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "there" / "pkg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('nothing is run')")
    (package / "net.py").write_text("raise AssertionError('nothing is run')")
    (tmp_path / "there/r.toml").write_text(TEXT.replace("linear-regression", "pkg.net:Net"))
    monkeypatch.chdir(tmp_path)
    found = recipes.read("there/r.toml")
    assert found.workload.name == f"{package.resolve() / 'net.py'}:Net"
    assert f"r.toml: workload.name: {package.resolve() / 'net.py'}:Net is Python code, and a recipe" in found.refused
    assert recipes.read("there/r.toml", allow_code=True).refused == ""
    (tmp_path / "there/r.toml").write_text(TEXT.replace("linear-regression", "nopkg:Net"))
    with pytest.raises(UsageError, match=r"r\.toml: workload\.name: there is no module nopkg in .*there or among what"):
        recipes.read("there/r.toml", allow_code=True)


@pytest.mark.parametrize("name", ["net.py:Net", "../net.py:Net"])
def test_code_in_an_override_is_relative_to_the_working_directory(file: str, name: str) -> None:
    found = recipes.read(file, {"workload.name": name}).workload
    assert found == Choice(f"{(Path.cwd() / name.partition(':')[0]).resolve()}:Net", {})


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
