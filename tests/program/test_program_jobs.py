"""Jobs that a program does: what it is told, what it answers, and all that can go wrong with it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lrctl
from command_line import Lrctl
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.strategy import Candidate, Segment
from lrctl.engine.prepare import prepare
from lrctl.engine.starts import told_apart
from lrctl.engine.worker import work
from lrctl.errors import JobFailedError, ProgramError, ProgramMistakeError, UsageError
from lrctl.program import guard
from lrctl.program.launching import launch
from lrctl.registry.registry import registry
from lrctl.storage.store import Store
from lrctl.testing import Constant
from programs import command, recipe, write
from searches import facts, forget, search, session_of, settled

LOOKAHEAD: dict[str, Any] = {"training__steps": 40, "strategy__lookahead__budget": 4.0}
SEMILOCAL: dict[str, Any] = {
    "training__steps": 24,
    "strategy__semilocal__segments": 3,
    "strategy__semilocal__grid_size": 2,
    "strategy__semilocal__grid": (1.0, 0.3, 0.1),
    "strategy__semilocal__eps": 0.05,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Store:
    return Store(folder / "store")


def spec_of(program: str, **overrides: Any) -> TrainSpec:
    return prepare(recipe(program, training__steps=20, **overrides))


def probe(folder: Path) -> TrainSpec:
    """A program that keeps what it was told."""
    told = ('with open(job["result"]', 'open("told.json", "w").write(json.dumps(job))\nwith open(job["result"]')
    return spec_of(command(write(folder, "valley.py", told)))


# What it is told


def test_a_job_is_told_in_a_file_and_its_answer_becomes_a_record(store: Store, folder: Path) -> None:
    spec = probe(folder)
    first = work(store, spec, SegmentJob(0, 5, Constant(0.5)))
    told = json.loads(Path("told.json").read_text())
    assert (told["format"], told["start"], told["stop"], told["steps"], told["seed"]) == ("lrctl-job/1", 0, 5, 20, 0)
    assert (told["resume"], told["evaluate"], told["score_batches"]) == (None, [], 0)
    assert not Path(told["lrs"]).parent.exists()
    job = SegmentJob(5, 8, Constant(0.25), first.key, evaluate=("validation", "test"), checkpoint=False)
    second = work(store, spec, job)
    told = json.loads(Path("told.json").read_text())
    assert (told["start"], told["stop"], told["save"], told["evaluate"]) == (5, 8, None, ["validation", "test"])
    assert told["resume"]
    assert store.losses(second.key)["lr"].tolist() == [0.25] * 3
    assert second.metrics["validation"] != second.metrics["test"]
    assert "checkpoint" not in second.digests


def test_a_run_that_is_cut_gives_what_a_whole_one_does(store: Store, folder: Path) -> None:
    spec = spec_of(command(write(folder, "valley.py")))
    whole = work(store, spec, SegmentJob(0, 8, Constant(0.5)))
    first = work(store, spec, SegmentJob(0, 5, Constant(0.5)))
    second = work(store, spec, SegmentJob(5, 8, Constant(0.5), first.key))
    assert np.array_equal(store.history(second.key), store.losses(whole.key))
    lrctl.unpack_checkpoint(store.checkpoint(whole.key), "whole")
    lrctl.unpack_checkpoint(store.checkpoint(second.key), "second")
    assert Path("whole").read_bytes() == Path("second").read_bytes()
    with pytest.raises(UsageError, match="second: cannot be written: File exists"):
        lrctl.unpack_checkpoint(store.checkpoint(second.key), "second")
    with pytest.raises(UsageError, match="unpack_checkpoint"):
        lrctl.load_weights(store.checkpoint(second.key))


def test_a_checkpoint_may_be_a_folder(store: Store, folder: Path) -> None:
    inside = '    with open(job["save"], "w") as file:'
    saved = f'    os.makedirs(job["save"] + "/rank/0")\n    open(job["save"] + "/empty", "w").close()\n{inside}'
    changes = (inside, saved.replace('open(job["save"], "w")', 'open(job["save"] + "/rank/w.json", "w")'))
    loaded = ('open(job["resume"])', 'open(job["resume"] + "/rank/w.json")')
    spec = spec_of(command(write(folder, "valley.py", changes, loaded)))
    first = work(store, spec, SegmentJob(0, 5, Constant(0.5)))
    work(store, spec, SegmentJob(5, 8, Constant(0.5), first.key))
    lrctl.unpack_checkpoint(store.checkpoint(first.key), "back")
    back = sorted(path.relative_to("back").as_posix() for path in Path("back").rglob("*"))
    assert back == ["empty", "rank", "rank/0", "rank/w.json"]


@pytest.mark.parametrize(
    ("job", "told"),
    [
        (SegmentJob(0, 5, Constant(0.5), gradient_norms=True), "the norms of its gradients are asked for"),
        (SegmentJob(0, 5, registry().get("schedule", "greedy").target(0.1)), "decided by what it sees of the run"),
    ],
    ids=["gradient norms", "adaptive"],
)
def test_what_a_program_cannot_be_told_is_refused(job: SegmentJob, told: str, store: Store, folder: Path) -> None:
    with pytest.raises(UsageError, match=told):
        work(store, spec_of(command(write(folder, "valley.py"))), job)


# What goes wrong

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


def test_a_metric_may_be_null_where_it_is_not_finite(store: Store, folder: Path) -> None:
    path = write(folder, "valley.py", ('{"loss": loss(w', '{"other": float("nan"), "loss": None and loss(w'))
    record = work(store, spec_of(command(path)), SegmentJob(0, 5, Constant(0.5), evaluate=("test",)))
    assert record.metrics == {"test": {"loss": np.inf, "other": np.inf}}


@pytest.mark.parametrize("strategy", ["lookahead", "semilocal"])
def test_a_program_that_ignores_the_lr_is_noticed(strategy: str, store: Store, folder: Path) -> None:
    path = write(folder, "valley.py", ("w - lr * c", "w - 0.1 * c"))
    with pytest.raises(UsageError, match="have the same mean loss to the bit: the LR is not used"):
        search(store.path, recipe(command(path), **LOOKAHEAD | SEMILOCAL), strategy)


def test_what_is_changed_while_the_search_runs_is_an_error(store: Store, folder: Path) -> None:
    path = write(folder, "valley.py")
    spec = spec_of(command(path))
    work(store, spec, SegmentJob(0, 5, Constant(0.5)))
    path.write_text(path.read_text() + "\n")
    with pytest.raises(UsageError, match="its data or code changed while the search runs"):
        work(store, spec, SegmentJob(0, 5, Constant(0.25)))


def test_a_job_that_is_made_again_is_compared_loosely(store: Store, folder: Path) -> None:
    drift = ("losses.append(", "losses.append((1 + 1e-4 * random.random()) * ")
    spec, job = spec_of(command(write(folder, "valley.py", drift))), SegmentJob(0, 5, Constant(0.5))
    first = work(store, spec, job)
    losses = store.losses(first.key)
    store.checkpoint(first.key).unlink()
    again = work(store, spec, job)
    assert again.mean_loss == first.mean_loss
    assert store.losses(first.key).tolist() == losses.tolist()
    assert store.has_checkpoint(first.key)
    assert not spec.exact


@pytest.mark.parametrize(
    ("size", "told"), [(0.0, "gave the same mean loss to the bit"), (1e-6, "no choice is closer than 2 times that")]
)
def test_a_search_tells_by_how_much_two_starts_of_a_job_differ(
    size: float, told: str, store: Store, folder: Path
) -> None:
    path = write(folder, "valley.py", ("losses.append(", f"losses.append((1 + {size} * random.random()) * "))
    result = search(store.path, recipe(command(path), **SEMILOCAL))
    assert told in " ".join(result["notes"])
    assert result["cost"]["reference_full_runs"] >= 8 / 24
    assert settled(search(store.path, recipe(command(path), **SEMILOCAL))) == settled(result)


def test_choices_that_are_closer_than_two_starts_are_marked() -> None:
    candidates = (Candidate(0.1, 2.0, "ok", "key"),)
    trace = [
        Segment(k, 8 * k - 8, 8 * k, 0.1, 0.1, candidates, 0.1, margin)
        for k, margin in enumerate((0.5, 0.019, math.inf, 0.021), 1)
    ]
    marked, note = told_apart(trace, 2.01)
    assert [bool(segment.notes) for segment in marked] == [False, True, False, False]
    assert marked[1].notes[0].startswith("segment 2: a near-tie")
    assert "differ by 0.01 in their mean loss" in note
    assert told_apart(trace, 2.0)[0] == tuple(trace)


def test_another_start_that_diverges_is_told_and_marks_no_choice(store: Store, folder: Path) -> None:
    """The job that is done once more is the only one of which no checkpoint is wanted."""
    broken = ("losses.append(", "losses.append(float('nan') if step and not job['save'] else ")
    path = write(folder, "valley.py", broken)
    result = search(store.path, recipe(command(path), **SEMILOCAL))
    assert "diverged when it was started once more" in " ".join(result["notes"])
    assert "differ by" not in " ".join(result["notes"])
    assert "near-tie" not in str(result["segments"])


# Whole searches


def test_lookahead_goes_by_validation_loss_and_stays_within_its_budget(store: Store, folder: Path) -> None:
    result = search(store.path, recipe(command(write(folder, "valley.py")), **LOOKAHEAD), "lookahead")
    assert "scored by validation loss" in " ".join(result["notes"])
    assert "need not give the same bits twice" in " ".join(result["notes"])
    assert 2 < result["cost"]["full_runs"] <= 4.05
    assert result["test_loss"] < 0.1
    assert list(facts(store.path, "checkpoints")) == [f"{result['checkpoint']}.safetensors"]
    assert settled(search(store.path, recipe(command(folder / "valley.py"), **LOOKAHEAD), "lookahead")) == settled(
        result
    )


def test_workers_give_what_one_process_gives(folder: Path) -> None:
    program = command(write(folder, "valley.py"))
    one = search(folder / "one", recipe(program, **SEMILOCAL))
    two = search(folder / "two", recipe(program, executor__name="processes", executor__workers=2, **SEMILOCAL))
    assert settled(one) == settled(two)


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


def test_a_lost_checkpoint_is_made_again_from_the_program(folder: Path) -> None:
    made = recipe(command(write(folder, "valley.py")), **SEMILOCAL)
    with session_of(folder / "store", made) as session:
        first = SegmentJob(0, 5, Constant(0.5))
        (key,) = session.runner.meet([first])
        session.runner.train([key])
        forget(session.runner.store, key)
        session.runner.restore({key})
        assert session.runner.store.has_checkpoint(key)


# Identity


@pytest.mark.parametrize("how", ["script", "config", "depends", "command", "steps"])
def test_what_decides_what_a_program_trains_is_part_of_its_keys(how: str, folder: Path) -> None:
    path = write(folder, "valley.py")
    (folder / "small.yaml").write_text("a: 1")
    (folder / "package").mkdir()
    (folder / "package" / "model.py").write_text("1")
    words = ["--config=small.yaml"]
    more: dict[str, Any] = {"workload__depends": ("package",)}
    job, before = SegmentJob(0, 5, Constant(0.5)), prepare(recipe(command(path, *words), **more))
    if how == "steps":
        more["training__steps"] = 30
    elif how == "command":
        words.append("--wide")
    else:
        changed = {"script": path, "config": folder / "small.yaml", "depends": folder / "package" / "model.py"}[how]
        changed.write_text(changed.read_text() + "#")
    after = prepare(recipe(command(path, *words), **more))
    assert job.key(before) != job.key(after)


def test_the_timeout_and_what_python_keeps_beside_are_no_part_of_a_key(folder: Path) -> None:
    path = write(folder, "valley.py")
    (folder / "package" / "__pycache__").mkdir(parents=True)
    before = prepare(recipe(command(path), workload__depends=("package",)))
    (folder / "package" / "__pycache__" / "x.pyc").touch()
    (folder / "package" / ".hidden").touch()
    after = prepare(recipe(command(path), workload__depends=("package",), workload__timeout=60.0))
    assert before.identity == after.identity
    assert after.workload_unkeyed == {"timeout": 60.0, "gpus": 0}


# Asked for


REFUSED = {
    "no command": (("--workload", "program"), "workload.command: missing"),
    "unknown": (("--program", "no-such-command train.py"), "there is no command 'no-such-command'"),
    "quote": (("--program", "python 'train.py"), "command: no closing quotation"),
    "both": (("--program", "python x.py", "--workload", "gpt"), "leave --workload out"),
    "depends": (("--program", "true", "--set", "workload.depends=['no.py']"), "there is no file or folder no.py"),
    "dtype": (
        ("--program", "true", "--set", "training.dtype=bfloat16"),
        "training.dtype: workload program is a program",
    ),
    "device": (("--program", "true", "--device", "cpu"), "training.device: workload program is a program"),
    "optimizer": (("--program", "true", "--set", "optimizer.lr=1"), "optimizer"),
    "timeout": (("--program", "true", "--set", "workload.timeout=-1"), "timeout: must be finite and at least 0"),
}


@pytest.mark.parametrize(("arguments", "told"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_for_a_program_is_refused(arguments: tuple[str, ...], told: str, lrctl: Lrctl) -> None:
    done = lrctl("semilocal", "--recipe", "smoke", *arguments)
    assert (done.code, told in done.error) == (2, True), done.err


def test_a_recipe_that_names_a_program_needs_leave(lrctl: Lrctl, tmp_path: Path) -> None:
    path = write(tmp_path, "valley.py")
    text = f"extends = 'smoke'\n[workload]\nname = 'program'\ncommand = {json.dumps(command(path))}\n"
    (tmp_path / "r.toml").write_text(text)
    for more in ((), ("--workload", "program")):
        done = lrctl("baseline", "--recipe", "r.toml", *more)
        assert done.code == 2
        assert "is a program, and a recipe starts none; if you trust it, name it yourself with --program" in done.error
    flags = ("--family", "linear", "--grid", "0.3", "--quiet")
    assert lrctl("baseline", "--recipe", "r.toml", "--allow-code", *flags).code == 0
    (run,) = os.listdir(".lrctl/runs")
    assert lrctl("fit-closed-form", run, "--stretch", "60").code == 2


def test_a_dry_run_tells_how_often_the_program_is_started_and_what_a_start_takes(lrctl: Lrctl, tmp_path: Path) -> None:
    count = ("import json", "import json; open('starts', 'a').write('x')")
    program = command(write(tmp_path, "valley.py", count))
    arguments = ("semilocal", "--recipe", "smoke", "--program", program)
    told = lrctl(*arguments, "--dry-run", "--json").document
    starts = told["jobs"] + 3  # the plain run beside it, a job once more, and the end of the run that is handed over
    assert f"the program is started {starts} times" in " ".join(told["notes"])
    assert Path("starts").read_text() == "xx"
    assert told["seconds"] > told["jobs"] * 0.01  # a process takes longer than that
    assert 0 < told["checkpoint_bytes"] < 100
    assert told["memory_bytes"] > 1e6
    assert lrctl(*arguments, "--dry-run").code == 0
    write(tmp_path, "valley.py", ("import json", "import nothing"))
    done = lrctl(*arguments, "--dry-run")
    assert (done.code, "ModuleNotFoundError" in done.error) == (1, True)
