"""The Python API: what the command line does, as functions."""

from __future__ import annotations

import json
import linecache
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import comparisons
import lrctl as api
from command_line import NET, Lrctl
from lrctl.errors import UsageError

SMALL = {"training.steps": 8, "executor.name": "serial", "strategy.local.segments": 1, "strategy.local.grid": [0.1]}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return comparisons.fill(tmp_path_factory.mktemp("runs") / "store", seeds=(0, 1))


def test_the_package_shows_its_api_and_nothing_else() -> None:
    assert dir(api) == sorted(api.__all__)
    for name in api.__all__:
        assert getattr(api, name)
    assert all(callable(getattr(api, name)) for name in ("search", "compare", "report", "export"))


def test_the_functions_stay_where_rooms_of_the_same_name_are_imported() -> None:
    program = (
        "import lrctl.report.tables, lrctl.export.export, sys, lrctl\n"
        "assert callable(lrctl.report) and callable(lrctl.export)\n"
        "from lrctl import report, compare\n"
        "assert 'lrctl.report.page' not in sys.modules and callable(report)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import lrctl, sys; dir(lrctl); print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not {"torch", "numpy", "scipy", "rich", "matplotlib"} & set(done.stdout.split())


def test_runs_are_compared_as_the_command_does(filled: Path, lrctl: Lrctl) -> None:
    assert api.compare(store=filled) == lrctl("compare", "--store", filled, "--json").document
    found = api.compare(["local*", "semilocal-0"], against="local", store=filled)
    assert (
        found == lrctl("compare", "local*", "semilocal-0", "--against", "local", "--store", filled, "--json").document
    )


def test_a_report_is_written_as_the_command_does(filled: Path, lrctl: Lrctl) -> None:
    files = api.report("local*", out="ours", store=filled)
    lrctl("report", "local*", "--store", filled, "--out", "theirs")
    assert {path.name for path in Path("ours").iterdir()} == {Path(path).name for path in files.values()}
    for path in Path("ours").iterdir():
        assert path.read_bytes() == Path("theirs", path.name).read_bytes()


def test_a_schedule_is_exported_as_the_command_does(filled: Path, lrctl: Lrctl) -> None:
    text = api.export("local-0", "torch", store=filled)
    assert text == lrctl("export", "local-0", "--to", "torch", "--store", filled).out
    file = filled / "runs" / "local-0" / "schedule.json"
    assert json.loads(api.export(file, "json"))["lr"] == json.loads(api.export("local-0", "json", store=filled))["lr"]


# Classes


def searched(workload: Any, **more: Any) -> dict[str, Any]:
    return api.search("local", "smoke", workload=workload, settings=SMALL, **more)


def test_a_run_of_the_api_has_labels(lrctl: Lrctl) -> None:
    searched(None, name="r", labels=["a", "b"])
    assert lrctl("runs", "--json").document["runs"][0]["labels"] == ["a", "b"]
    searched(None, name="s", labels="abc")
    assert lrctl("runs", "--label", "abc", "--json").document["runs"][0]["labels"] == ["abc"]


ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "labels": ({"labels": "a b"}, "labels 'a b': must be a word"),
    "name": ({"name": "a/b"}, "name 'a/b': must be the name of one folder"),
    "epochs": ({"epochs": np.float32(0)}, "epochs 0: must be a number greater than 0"),
    "max_steps": ({"max_steps": np.int64(0)}, "max_steps 0: must be a whole number of at least 1"),
    "max_time": ({"max_time": np.float64(0)}, "max_time 0.0: must be a time"),
    "start_from": ({"start_from": "no.pt", "at": np.int64(1), "past": np.float32(0.5)}, "start_from .*no.pt: "),
    "past": ({"start_from": "no.pt", "at": np.int64(1), "past": np.float32(-0.5)}, "past -0.5: must be an LR"),
}


@pytest.mark.parametrize(("given", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.usefixtures("lrctl")
def test_an_error_names_the_argument_and_not_the_flag(given: dict[str, Any], message: str) -> None:
    settings = {name: value for name, value in SMALL.items() if name != "training.steps" or "epochs" not in given}
    with pytest.raises(UsageError, match=f"^{message}"):
        api.search("local", "smoke", settings=settings, **given)


def test_so_does_one_of_an_export(filled: Path) -> None:
    with pytest.raises(UsageError, match=r"^steps 0: must be"):
        api.export("local-0", "csv", steps=np.int64(0), store=filled)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^store .*: there is no store"):
        api.compare(store=filled / "none")


@pytest.fixture
def package(lrctl: Lrctl) -> Path:
    """A package with a workload that imports what is beside it, in the working directory."""
    del lrctl
    Path("pkg/inner").mkdir(parents=True)
    for folder in ("pkg", "pkg/inner"):
        Path(folder, "__init__.py").touch()
    Path("pkg/shape.py").write_text("WIDTH = 2\n")
    text = NET.replace("import torch", "import torch\nfrom ..shape import WIDTH").replace("Linear(2", "Linear(WIDTH")
    Path("pkg/inner/net.py").write_text(text)
    return Path("pkg")


def test_a_class_of_a_package_is_named_by_its_module(package: Path, lrctl: Lrctl) -> None:
    flags = ("local", "--recipe", "smoke", "--executor", "serial", "--segments", "1", "--grid", "0.1", "--json")
    by_module = lrctl(*flags, "--quiet", "--workload", "pkg.inner.net:Net")
    assert by_module.code == 0, by_module.err
    by_file = lrctl(*flags, "--quiet", "--workload", "pkg/inner/net.py:Net")
    assert by_file.document == by_module.document
    (package / "shape.py").write_text("WIDTH = 2  # changed\n")
    assert lrctl(*flags, "--quiet", "--workload", "pkg.inner.net:Net").document["run"] != by_module.document["run"]
    assert searched("pkg.inner.net:Net")["status"] == "done"
    assert "pkg" not in sys.modules


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pkg.outer.net:Net", "--workload pkg.outer.net:Net: there is no module pkg.outer.net in "),
        ("nopkg:Net", "--workload nopkg:Net: there is no module nopkg"),
        ("sys:Net", "--workload sys:Net: there is no module sys"),
        ("pkg.inner.net:Nett", "unknown class; did you mean 'Net'?"),
    ],
)
def test_a_module_that_is_not_there_is_one_sentence(name: str, said: str, package: Path, lrctl: Lrctl) -> None:
    done = lrctl("local", "--recipe", "smoke", "--workload", name, "--executor", "serial")
    assert (done.code, done.out, package.is_dir()) == (2, "", True)
    assert said in done.error


def cell(source: str, monkeypatch: pytest.MonkeyPatch, name: str = "notebook") -> ModuleType:
    """A module whose source is known as that of a notebook's cells is, and in no file."""
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(linecache.cache, f"<{name}>", (len(source), None, source.splitlines(True), f"<{name}>"))
    exec(compile(source, f"<{name}>", "exec"), vars(module))
    return module


CELL = NET.replace("import torch", "import torch\nfrom math import sqrt as root\nWIDTH = 2\n\ndef wide(): return WIDTH")
CELL = CELL.replace("Linear(2", "Linear(wide()").replace("square().mean()", "square().mean() * root(1.0)")


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_class_of_a_notebook_is_trained(executor: str, lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    del lrctl  # in a folder of its own
    net = cell(CELL, monkeypatch).Net
    found = api.search("local", "smoke", workload=net, settings=SMALL | {"executor.name": executor})
    assert (found["status"], found["workload"].rpartition(":")[2]) == ("done", "Net")
    changed = cell(CELL.replace("WIDTH = 2\n", "WIDTH = 1 + 1\n").replace("* root(1.0)", "* root(4.0)"), monkeypatch)
    assert api.search("local", "smoke", workload=changed.Net, settings=SMALL)["run"] != found["run"]


def test_a_class_of_a_file_is_the_one_that_its_file_names(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    del lrctl
    Path("mine.py").write_text(NET)
    monkeypatch.syspath_prepend(".")
    import mine  # type: ignore[import-not-found]

    try:
        assert searched(mine.Net)["run"] == searched("mine.py:Net")["run"]
    finally:
        del sys.modules["mine"]


def test_what_only_a_notebook_holds_is_refused(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    del lrctl
    held = CELL.replace("WIDTH = 2\n", "WIDTH = torch.ones(2)\n")
    with pytest.raises(UsageError, match="uses WIDTH, a Tensor that only this notebook holds; make it inside"):
        searched(cell(held, monkeypatch).Net)

    class Inner:
        pass

    with pytest.raises(UsageError, match="it is defined inside of something else"):
        searched(Inner)


# What is imported for a model of one's own

UNASKED = {"datasets", "tiktoken", "matplotlib", "scipy", "pandas", "pyarrow", "tokenizers", "transformers", "jinja2"}


@pytest.mark.parametrize("command", ["semilocal", "local", "baseline"])
def test_a_search_of_ones_own_model_imports_nothing_that_only_other_workloads_need(
    command: str, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(NET)
    grid = ["--grid", "0.1,0.01", *(["--family", "linear"] if command == "baseline" else ["--segments", "1"])]
    arguments = [command, "--recipe", "smoke", "--workload", "net.py:Net", "--executor", "serial", "--quiet", *grid]
    program = (
        "import sys\nfrom lrctl.cli import main\n"
        f"sys.argv = ['lrctl', *{arguments!r}]\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    loaded = set(done.stderr.split())
    assert "torch" in loaded
    assert not UNASKED & loaded
