"""Whole searches with a program: how they are asked for, what they cost, how far two starts of a job differ."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.contracts.strategy import Candidate, Segment
from lrctl.engine.starts import told_apart
from lrctl.storage.store import Store
from programs import LOOKAHEAD, SEMILOCAL, command, recipe, write
from searches import facts, search, settled

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
    "optimizer": (
        ("--program", "true", "--set", "optimizer.weight_decay=0.1"),
        "optimizer: workload program is a program",
    ),
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


# Two starts of a job


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
