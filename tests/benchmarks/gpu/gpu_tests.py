"""The tests that need a card, `pytest -m gpu`, four at a time: how many passed. Without a card they are skipped.

PYTHONPATH=tests python -m benchmarks.gpu.gpu_tests [--cpu] [--out DIR]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu.measurement import begin

PYTEST = ("-m", "pytest", "-v", "-m", "gpu", "-p", "xdist", "-p", "no:cacheprovider", "--tb", "short")
ENVIRONMENT = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Other plugins of the machine's pytest may warn, and here a warning is an error."""


def main() -> None:
    measured = begin("tests")
    files = [str(path) for path in Path("tests").rglob("test_*.py") if "pytest.mark.gpu" in path.read_text("utf-8")]
    command = [sys.executable, *PYTEST, "-n", "0" if measured.cpu else "4", *files]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT) as ran:
        assert ran.stdout
        last = ""
        for last in ran.stdout:
            print(last, end="", flush=True)
    counts = re.findall(r"(\d+) (passed|failed|skipped|error)", last)
    measured.say("pytest -m gpu", **{what: int(count) for count, what in counts}, exit_code=ran.returncode)


if __name__ == "__main__":
    main()
