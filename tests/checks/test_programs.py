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
