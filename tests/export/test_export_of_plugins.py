"""Exports of schedules that plugins bring: by the run where they see it, as a table where nothing else will do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import searches
from command_line import Lrctl
from export.exports import DOCUMENT
from export.test_formula import imported, lrs_of
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.storage.runs import finished
from lrctl.storage.store import Store

PLUGIN = """
from dataclasses import dataclass, replace

from lrctl import hookimpl

@dataclass(frozen=True)
class Shrinking:
    lr: float

    def init(self):
        return 0

    def __call__(self, step, state):
        return self.lr / (1 + state)

    def update(self, state, seen):
        return state + 1

@dataclass(frozen=True)
class Derived:
    peak: float

    @property
    def half(self):
        return self.peak / 2

    def __call__(self, step):
        return self.half / (1 + step)

@hookimpl
def register_schedules(register):
    register(Shrinking, name="shrinking", help="for the tests")
    register(Derived, name="derived", help="for the tests")
"""


def test_an_adaptive_schedule_is_exported_by_the_run_that_used_it(
    lrctl: Lrctl, tmp_path: Path, installed: Callable[..., None]
) -> None:
    installed(families=PLUGIN)
    document = searches.search(tmp_path / ".lrctl")
    adaptive: dict[str, Any] = {"family": "shrinking", "params": {"lr": 0.5}}
    place = Store(tmp_path / ".lrctl")
    found = place.runs.result(document["run"])
    assert found is not None
    place.runs.finish(replace(found, schedule=ScheduleRecord(**adaptive)))
    done = lrctl("export", document["run"], "--to", "json")
    assert done.document["lr"] == finished(tmp_path / ".lrctl", document["run"]).history()["lr"].tolist()
    (tmp_path / "s.json").write_text(json.dumps(DOCUMENT | {"schedule": adaptive}))
    refused = lrctl("export", "s.json", "--to", "csv")
    assert refused.code == 2
    assert refused.error == (
        "error: s.json: the LRs of family shrinking are decided during a run; "
        "export the run that used it by its name, and the LRs it used are replayed"
    )


@pytest.mark.parametrize("to", ["torch", "transformers", "lightning", "optax"])
def test_a_family_that_cannot_be_carried_is_exported_as_a_table(
    to: str, lrctl: Lrctl, tmp_path: Path, installed: Callable[..., None]
) -> None:
    installed(families=PLUGIN)
    schedule = {"family": "derived", "params": {"peak": 0.3}}
    (tmp_path / "s.json").write_text(json.dumps(DOCUMENT | {"steps": 40, "schedule": schedule}))
    done = lrctl("export", "s.json", "--to", to)
    assert (done.code, done.err) == (0, "")
    why = "# Its formula could not be carried (it uses self.half, which is not a field), so its LRs stand in a table."
    assert why in done.out.splitlines()
    assert lrs_of(imported(done.out)["lr"], 41) == [0.15 / (1 + step) for step in range(41)]
