from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl import __version__
from lrctl.cli.deferred import built

HEAVY = "torch numpy datasets tiktoken tokenizers safetensors pandas pyarrow"

PROGRAM = """
import sys
from lrctl.cli import main
for arguments in sys.argv[1:]:
    sys.argv = ["lrctl", *arguments.split()]
    try:
        main()
    except SystemExit as end:
        print(end.code or 0, *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""

LIGHT_COMMANDS = ["--help", "--version", "semilocal --help", "list", "list --json"]


def after(program: str) -> list[list[str]]:
    """The exit code and the modules that are loaded after each of the commands, one after the other in one process."""
    command = [sys.executable, "-c", program, *LIGHT_COMMANDS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stderr.splitlines()]
    assert len(lines) == len(LIGHT_COMMANDS)
    return lines


def test_what_trains_nothing_imports_nothing_heavy() -> None:
    for command, (code, *loaded) in zip(LIGHT_COMMANDS, after(PROGRAM), strict=True):
        assert code == "0", command
        assert {"lrctl", "lrctl_strategies", "typer"} <= set(loaded), command
        assert set(loaded) & set(HEAVY.split()) == set(), command


def test_the_modules_that_count_as_heavy_are_found_where_they_are_loaded() -> None:
    assert all("numpy" in loaded for _, *loaded in after(PROGRAM.replace("main()", "import numpy; sys.exit()")))


def test_the_help_imports_no_strategy_and_builds_no_parameters() -> None:
    program = PROGRAM.replace('name.partition(".")[0]', "name")
    _, *loaded = after(program)[0]
    assert "lrctl_strategies" in loaded
    assert [name for name in loaded if name.startswith(("lrctl_strategies.", "lrctl.contracts", "lrctl.recipe"))] == []
    assert "rich" not in loaded


def test_only_the_command_that_is_called_is_built(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(function: Any, example: str) -> Any:
        made.append(function.__doc__.split(":")[0])
        return built(function, example)

    for module in ("search", "deferred"):
        monkeypatch.setattr(f"lrctl.cli.{module}.built", counted)
    assert (lrctl("--help").code, made) == (0, [])
    assert (lrctl("local", "--help").code, made) == (0, ["Local search"])
    assert (lrctl("compare", "--help").code, made) == (0, ["Local search", "Compare finished runs"])


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("lrctl se", ["semilocal"]),
        ("lrctl re", ["report", "reproduce", "recipes"]),
        ("lrctl runs r", ["remove"]),
        ("lrctl semilocal --eps-", ["--eps-unit"]),
        ("lrctl nope", []),
    ],
)
def test_a_shell_completes_the_names_of_commands_and_flags(
    words: str, completed: list[str], lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_LRCTL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    done = lrctl()
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == completed


def test_the_package_can_be_run_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lrctl"]
    done = subprocess.run([*command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"lrctl {__version__}\n"
    done = subprocess.run([*command, "nope"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "lrctl nope: unknown command" in done.stderr
