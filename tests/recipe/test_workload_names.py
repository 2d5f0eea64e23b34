from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts.workload import Workload
from lrctl.errors import UsageError
from lrctl.recipe import workloads as loading

SOURCE = """
import beside

class Net:
    def __init__(self, seed, width=2):
        self.seed, self.width, self.beside = seed, width, beside.VALUE

    def model(self): ...
    def batch(self, step): ...
    def loss(self, model, batch): ...
    def evaluate(self, model, split): ...
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("VALUE = 5")
    (tmp_path / "net.py").write_text(SOURCE)
    return tmp_path / "net.py"


def class_in(file: Path) -> Any:
    return loading.load_class(f"{file}:Net")[1]


@pytest.mark.parametrize(
    ("name", "code"),
    [("net.py:Net", True), ("/a/net.py:Net", True), ("C:/net.py:Net", True), ("gpt", False), ("net.py", False)],
)
def test_a_workload_that_names_a_file_and_a_class_is_code(name: str, code: bool) -> None:
    assert loading.is_code(name) is code


def test_a_registered_workload_is_built_with_its_parameters_and_seed() -> None:
    workload = loading.load_workload("linear-regression", {"dim": 3}, seed=4)
    assert isinstance(workload, Workload)
    assert vars(workload)["params"].dim == 3
    assert vars(workload)["seed"] == 4


def test_a_class_in_a_file_is_built_with_its_parameters_and_seed_and_may_import_its_neighbours(file: Path) -> None:
    workload = loading.load_workload(f"{file}:Net", {"width": 7}, seed=4)
    assert vars(workload) == {"seed": 4, "width": 7, "beside": 5}


def test_a_file_is_run_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SOURCE + "\nprint('run')")
    assert class_in(file) is class_in(file)
    assert capsys.readouterr().out == "run\n"


def test_a_file_that_was_changed_is_run_again(file: Path) -> None:
    before = class_in(file)
    file.write_text(SOURCE.replace("width=2", "width=3"))
    assert class_in(file) is not before


def test_a_class_that_raises_when_it_is_built_is_the_users_fault(file: Path) -> None:
    file.write_text(SOURCE.replace("beside.VALUE", "1 / 0"))
    with pytest.raises(UsageError, match=r"net\.py:Net: building it raised ZeroDivisionError"):
        loading.load_workload(f"{file}:Net", {}, seed=0)


def test_a_file_that_failed_is_run_again_once_it_is_mended(file: Path) -> None:
    file.write_text("1 / 0")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        class_in(file)
    file.write_text(SOURCE)
    assert class_in(file).__name__ == "Net"


def test_two_files_of_one_name_are_two_modules(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / file.name
    other.parent.mkdir()
    other.write_text("class Net: ...")
    assert class_in(file) is not class_in(other)


def test_the_line_is_the_innermost_one_in_the_users_file(file: Path) -> None:
    file.write_text("import json\n\ndef f():\n    json.loads('{')\n\nf()\n")
    with pytest.raises(UsageError, match=r"net\.py, line 4: JSONDecodeError: Expecting property name"):
        class_in(file)


def test_a_syntax_error_in_another_file_is_told_with_the_line_that_imports_it(file: Path) -> None:
    (file.parent / "beside.py").write_text("class")
    with pytest.raises(UsageError, match=r"net\.py, line 2: SyntaxError: invalid syntax"):
        class_in(file)
