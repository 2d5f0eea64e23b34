from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAVY = "torch numpy datasets tiktoken tokenizers safetensors pandas pyarrow"

PROGRAM = """
import sys
from lrctl.cli import main
sys.argv[0] = "lrctl"
try:
    main()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""

LIGHT = "import typer.rich_utils, pluggy, importlib.metadata"


@pytest.mark.parametrize("arguments", ["--help", "list", "list --json", "semilocal --help", "--version"])
def test_what_trains_nothing_imports_nothing_heavy(arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments.split()], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert {"lrctl", "lrctl_strategies", "typer"} <= loaded
    assert loaded & set(HEAVY.split()) == set()


def test_the_modules_that_count_as_heavy_are_found_where_they_are_loaded() -> None:
    program = PROGRAM.replace("main()", "import numpy")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "numpy" in done.stderr.split()


def test_help_takes_at_most_twice_as_long_as_its_libraries() -> None:
    help_program = "import sys; sys.argv = ['lrctl', '--help']; from lrctl.cli import main; main()"
    best = {"libraries": float("inf"), "lrctl --help": float("inf")}
    for _ in range(5):
        for name, program in (("libraries", LIGHT), ("lrctl --help", help_program)):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
            best[name] = min(best[name], time.perf_counter() - began)
    print({name: f"{seconds:.3f} s" for name, seconds in best.items()})
    assert best["lrctl --help"] <= 2 * best["libraries"], best
