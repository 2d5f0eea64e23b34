"""Programs that fail, diverge, ignore the LR or are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.engine.worker import work
from lrctl.errors import JobFailedError, ProgramError, ProgramMistakeError, UsageError
from lrctl.program import guard
from lrctl.program.launching import launch
from lrctl.storage.store import Store
from lrctl.testing import Constant
from programs import LOOKAHEAD, SEMILOCAL, command, recipe, spec_of, write
from searches import search, settled

FAULTS: dict[str, tuple[tuple[str, str], str]] = {
    "raises": (("import random", "import nothing"), "exit code 1, its last words being .ModuleNotFound"),
    "exits": (("if job", "os._exit(7)\nif job"), "ended with exit code 7;"),
    "killed": (("if job", "os.kill(os.getpid(), 9)\nif job"), r"was killed by SIGKILL \(out of memory\?\);"),
    "hangs": (
        ("import json", "import json, time; time.sleep(600)"),
        "not ended after 0.5 seconds, which is workload.ti",
    ),
    "skips a step": (("losses)\nif", "losses[1:])\nif"), "wrote 4 losses for 5 steps, from 0 to before 5"),
    "no losses": (('write(job["losses"], losses)', ""), "it wrote no losses"),
    "garbage": (('write(job["losses"], losses)', 'open(job["losses"], "w").write("x")'), "losses are no .npy file"),
    "text": (("\\x93NUMPY\\x01", "\\x93NUMPY\\x09"), "losses are no .npy file"),
    "no checkpoint": (("        json.dump(weights, file)", "        os.remove(file.name)"), "it saved no checkpoint"),
    "a link": (
        ("        json.dump(weights, file)", "        os.remove(file.name)\n    os.symlink('/', job['save'])"),
        "link",
    ),
    "no result": (("    json.dump({", "    os.remove(file.name)\n    ({"), "it wrote no result"),
    "bad result": (("    json.dump({", "    file.write('{')\n    ({"), "its result is no JSON"),
    "other format": (
        ("lrctl-answer/1", "lrctl-answer/9"),
        'its result must be a JSON object of format "lrctl-answer/1"',
    ),
    "a split is left out": (('for split in job["evaluate"]}', "for split in ()}"), "no loss of the validation data"),
    "text for a metric": (
        ('{"loss": loss(', '{"loss": "x" or ('),
        "metric loss of the validation data must be a number",
    ),
}


@pytest.mark.parametrize(("change", "told"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_a_failed_job_with_a_sentence_and_a_log(
    change: tuple[str, str], told: str, store: Store, folder: Path
) -> None:
    path = folder / "valley.py"
    code = write(folder, "valley.py").read_text()
    assert change[0] in code
    path.write_text(code.replace(*change))
    hangs = {"workload__timeout": 0.5} if "600" in change[1] else {}
    spec = spec_of(command(path), **hangs)
    job = SegmentJob(0, 5, Constant(0.5), evaluate=("validation",))
    with pytest.raises(ProgramError, match=told) as error:
        work(store, spec, job)
    assert str(error.value).startswith("the program failed: it")
    assert str(error.value).endswith(f"what it printed is in {store.log(job.key(spec))}")
    assert (store.path / "logs" / f"{job.key(spec)}.log").exists()
    assert [path.name for path in (store.path / "checkpoints").iterdir()] == []


def test_a_program_that_fails_is_tried_three_times(store: Store, folder: Path) -> None:
    count = ("import json", "import json; open('starts', 'a').write('x'); 1 / 0")
    with pytest.raises(JobFailedError, match="failed 3 times, last with ProgramError: the program failed: it ended"):
        search(store.path, recipe(command(write(folder, "valley.py", count)), **SEMILOCAL))
    assert Path("starts").read_text() == "x" * (3 + 3 + 1)  # of the first three jobs the first fails for good


CERTAIN = {
    "nothing of lrctl in it": ("pass", "it wrote no losses, though it ended well; add the lines of `lrctl guide own-s"),
    "exit code 2": ("raise SystemExit(2)", "it ended with exit code 2;"),
    "a rule of lrctl.program": (
        "from lrctl import program; program.job(steps=9).lr(-1)",
        "step -1 is not one of this job",
    ),
}


@pytest.mark.parametrize(("code", "told"), CERTAIN.values(), ids=CERTAIN)
def test_a_program_that_would_fail_so_again_is_tried_once(code: str, told: str, store: Store, folder: Path) -> None:
    path = folder / "mine.py"
    path.write_text(f"open('starts', 'a').write('x'); {code}\n")
    with pytest.raises(ProgramMistakeError, match=f"^the program failed: .*{told}"):
        search(store.path, recipe(command(path), **SEMILOCAL))
    assert Path("starts").read_text() == "x"


def test_a_loss_that_is_not_finite_before_any_update_is_nobodys_lr(store: Store, folder: Path) -> None:
    path = write(folder, "valley.py", ("[3.0, 3.0, 3.0]", "[float('nan')] * 3"))
    with pytest.raises(UsageError, match="the program's loss is nan at step 0, before any update"):
        search(store.path, recipe(command(path), **SEMILOCAL))


def test_a_program_that_diverges_is_a_diverged_candidate(store: Store, folder: Path) -> None:
    grown = ("losses.append(", "losses.append(float('nan') if lr > 0.5 and step > job['start'] else ")
    result = search(store.path, recipe(command(write(folder, "valley.py", grown)), **SEMILOCAL))
    first = result["segments"][0]["candidates"]
    assert {candidate["lr"]: candidate["status"] for candidate in first} == {1.0: "diverged", 0.3: "ok", 0.1: "ok"}


@pytest.mark.parametrize("strategy", ["lookahead", "semilocal"])
def test_a_program_that_ignores_the_lr_is_noticed(strategy: str, store: Store, folder: Path) -> None:
    path = write(folder, "valley.py", ("w - lr * c", "w - 0.1 * c"))
    with pytest.raises(UsageError, match="have the same mean loss to the bit: the LR is not used"):
        search(store.path, recipe(command(path), **LOOKAHEAD | SEMILOCAL), strategy)


# Killed


def test_a_program_that_is_killed_midway_changes_nothing(folder: Path) -> None:
    kill = "open('starts', 'a').write('x')\nif os.path.getsize('starts') % 3 == 0:\n    os.kill(os.getpid(), 9)\n"
    write(folder, "valley.py", ("weights, losses =", f"{kill}weights, losses ="))
    killed = search(folder / "killed", recipe(command(folder / "valley.py"), **SEMILOCAL))
    starts = len(Path("starts").read_text())
    write(folder, "valley.py")
    whole = search(folder / "whole", recipe(command(folder / "valley.py"), **SEMILOCAL))
    assert starts > killed["cost"]["jobs"] + 3
    assert killed["schedule"] == whole["schedule"]
    assert killed["test_loss"] == whole["test_loss"]


def wait_for(happened: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 90
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda each: each.name)
def test_lrctl_that_is_killed_takes_the_program_with_it_and_goes_on(number: signal.Signals, folder: Path) -> None:
    pause = (
        "if job['start'] and os.path.exists('pause'):\n"
        "    open('pid', 'w').write(str(os.getpid()))\n"
        "    os.rename('pid', 'paused')\n"
        "    __import__('time').sleep(600)\n"
    )
    write(folder, "valley.py", ("weights, losses =", f"{pause}weights, losses ="))
    (folder / "pause").touch()
    flags = ["--steps", "24", "--grid", "1.0,0.3,0.1", "--segments", "3", "--grid-size", "2", "--eps", "0.05"]
    arguments = [
        "semilocal",
        "--recipe",
        "smoke",
        "--program",
        command(folder / "valley.py"),
        *flags,
        "--store",
        "store",
    ]
    lrctl = subprocess.Popen([sys.executable, "-m", "lrctl", *arguments, "--quiet"], stdout=subprocess.DEVNULL)
    try:
        wait_for((folder / "paused").exists)
        pid = int((folder / "paused").read_text())
        assert alive(pid)
        lrctl.send_signal(number)
        assert lrctl.wait(60) == {signal.SIGKILL: -9, signal.SIGTERM: 143}[number]
        wait_for(lambda: not alive(pid))
    finally:
        lrctl.kill()
        lrctl.wait()
    (folder / "pause").unlink()
    chosen = {**SEMILOCAL, "strategy__semilocal__eps_unit": "nats"}
    whole = search(folder / "whole", recipe(command(folder / "valley.py"), **chosen))
    assert settled(search(folder / "store", recipe(command(folder / "valley.py"), **chosen))) == settled(whole)


def test_what_a_program_leaves_behind_is_ended() -> None:
    left = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    guarded = [sys.executable, "-I", "-S", guard.__file__, sys.executable, "-c", left]
    with subprocess.Popen(guarded, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.read())  # it ends with the last process that holds it
        assert process.wait() == 0
    assert not alive(pid)


@pytest.mark.parametrize("place", [0, 1], ids=["first", "second"])
def test_a_guard_that_is_killed_takes_the_program_and_what_it_started_with_it(place: int, folder: Path) -> None:
    started = "import os, subprocess; other = subprocess.Popen(['sleep', '600'], start_new_session=True)"
    script = f"{started}; print(os.getppid(), other.pid, os.getpid()); other.wait()"
    log, began = folder / "log", os.getpid()
    with ThreadPoolExecutor() as pool:
        done = pool.submit(launch, [sys.executable, "-c", script], {}, folder, log, 0)
        wait_for(lambda: log.exists() and log.read_text().endswith("\n"))
        second, *below = map(int, log.read_text().split())
        first = parent(second)
        assert parent(first) == began
        os.kill((first, second)[place], signal.SIGKILL)
        with pytest.raises(ProgramError, match="it was killed by SIGKILL"):
            done.result()
    wait_for(lambda: not any(map(alive, below)))


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
