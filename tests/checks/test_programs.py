"""`lrctl check --program`: each way in which a program may be wrong is found, and told by one rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.checks import program as checks
from lrctl.testing import check_program
from programs import command, write

STEP = "weights = [w - lr * c * (w - t) for c, w, t in zip(CURVATURE, weights, targets)]"
NOISE = "losses.append(loss(weights, targets))"
DRAWN = "noise = random.Random(f\"{job['seed']} {step}\")"
ANSWER = '"metrics": metrics}'
RESUMED = "weights = json.load(file)"

WRONG = {
    "no result": (('json.dump({"format": "lrctl-answer/1", "metrics": metrics}, file)', "pass"), "answer"),
    "a loss left out": (("write(job[\"losses\"], losses)", 'write(job["losses"], losses[1:])'), "answer"),
    "an own random number": ((NOISE, f"{NOISE[:-1]} * random.Random().uniform(0.5, 1))"), "same job"),
    "weights that are not restored": ((RESUMED, "json.load(file)"), "checkpoint"),
    "LRs that are not used": ((STEP, STEP.replace("lr *", "0.01 *")), "lr"),
    "LRs that are one step late": (
        ("range(job[\"start\"], job[\"stop\"]), read(job[\"lrs\"])",
         "range(job[\"start\"], job[\"stop\"]), [*read(job[\"lrs\"])[1:], 0.0]"), "lr"),
    "a checkpoint of before": (("json.dump(weights, file)", "json.dump([w + 1 for w in weights], file)"), "checkpoint"),
    "a place counted from the last checkpoint but one": (
        (DRAWN, DRAWN.replace("{step}", "{step + (job['start'] > 3)}")), "checkpoint"),
    "an epoch of no length": ((ANSWER, '"metrics": metrics, "epoch": 0}'), "answer"),
    "one split for both": (('"test": [0.0, 0.01, 0.0]', '"test": [0.01, 0.0, 0.0]'), "splits"),
}  # fmt: skip
"""A change of the program, and the first rule that it breaks."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sound_program_keeps_every_rule(folder: Path, lrctl: Lrctl) -> None:
    done = lrctl("check", "--program", command(write(folder, "valley.py")), "--json")
    assert done.code == 0
    rules = done.document["rules"]
    assert [(rule["rule"], rule["status"]) for rule in rules] == [(rule.name, "holds") for rule in checks.RULES]
    assert "two starts of it differ by nothing: the same bits" in [rule["found"] for rule in rules]


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_found_by_its_rule(fault: str, folder: Path) -> None:
    change, rule = WRONG[fault]
    with pytest.raises(AssertionError, match=rf"valley\.py: {rule}: "):
        check_program(command(write(folder, "valley.py", change)))


EPOCHS = {
    "unknown": ("None", "cut at 2 and 5, its losses differ by nothing: the same bits; nothing tells how long an epoch"),
    "short": ("4.0", "cut at 2 and 5, its losses differ by nothing: the same bits"),
    "longer than the job": ("9.5", "cut at 2 and 11, its losses differ by nothing: the same bits"),
    "too long": ("65", "a cut behind the first epoch, of 65 updates, was not tried: up to 64 are"),
    "all there is": ("99", "cut at 2 and 5, its losses differ by nothing: the same bits"),
}


@pytest.mark.parametrize(("epoch", "told"), EPOCHS.values(), ids=EPOCHS)
def test_a_program_is_cut_behind_its_first_epoch(epoch: str, told: str, folder: Path, lrctl: Lrctl) -> None:
    program = write(folder, "valley.py", (ANSWER, f'"metrics": metrics, "epoch": {epoch}}}'))
    done = lrctl("check", "--program", command(program), "--set", "training.steps=100", "--json")
    found = {rule["rule"]: rule["found"] for rule in done.document["rules"]}["checkpoint"]
    assert told in found
    assert ("; " in found) == (epoch in ("None", "65"))


def test_an_epoch_after_the_first_that_begins_anew_is_found(folder: Path) -> None:
    anew = (DRAWN, DRAWN.replace("{step}", "{step - job['start'] if step >= 9 else step}"))
    check_program(command(write(folder, "valley.py", anew)))  # nothing tells of the epoch
    with pytest.raises(AssertionError, match="checkpoint: cut at 2 and 10, its losses differ by"):
        check_program(command(write(folder, "valley.py", anew, (ANSWER, '"metrics": metrics, "epoch": 9}'))))


@pytest.mark.parametrize(
    ("steps", "lr", "cut"),
    [(1, "could not be told", "could not be told"), (2, "could not be told", "holds"), (3, "holds", "holds")],
)
def test_the_shortest_runs_are_tried_as_far_as_can_be(
    steps: int, lr: str, cut: str, folder: Path, lrctl: Lrctl
) -> None:
    program = command(write(folder, "valley.py"))
    done = lrctl("check", "--program", program, "--set", f"training.steps={steps}", "--json")
    found = {rule["rule"]: rule["status"] for rule in done.document["rules"]}
    assert (done.code, found["lr"], found["checkpoint"]) == (0, lr, cut)


def test_starts_that_differ_a_little_are_measured_and_allowed(folder: Path, lrctl: Lrctl) -> None:
    noisy = (NOISE, f"{NOISE[:-1]} * random.Random().uniform(0.9999, 1.0001))")
    done = lrctl("check", "--program", command(write(folder, "valley.py", noisy)), "--json")
    assert done.code == 0
    found = {rule["rule"]: rule["found"] for rule in done.document["rules"]}
    assert found["same job"].startswith("two starts of it differ by 0.0")
    assert "the same bits" not in found["checkpoint"]


def test_a_seed_without_effect_could_not_be_told(folder: Path, lrctl: Lrctl) -> None:
    done = lrctl("check", "--program", command(write(folder, "valley.py", ("{job['seed']} ", ""))))
    assert done.code == 0
    assert "another seed gives the same losses, so that --seeds would tell nothing" in done.out


def test_a_program_and_a_workload_at_once_are_refused(lrctl: Lrctl) -> None:
    done = lrctl("check", "--program", "python x.py", "--workload", "gpt")
    assert (done.code, "it is a workload itself" in done.error) == (2, True)


def test_nothing_is_left_of_a_check(folder: Path, lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder / "tmp"))
    lrctl("check", "--program", command(write(folder, "valley.py")))
    assert list((folder / "tmp").iterdir()) == []
