"""The measurements of a card: what can be tried without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu.deterministic import Outcome
from benchmarks.gpu.measurement import RECORDS, Measurement
from benchmarks.gpu.models import model_of
from benchmarks.gpu.speed import flops_per_token
from benchmarks.gpu.table import tables

ROOT = Path(__file__).parent.parent
STEPS = ["card", "tests", "bits", "killed", "speed", "packing", "beside", "memory", "schedules"]


def read(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / RECORDS).read_text().splitlines()]


def test_numbers_are_told_and_recorded_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = Measurement("speed", True, tmp_path, time.monotonic() + 100)
    measured.say("a model", ms_a_step=1.23456, same=True, from_to=[1.0, 2.0])
    assert capsys.readouterr().out == "speed | a model: ms a step 1.235, same yes, from to 1 2\n"
    with measured.attempting("another"):
        raise RuntimeError("no such card")
    assert [record["what"] for record in read(tmp_path)] == ["a model", "another"]
    assert "\n".join(tables(read(tmp_path))) == (
        "| speed | ms a step | same | from to | error |\n| --- | --- | --- | --- | --- |\n"
        "| a model | 1.235 | yes | 1 2 |  |\n| another |  |  |  | RuntimeError: no such card |\n"
    )


def test_what_there_is_no_time_for_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = Measurement("bits", True, tmp_path, time.monotonic() - 1)
    assert list(late.in_time({"one": 1, "two": 2})) == []
    assert capsys.readouterr().out == "bits | no time for: one, two\n"


def test_nothing_is_begun_that_the_time_left_would_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 40.0, 40.0, 50.0, 50.0])  # of 85 seconds the first item takes 40, the second 10
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    measured = Measurement("packing", True, tmp_path, 85.0)
    assert [name for name, _ in measured.in_time({"one": 1, "four": 4, "sixteen": 16})] == ["one", "four"]
    assert capsys.readouterr().out == "packing | no time for: sixteen\n"


def test_a_run_that_differs_in_its_weights_alone_has_other_bits() -> None:
    losses = np.array([1.0, 2.0], dtype=np.float32)
    same = Outcome(losses, "a").compared(Outcome(losses, "a"))
    assert same == {"same_bits": True, "a_step_apart": 0.0, "means_apart": 0.0}
    other = Outcome(losses, "a").compared(Outcome(losses, "b"))
    assert other == {"same_bits": False, "a_step_apart": 0.0, "means_apart": 0.0}
    apart = Outcome(losses, "a").compared(Outcome(losses + np.float32(0.5), "b"))
    assert apart == {"same_bits": False, "a_step_apart": 0.5, "means_apart": 0.5}


def test_a_model_s_operations_are_those_of_its_matrices_and_of_attention() -> None:
    workload, _ = model_of("124M", {}, cpu=True)
    width, context, vocabulary = 16, 16, workload.vocabulary
    assert flops_per_token(workload) == 6 * (12 * width**2 + vocabulary * width) + 12 * width * context


@pytest.mark.slow
def test_the_short_form_for_a_cpu_measures_everything(tmp_path: Path) -> None:
    script = ROOT / "tests" / "benchmarks" / "gpu" / "run.sh"
    own = {"OUT": str(tmp_path), "PYTHON": sys.executable, "PATIENCE": "20"}
    done = subprocess.run([script, "--cpu", "--no-install"], env={**os.environ, **own}, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    records = read(tmp_path)
    assert list(dict.fromkeys(record["step"] for record in records)) == STEPS
    assert [record for record in records if "error" in record] == []
    assert all(record.get("same_bits", True) and record.get("same_choices", True) for record in records)
    assert (tmp_path / "gpu.md").read_text() in done.stdout
