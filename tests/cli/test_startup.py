from __future__ import annotations

import subprocess
import sys

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
