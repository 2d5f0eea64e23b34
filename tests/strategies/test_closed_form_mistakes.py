"""What cannot be fitted by a closed form, be it a source, a setting or a family of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl, refused
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.registry.schedules import schedule_text

OTHERS = """
from dataclasses import dataclass
from typing import Annotated
from lrctl import hookimpl
from lrctl.contracts.axes import Axis, Lengths

@dataclass(frozen=True)
class Needy:
    steps: int
    peak_lr: float
    must: float
    def __call__(self, step): return self.peak_lr

@dataclass(frozen=True)
class Whole:
    steps: int
    peak_lr: float
    times: Annotated[int, "a whole number without a grid", Axis(1, 5)] = 3
    def __post_init__(self):
        if type(self.times) is not int: raise ValueError("times: must be whole")
    def __call__(self, step): return self.peak_lr / self.times

@dataclass(frozen=True)
class Adaptive:
    steps: int
    peak_lr: float
    def init(self): return None
    def __call__(self, step, state): return self.peak_lr
    def update(self, state, seen): return state

@dataclass(frozen=True)
class InSteps:
    steps: int
    peak_lr: float
    warmup: Annotated[float, "a length", Axis(0, 1, length=True)] = 5.0
    lengths: Lengths = "steps"
    def __call__(self, step):
        length = self.warmup * (self.steps if self.lengths == "fraction" else 1)
        return self.peak_lr * min(1.0, step / length if length else 1.0)

@dataclass(frozen=True)
class Broken:
    steps: int
    peak_lr: float
    def __call__(self, step): raise RuntimeError("broken")

@hookimpl
def register_schedules(register):
    for family in (Needy, Whole, Adaptive, InSteps, Broken):
        register(family, name=family.__name__.lower(), help="a family")
"""


def test_families_of_others_never_break_a_fit(installed: Any, lrctl: Lrctl, only: Any) -> None:
    installed(others=OTHERS)
    only("needy", "whole", "adaptive", "insteps", "broken", "triangle")
    ramp = PiecewiseLinear(((0, 0.0), (10, 0.2), (40, 0.2)))
    Path("ramp.json").write_text(schedule_text(ramp, 40))
    document = lrctl("fit-closed-form", "ramp.json", "--quiet", "--json").document
    fits = {entry["family"]: entry for entry in document["fits"]}
    assert {"whole", "insteps"} <= set(fits)
    assert not {"needy", "adaptive", "broken"} & set(fits)
    assert fits["whole"]["params"]["times"] == 3
    assert fits["insteps"]["error"] == pytest.approx(0, abs=1e-3)
    assert fits["insteps"]["params"] | {"peak_lr": 0.2} == {
        "steps": 40,
        "peak_lr": 0.2,
        "warmup": pytest.approx(0.25, abs=1e-3),
        "lengths": "fraction",
    }
    assert [note for note in document["notes"] if "broken" in note] == [
        "broken could not be fitted: RuntimeError: broken"
    ]
    for family, word in (("needy", "a default"), ("adaptive", "before the run"), ("broken", "RuntimeError")):
        refused(lrctl("fit-closed-form", "ramp.json", "--family", family, "--quiet"), f"--family {family}", word)
    for family in ("needy", "adaptive"):
        refused(lrctl("baseline", "--recipe", "smoke", "--family", family, "--quiet"), f"--family {family}")


BAD = {
    "no such run": (["nothing"], ["unknown run", "semilocal-"]),
    "no such file": (["none.json"], ["none.json", "No such file"]),
    "not a schedule": (["r.json"], ["must be a schedule.json"]),
    "not JSON": (["text.json"], ["must be a schedule.json, but it is not JSON", "line 1"]),
    "no steps": (["steps.json"], ["steps: must be a whole number"]),
    "unknown family in it": (["family.json"], ["unknown schedule 'triangel'", "did you mean 'triangle'"]),
    "bad parameters in it": (["params.json"], ["peak_lr"]),
    "all zero": (["zero.json"], ["0 at every step"]),
    "unknown family": (["RUN", "--family", "cosin"], ["unknown schedule 'cosin'", "did you mean 'cosine'"]),
    "no peak": (["RUN", "--family", "piecewise-linear"], ["cannot be tuned"]),
    "another length": (["RUN", "--steps", "50"], ["40 steps", "50", "--stretch 50"]),
    "top": (["RUN", "--top", "0"], ["top: must be at least 1"]),
    "stretch": (["RUN", "--stretch", "-5"], ["stretch: must be at least 0"]),
    "unknown baseline": (
        ["RUN", "--family", "triangle", "--tune", "--baseline", "wds"],
        ["--baseline: unknown schedule 'wds'"],
    ),
    "one step": (["RUN", "--stretch", "1"], ["source: over 1 steps the schedule is 0 at every step"]),
    "no argument": ([], ["strategy.fit-closed-form.source: missing", "a run's name, or a schedule.json"]),
}


@pytest.mark.parametrize(("arguments", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_sentence(arguments: list[str], words: list[str], lrctl: Lrctl, run: str) -> None:
    head = {"format": "lrctl-schedule/1", "steps": 40}
    triangle = {"family": "triangle", "params": {"steps": 40, "peak_lr": 0.1}}
    files: dict[str, Any] = {
        "r.json": {"a": 1},
        "steps.json": head | {"steps": 0, "schedule": triangle},
        "family.json": head | {"schedule": triangle | {"family": "triangel"}},
        "params.json": head | {"schedule": triangle | {"params": {"steps": 40, "peak_lr": -1}}},
        "zero.json": head | {"schedule": triangle | {"params": {"steps": 40, "peak_lr": 0}}},
    }
    for name, content in files.items():
        Path(name).write_text(json.dumps(content))
    Path("text.json").write_text("{")
    done = lrctl("fit-closed-form", *(run if each == "RUN" else each for each in arguments), "--quiet")
    assert (done.code, done.out) == (2, "")
    assert all(word in done.err for word in words), done.err
