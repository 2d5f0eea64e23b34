"""The fuzzer of the benchmarks, on a few inputs: `python -m benchmarks.reliability.fuzz` takes as many as one likes."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.reliability import fuzz


@pytest.mark.parametrize("seed", [1, 2])
def test_spoilt_input_is_one_sentence(seed: int) -> None:
    faults, inputs = fuzz.run(150, seed)
    assert faults == []
    assert set(inputs.values()) == {30}


def test_the_same_seed_gives_the_same_inputs(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    first, second = ([kind(Random(3)) for kind in fuzz.KINDS] for _ in range(2))
    assert first == second


def test_a_fault_is_told_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("lrctl.recipe.parse.parse_setting", fail)
    faults, _ = fuzz.run(20, 0)
    assert faults
    assert all("--set" in each and "RecursionError: too deep; this is a fault in lrctl" in each for each in faults)
