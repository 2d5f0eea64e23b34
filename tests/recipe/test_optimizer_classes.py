"""Optimizers by the name of their class, and those whose package is not installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import searches
from command_line import Lrctl
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import SGD, ByName, Prodigy
from lrctl.engine.prepare import spec_of
from lrctl.errors import UsageError
from lrctl.export.given import exported
from lrctl.recipe import parse as recipes
from lrctl.recipe.optimizers import load_optimizer
from lrctl.testing import Constant

OWN = "import torch\n\nclass Slow(torch.optim.SGD):\n    pass\n"
JOB = SegmentJob(0, 3, Constant(0.1))


def key_of(**overrides: Any) -> str:
    return JOB.key(spec_of(searches.smoke(**overrides), None, ""))


def test_a_class_of_torchs_is_named_as_it_is() -> None:
    given = {"optimizer.name": "torch.optim.NAdam", "optimizer.options.momentum_decay": 0.01}
    recipe = recipes.read("quickstart", given)
    assert recipe.optimizer.settings == ByName(name="torch.optim.NAdam", options={"momentum_decay": 0.01})
    assert recipe.refused == ""
    assert recipe.run_spec.optimizer == "torch.optim.NAdam"


def test_a_search_by_the_name_of_a_class_finds_what_one_by_the_name_of_the_optimizer_does(tmp_path: Path) -> None:
    by_name = searches.search(tmp_path / "a", searches.small(optimizer__name="sgd", optimizer__momentum=0.5))
    options = {"optimizer__name": "torch.optim.SGD", "optimizer__options": {"momentum": 0.5}}
    by_class = searches.search(tmp_path / "b", searches.small(**options))
    assert (by_class["train_loss"], by_class["schedule"]) == (by_name["train_loss"], by_name["schedule"])


def test_a_class_of_a_file_is_told_by_what_the_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, text in (("a", OWN), ("b", OWN), ("c", f"{OWN}    changed = 1\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "slow.py").write_text(text)
    keys = []
    for folder in "abc":
        monkeypatch.chdir(tmp_path / folder)
        keys.append(key_of(optimizer__name="slow:Slow"))
    assert keys[0] == keys[1] != keys[2]
    assert key_of(optimizer__name="slow.py:Slow") == keys[2]


def test_it_is_loaded_from_there_also_by_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text(OWN)
    found = searches.search(tmp_path / "store", searches.small(optimizer__name="slow:Slow"))
    plain = searches.search(tmp_path / "plain", searches.small(optimizer__name="sgd"))
    assert found["train_loss"] == plain["train_loss"]
    text = exported(tmp_path / "store", found["run"], "torch").text
    assert "from slow import Slow" in text
    assert "optimizer = slow.py:Slow" in text
    assert str(tmp_path) not in text


RECIPE = '[training]\nsteps = 4\n[workload]\nname = "linear-regression"\n[optimizer]\nname = "{}"\n'


@pytest.mark.parametrize("name", ["torch.optim.NAdam", "slow.py:Slow"])
def test_a_recipe_that_names_a_class_needs_to_be_trusted(tmp_path: Path, name: str) -> None:
    (tmp_path / "slow.py").write_text(OWN)
    file = tmp_path / "mine.toml"
    file.write_text(RECIPE.format(name))
    untrusted, trusted = recipes.read(str(file)), recipes.read(str(file), allow_code=True)
    stored = recipes.read(str(file), allow_code=True, stored=True)
    assert "is Python code, and a recipe runs none" in untrusted.refused
    assert "--set optimizer.name=" in untrusted.refused
    assert "--allow-code" in untrusted.refused
    assert "a store runs none" in stored.refused
    assert trusted.refused == ""
    assert recipes.read(str(file), {"optimizer.name": "sgd"}).refused == ""
    where = str(tmp_path / name) if name.startswith("slow") else name
    assert trusted.optimizer.name == where, "a file is looked for beside the recipe"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such class": ({"name": "torch.optim.NAdm"}, "optimizer torch.optim.NAdm: unknown class; did you mean 'NAdam'?"),
    "no such module": ({"name": "nothing_here.Adam"}, "there is no module nothing_here for its class"),
    "no optimizer": ({"name": "torch.nn.ReLU"}, "optimizer torch.nn.ReLU: "),
    "an argument that it lacks": (
        {"name": "torch.optim.NAdam", "options": {"betaz": [0.9, 0.99]}},
        "'betaz'; its arguments are set in [optimizer.options]",
    ),
    "an LR": ({"name": "torch.optim.NAdam", "options": {"lr": 0.1}}, "options.lr: the LR is what a search finds"),
    "an argument that is no name": (
        {"name": "torch.optim.NAdam", "options": {"a b": 1}},
        "optimizer.options: 'a b' is no name of an argument; leave it out",
    ),
    "a class that is no name": (
        {"name": "torch.optim.N Adam"},
        "must be names joined by dots, pkg.module:Class or file.py:Class, and 'N Adam' in 'torch.optim.N Adam' cannot",
    ),
    "a keyword": ({"name": "pkg.class.NAdam"}, "and 'class' in 'pkg.class.NAdam' cannot be imported; rename it"),
    "weight decay": ({"name": "torch.optim.NAdam", "weight_decay": 0.1}, "set optimizer.options.weight_decay"),
    "what tells its code": ({"name": "torch.optim.NAdam", "code": "x"}, "optimizer.code: unknown key; choose from"),
    "a closure": ({"name": "torch.optim.LBFGS"}, "optimizer torch.optim.LBFGS: LBFGS wants a closure"),
    "a date": ({"name": "torch.optim.NAdam", "options": {"eps": "x"}}, "optimizer torch.optim.NAdam: "),
}


@pytest.mark.parametrize(("settings", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_one_sentence(settings: dict[str, Any], said: str, lrctl: Lrctl) -> None:
    given = [f"--set=optimizer.{name}={toml(value)}" for name, value in settings.items()]
    done = lrctl("semilocal", "--recipe", "smoke", *given)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_file_that_no_export_could_import_is_refused_at_once(tmp_path: Path, lrctl: Lrctl) -> None:
    (tmp_path / "my-slow.py").write_text(OWN)
    done = lrctl("semilocal", "--recipe", "smoke", "--set=optimizer.name=my-slow.py:Slow")
    assert done.code == 2
    assert "and 'my-slow' in " in done.err
    assert "cannot be imported; rename it" in done.err


def toml(value: Any) -> str:
    from lrctl.recipe.schema import toml_value

    return toml_value(value)


def test_a_package_that_is_not_installed_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prodigyopt", None)
    with pytest.raises(UsageError, match=r"optimizer prodigy: .* prodigyopt .* pip install 'lrctl\[optimizers\]'"):
        load_optimizer(Prodigy())


def test_classes_enter_no_key_of_optimizers_by_name() -> None:
    assert key_of(optimizer__name="sgd", optimizer__momentum=0.9) != key_of(
        optimizer__name="torch.optim.SGD", optimizer__options={"momentum": 0.9}
    )
    assert SGD(lr_scale={}).arguments == {"weight_decay": 0.0, "momentum": 0.0, "nesterov": False}
