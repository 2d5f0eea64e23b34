"""`lrctl new`: each project that it writes passes its own test, and is a plugin."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.cli.new import TEMPLATES
from lrctl.registry.parts import KINDS

PLUGINS = sorted(TEMPLATES.keys() - {"program"})


def python(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python in a folder, where the project is not installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LRCTL_", "PYTEST_"))}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment | variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", PLUGINS)
def test_a_new_plugin_passes_its_own_test(kind: str, tmp_path: Path, lrctl: Lrctl) -> None:
    done = lrctl("new", kind, "My Part")
    module = TEMPLATES[kind].module
    assert (done.code, done.err) == (0, "")
    assert sorted(os.listdir("My Part")) == sorted([f"{module}.py", f"test_{module}.py", "pyproject.toml"])
    project = tomllib.loads(Path("My Part", "pyproject.toml").read_text())
    assert project["project"]["name"] == "my-part"
    assert project["project"]["entry-points"]["lrctl"] == {module: module}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == [f"{module}.py"]
    tested = python(tmp_path / "My Part", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout
    assert "1 passed" in tested.stdout


@pytest.mark.parametrize("kind", sorted({*KINDS} & {*PLUGINS}))
def test_a_new_plugin_is_found_once_it_is_installed(kind: str, tmp_path: Path, lrctl: Lrctl) -> None:
    lrctl("new", kind, "part")
    module = TEMPLATES[kind].module
    about = tmp_path / "part" / "part-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: part\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[lrctl]\n{module} = {module}\n")
    path = os.pathsep.join([str(tmp_path / "part"), os.environ.get("PYTHONPATH", "")])
    done = python(tmp_path, "-m", "lrctl", "list", module.replace("_", "-"), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert module.replace("_", "-") in done.stdout


def test_a_new_program_is_a_script_without_an_entry_point(lrctl: Lrctl) -> None:
    assert lrctl("new", "program", "p").code == 0
    assert sorted(os.listdir("p")) == ["pyproject.toml", "test_train.py", "train.py"]
    project = tomllib.loads(Path("p/pyproject.toml").read_text())
    assert "entry-points" not in project["project"]


@pytest.mark.slow
def test_a_new_program_passes_its_own_test(tmp_path: Path, lrctl: Lrctl) -> None:
    """Which starts it eight times, and so imports torch as often."""
    lrctl("new", "program", "p")
    tested = python(tmp_path / "p", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, lrctl: Lrctl) -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("x")
    done = lrctl("new", "schedule", "mine")
    assert (done.code, done.error) == (
        2, "error: lrctl new: mine holds notes.txt already; choose a new or empty folder"
    )  # fmt: skip
    assert os.listdir("mine") == ["notes.txt"]
    assert "notes.txt: File exists" in lrctl("new", "schedule", "mine/notes.txt").error
    assert tmp_path.exists()


@pytest.mark.parametrize("name", ["lrctl", "torch", "Torch", "import linter", "import_linter", "random", "yaml", "sys"])
def test_a_package_does_not_stand_in_the_place_of_another(name: str, lrctl: Lrctl) -> None:
    done = lrctl("new", "schedule", name)
    called = name.lower().replace(" ", "-").replace("_", "-")
    assert (done.code, Path(name).exists()) == (2, False)
    assert done.error == (
        f"error: lrctl new: {name}: its package would be called {called}, as one that is installed; choose another "
        "folder"
    )


def test_a_folder_or_file_that_is_there_takes_no_name(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("mine").mkdir()
    Path("script.py").touch()
    assert lrctl("new", "schedule", "mine").code == 0
    assert lrctl("new", "program", "script").code == 0


def test_an_unknown_kind_is_told_with_the_nearest(lrctl: Lrctl) -> None:
    done = lrctl("new", "shedule", "mine")
    assert (done.code, "did you mean 'schedule'?" in done.error) == (2, True)
