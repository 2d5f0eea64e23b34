"""The scripts of the page on scripts of one's own: as people write them, with the lines that the page adds."""

from __future__ import annotations

import json
import os
import random
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from docs.pages import ROOT, blocks
from lrctl import program
from lrctl.errors import ProgramError
from programs import command, recipe
from searches import found, search
from trainers import quiet

PAGE = ROOT / "lrctl" / "guide" / "tutorials" / "own-scripts.md"
SCRIPTS = ROOT / "tests" / "data" / "scripts"
DIFFS = {diff.split()[1].removesuffix(".py"): diff for diff in blocks(PAGE, "diff")}
HF = ("--output_dir", "out", "--max_steps", "12", "--use_cpu", "--report_to", "none", "--seed", "1")
STEPS: dict[str, tuple[int, tuple[str, ...]]] = {
    "char_gpt": (12, ("--seed", "1")),
    "pretrain_gpt": (12, ("--seed", "1")),
    "lstm_lm": (14, ("--seed", "1")),
    "airbench_cnn": (18, ("--seed", "1")),
    "hf_trainer": (12, HF),
    "lit_classifier": (12, ("--seed", "1")),
}
"""The length of each script's run, and its arguments."""


def applied(script: str, diff: str) -> str:
    """A script with the lines that a diff adds to it; all else must be as the diff says."""
    old, new, place = script.splitlines(), list[str](), 0
    for line in diff.splitlines()[2:]:
        if head := re.match(r"@@ -(\d+)", line):
            new += old[place : int(head[1]) - 1]
            place = int(head[1]) - 1
        elif line.startswith("+"):
            new.append(line[1:])
        else:
            assert line == f" {old[place]}"
            new.append(old[place])
            place += 1
    return "\n".join([*new, *old[place:], ""])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with the scripts, a text and pictures."""
    monkeypatch.chdir(tmp_path)
    for name in ("LRCTL_JOB", "LRCTL_SCHEDULE", "LRCTL_STORE", "RANK", "PL_GLOBAL_SEED", "PL_SEED_WORKERS"):
        monkeypatch.setenv(name, "")  # so that what the script sets is taken back
        monkeypatch.delenv(name)
    for name, diff in DIFFS.items():
        (tmp_path / f"{name}.py").write_text(applied((SCRIPTS / f"{name}.py").read_text(), diff))
    (tmp_path / "input.txt").write_text("".join(page.read_text() for page in sorted(PAGE.parent.glob("*.md"))))
    drawn, labels = np.random.default_rng(0), np.arange(320) % 10
    pictures = drawn.integers(0, 17, (10, 8, 8))[labels] + drawn.integers(-4, 5, (320, 8, 8))
    np.savez("digits.npz", images=pictures.clip(0, 16), labels=labels)
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield tmp_path


def run(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a script in this process, which has imported all it wants."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", [*argv[1:]])
        try:
            runpy.run_path(argv[1], run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise ProgramError(f"ended with {end.code}") from end
        finally:
            os.environ.pop("PL_GLOBAL_SEED", None)


@dataclass
class Starts:
    """How often a program was started, and at which start the search is interrupted."""

    count: int = 0
    interrupted: int = 0


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> Starts:
    """Has the jobs of a program done in this process."""
    counted = Starts()

    def launch(argv: Sequence[str], environment: Mapping[str, str], *_: Any) -> bool:
        counted.count += 1
        if counted.count == counted.interrupted:
            raise KeyboardInterrupt
        run(argv, environment)
        return True

    monkeypatch.setattr("lrctl.program.runner.launch", launch)
    return counted


def small(name: str) -> Any:
    """A search of four jobs."""
    steps, arguments = STEPS[name]
    settings: dict[str, Any] = {"segments": 2, "grid_size": 1, "grid": (0.01, 0.003), "eps": 0.5}
    settings = {f"strategy__semilocal__{key}": value for key, value in settings.items()}
    return recipe(command(Path(f"{name}.py"), *arguments), training__steps=steps, training__seed=1, **settings)


def measured(name: str, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What a script measures when it is run as it is."""
    found: list[float] = []

    def recording(owner: Any, method: str) -> None:
        original: Callable[..., Any] = getattr(owner, method)

        def record(*arguments: Any, **others: Any) -> Any:
            given = original(*arguments, **others)
            for metrics in given.values() if method == "evaluate" and owner is program.Job else [given]:
                for each in metrics if isinstance(metrics, list) else [metrics]:
                    found.extend(value for key, value in each.items() if key.endswith("loss"))
            return given

        monkeypatch.setattr(owner, method, record)

    if name == "hf_trainer":
        from transformers import Trainer

        recording(Trainer, "evaluate")
    elif name == "lit_classifier":
        from lightning.pytorch import Trainer as Lightning

        recording(Lightning, "validate")
        recording(Lightning, "test")
    else:
        recording(program.Job, "evaluate")
    (schedule,) = Path("store/runs").glob("*/schedule.json")
    run([sys.executable, f"{name}.py", *STEPS[name][1]], {"LRCTL_SCHEDULE": str(schedule)})
    return found


def test_the_page_shows_every_script() -> None:
    assert sorted(DIFFS) == sorted(STEPS) == sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.mark.parametrize("name", DIFFS)
def test_at_most_ten_lines_are_added_and_none_is_changed(name: str) -> None:
    lines = DIFFS[name].splitlines()[2:]
    assert 0 < sum(line.startswith("+") for line in lines) <= 10
    assert not [line for line in lines if line.startswith("-")]


@pytest.mark.parametrize("name", DIFFS)
def test_a_search_on_a_script_ends_at_the_loss_that_its_schedule_gives(
    name: str, starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "lit_classifier":
        pytest.importorskip("lightning")
    result = search(Path("store"), small(name))
    assert starts.count >= result["cost"]["jobs"]
    losses = measured(name, monkeypatch)
    assert result["validation_loss"] in losses
    assert result["test_loss"] in losses


@pytest.mark.parametrize("name", ["char_gpt", "lstm_lm"])
def test_a_search_that_is_interrupted_goes_on(name: str, starts: Starts) -> None:
    whole = search(Path("whole"), small(name))
    starts.interrupted = starts.count + 5
    with pytest.raises(KeyboardInterrupt):
        search(Path("store"), small(name))
    assert found(search(Path("store"), small(name))) == found(whole)


# With processes that are killed


def started(script: Path) -> dict[str, list[int]]:
    """The processes of a program on this script: those that train, and torchrun."""
    pids: dict[str, list[int]] = {"program": [], "torchrun": []}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if str(script) in words and not {"-I", "--program"} & {*words}:  # neither the guard nor lrctl
            pids["torchrun" if "torch.distributed.run" in words else "program"].append(int(path.parent.name))
    return pids


def with_kills(script: Path, arguments: Sequence[str], victims: Sequence[str], draw: random.Random) -> set[str]:
    """Run the command until it is done, with these killed in any order at random moments; tells who was."""
    left, killed = draw.sample(victims, len(victims)), set()
    while True:
        process = subprocess.Popen([sys.executable, "-m", "lrctl", *arguments, "--store", "store", "--quiet"])
        try:
            while process.poll() is None and left:
                time.sleep(draw.uniform(1, 9))
                pids = started(script) | {"lrctl": [process.pid]}
                if there := pids[left[0]]:
                    killed.add(left.pop(0))
                    with suppress(ProcessLookupError):
                        os.kill(draw.choice(there), signal.SIGKILL)
            if process.wait(900) == 0:
                return killed
        finally:
            process.kill()
            process.wait()


def arguments_of(name: str, *launcher: str) -> tuple[Path, list[str]]:
    script = Path(f"{name}.py").absolute()
    program = shlex.join([sys.executable, *launcher, str(script), *STEPS[name][1]])
    return script, ["--recipe", "smoke", "--steps", str(STEPS[name][0]), "--seed", "1", "--program", program]


def result_in(store: str) -> dict[str, Any]:
    (path,) = Path(store).glob("runs/*/result.json")
    result: dict[str, Any] = json.loads(path.read_text())
    return {key: result[key] for key in ("schedule", "validation_loss", "test_loss", "segments")}


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFS)
def test_a_search_with_processes_that_are_killed_gives_the_same(name: str) -> None:
    script, rest = arguments_of(name)
    flags = ["semilocal", "--segments", "2", "--grid-size", "1", "--grid", "0.01,0.003", "--eps", "0.5", *rest]
    subprocess.run([sys.executable, "-m", "lrctl", *flags, "--store", "whole", "--quiet"], check=True)
    killed = with_kills(script, flags, ("program", "lrctl", "program"), random.Random(name))
    assert result_in("store") == result_in("whole")
    assert killed


@pytest.mark.slow
def test_torchrun_and_its_processes_may_be_killed_at_any_moment() -> None:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    script, rest = arguments_of("pretrain_gpt", *torchrun)
    flags = ["lookahead", "--budget", "4", *rest]
    subprocess.run([sys.executable, "-m", "lrctl", *flags, "--store", "whole", "--quiet"], check=True)
    killed = with_kills(script, flags, 2 * ("program", "torchrun", "lrctl"), random.Random(0))
    assert result_in("store") == result_in("whole")
    assert killed == {"program", "torchrun", "lrctl"}
