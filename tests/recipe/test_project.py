from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lrctl.errors import UsageError
from lrctl.recipe import workloads as loading
from lrctl.recipe.project import LOADED, own_modules, project_of, running

BODY = """
    def __init__(self, seed): self.seen = seen()
    def model(self): ...
    def batch(self, step): ...
    def loss(self, model, batch): ...
    def evaluate(self, model, split): ...
"""
NET = f"{{}}\n\nclass Net:\n{BODY}"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Nothing that Python looks at is left changed."""
    LOADED.clear()
    before = {*sys.modules}, sys.path[:], sys.meta_path[:]
    yield
    assert ({*sys.modules} - before[0]) & {"net", "train", "helpers", "late", "models", "pkg", "a"} == set()
    assert (sys.path, sys.meta_path) == before[1:]


def written(folder: Path, sources: dict[str, str]) -> str:
    """Python files; returns the workload in the last."""
    for name, source in sources.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return f"{path}:Net"


def load(workload: str) -> Any:
    return loading.load_workload(workload, {}, 0)


def digest(workload: str) -> str:
    return loading.source_digest(workload, load(workload))


def project(workload: str) -> Any:
    return project_of(Path(workload.partition(":")[0]))


LAYOUTS = {
    "a module beside it": ({"train": "def seen(): return 5"}, "from train import seen"),
    "a module that a module beside it imports": (
        {"deep": "VALUE = 5", "train": "import deep\ndef seen(): return deep.VALUE"},
        "from train import seen",
    ),
    "a package": ({"models/__init__": "", "models/net": "def seen(): return 5"}, "from models.net import seen"),
    "a folder without __init__": ({"models/net": "def seen(): return 5"}, "import models.net\nseen = models.net.seen"),
    "a package's __init__": ({"models/__init__": "def seen(): return 5"}, "from models import seen"),
    "within a function": ({"late": "VALUE = 5"}, "def seen():\n    import late\n    return late.VALUE"),
    "a computed name": (
        {"models/__init__": "", "models/small": "def seen(): return 5"},
        "import importlib\nseen = importlib.import_module('models.' + 'small').seen",
    ),
    "a folder put on the path": (
        {"src/train": "def seen(): return 5"},
        "import sys\nsys.path.append(__file__.rpartition('/')[0] + '/src')\nfrom train import seen",
    ),
    "a module above it": ({"train": "def seen(): return 5"}, "from train import seen  # above"),
}


@pytest.mark.parametrize(("others", "imported"), LAYOUTS.values(), ids=LAYOUTS)
def test_what_the_file_imports_is_part_of_its_digest_and_run_as_it_is_now(
    others: dict[str, str], imported: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = "exp/lr" if "above" in imported else "net"
    workload = written(tmp_path, {"unrelated": "1"} | others | {name: NET.format(imported)})
    before = digest(workload)
    assert load(workload).seen == 5
    written(tmp_path, {"unrelated": "2"})
    assert digest(workload) == before
    assert load(workload).seen == 5
    written(tmp_path, {name: source.replace("5", "6") for name, source in others.items()})
    assert digest(workload) != before
    assert load(workload).seen == 6
    written(tmp_path, others)
    assert digest(workload) == before


def test_where_the_file_lies_and_what_it_is_called_decides_nothing(tmp_path: Path) -> None:
    sources = {"train": "def seen(): return 5", "net": NET.format("from train import seen")}
    here = digest(written(tmp_path / "a", sources))
    assert digest(written(tmp_path / "b", sources)) == here
    assert digest(written(tmp_path / "c", {"train": sources["train"], "other": sources["net"]})) == here


def test_installed_packages_are_part_of_the_digest_by_their_versions(tmp_path: Path) -> None:
    imported = "import json, yaml, numpy as np\nfrom torch import nn\ntry:\n import nowhere\nexcept ImportError: pass"
    workload = written(tmp_path, {"net": NET.format(f"{imported}\nseen = list")})
    load(workload)
    packages = project(workload).source({}).packages
    assert packages.keys() == {"numpy", "torch", "PyYAML"}
    assert packages["numpy"] == importlib.import_module("numpy").__version__


def test_modules_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    source = NET.format("import helpers\ndef seen():\n    import late\n    return helpers.VALUE, late.VALUE")
    names = [
        written(tmp_path / which, {"helpers": f"VALUE = '{which}'", "late": f"VALUE = '{which}'", "net": source})
        for which in ("a", "b")
    ]
    workloads = [load(name) for name in names]
    assert [each.seen for each in workloads] == [("a", "a"), ("b", "b")]
    assert digest(names[0]) != digest(names[1])
    for which, workload in zip("aba", [*workloads, workloads[0]], strict=True):
        with running(workload):
            assert importlib.import_module("late").VALUE == which  # noqa: SIM300


def test_a_module_that_the_process_has_is_run_anew_for_the_search_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = written(
        tmp_path, {"helpers": "VALUE = 5", "net": NET.format("import helpers\ndef seen(): return helpers.VALUE")}
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = importlib.import_module("helpers")
    written(tmp_path, {"helpers": "VALUE = 6"})
    assert load(workload).seen == 6
    assert sys.modules.pop("helpers") is mine
    assert mine.VALUE == 5


def test_a_module_that_changes_before_it_is_first_used_is_refused(tmp_path: Path) -> None:
    workload = written(tmp_path, {"late": "VALUE = 5", "net": NET.format("seen = list\ndef use():\n    import late")})
    built = load(workload)
    written(tmp_path, {"late": "VALUE = 6"})
    with running(built), pytest.raises(UsageError, match=r"late\.py: it was changed while the search runs; give the"):
        sys.modules["net"].use()


def test_a_file_of_the_name_of_another_module_hides_it_from_nobody(tmp_path: Path) -> None:
    for name in ("random", "lrctl", "numpy", "my-model", "1st", "net.v2"):
        source = "from lrctl.contracts.workload import drawn\nseen = list"
        workload = written(tmp_path / name, {name: NET.format(source)})
        before = dict(sys.modules)
        assert type(load(workload)).__name__ == "Net"
        assert dict(sys.modules) == before


RELATIVE = {
    "a package": {"pkg/__init__": "", "pkg/x": "def seen(): return 5", "pkg/mod": NET.format("from .x import seen")},
    "no package": {"pkg/x": "def seen(): return 5", "pkg/mod": NET.format("from . import x\nseen = x.seen")},
    "two up": {
        "a/x": "def seen(): return 5",
        "a/b/mod": NET.format("from ..x import seen"),
    },
    "its __init__": {"pkg/x": "def seen(): return 5", "pkg/__init__": NET.format("from .x import seen")},
    "a package and a script": {
        "pkg/__init__": "from .mod import Net",
        "pkg/x": "def seen(): return 5",
        "pkg/mod": NET.format("from x import seen"),
    },
}


@pytest.mark.parametrize("sources", RELATIVE.values(), ids=RELATIVE)
def test_imports_of_packages_work(sources: dict[str, str], tmp_path: Path) -> None:
    workload = written(tmp_path, sources)
    before = digest(workload)
    assert load(workload).seen == 5
    written(tmp_path, {name: source.replace("5", "6") for name, source in sources.items()})
    assert load(workload).seen == 6
    assert digest(workload) != before


def test_a_folder_that_cannot_be_a_package_is_none(tmp_path: Path) -> None:
    sources = {
        "v1.2/__init__": "",
        "v1.2/train": "def seen(): return 5",
        "v1.2/net": NET.format("from train import seen"),
    }
    assert load(written(tmp_path, sources)).seen == 5
    relative = written(tmp_path, {"v1.2/net": NET.format("from .train import seen")})
    with pytest.raises(
        UsageError, match=r"net\.py, line 1: ImportError: attempted relative import with no known parent"
    ):
        load(relative)


def test_a_package_that_hides_lrctl_is_refused_in_one_sentence(tmp_path: Path) -> None:
    workload = written(tmp_path, {"lrctl/__init__": "", "lrctl/net": NET.format("seen = list")})
    with pytest.raises(UsageError, match=r"net\.py: its package has the name of lrctl, which lrctl needs; rename /"):
        load(workload)


DATA = """
import os

class Data:
    def __init__(self, value): self.value = value
    def __getitem__(self, i): return self.value + i, os.getpid()
"""


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
@pytest.mark.parametrize("where", ["net", "pkg/net", "my-net"])
def test_processes_that_the_users_code_starts_know_its_classes(start: str, where: str, tmp_path: Path) -> None:
    top = {"pkg/__init__": "", "pkg/late": "VALUE = 5"} if "pkg" in where else {}
    name = written(tmp_path, top | {where: DATA + NET.format("seen = list")})
    workload = load(name)
    with running(workload):
        data = sys.modules[type(workload).__module__].Data(5)
        with get_context(start).Pool(1) as pool:
            value, process = pool.map(data.__getitem__, [1])[0]
    assert value == 6
    assert process != os.getpid()
    with pytest.raises((pickle.PicklingError, ImportError)):
        pickle.dumps(data)  # its project is not at work


def test_a_module_is_the_users_own_that_took_the_name_of_an_installed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module("rich")
    assert "rich" not in own_modules()
    mine = ModuleType("rich")
    mine.__file__ = str(tmp_path / "rich.py")
    monkeypatch.setitem(sys.modules, "rich", mine)
    assert own_modules()["rich"] is mine
