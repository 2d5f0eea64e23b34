"""`lrctl reproduce --dry-run`: what the cells of a paper would take, and their sum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrctl.cli import planned
from lrctl.papers.experiments import Cell, Experiment, Smaller

CELLS = (Cell("a", command="local"), Cell("b", command="semilocal"), Cell("c", command="local", given="x#a"))
WANTED = [Experiment("ours", "t", CELLS, recipe="smoke", tiny=Smaller("smoke"))]


def test_the_cells_are_added_up_and_a_step_is_timed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lrctl.planning import estimate as planning

    measured: list[bool] = []
    estimate = planning.estimate

    def watched(*args: Any, measure: bool, **more: Any) -> Any:
        measured.append(measure)
        return estimate(*args, measure=measure, **more)

    monkeypatch.setattr(planning, "estimate", watched)
    found = planned.plan(WANTED, "tiny", {"executor.name": "serial"}, tmp_path)
    assert measured == [True, False]
    assert found[2] == {"recipe": "smoke", "cell": "c", "command": "local", "after": "x#a"}
    assert all(each["seconds"] > 0 for each in found[:2])
    planned.print_plan(WANTED, "tiny", {"executor.name": "serial"}, tmp_path, as_json=False)
    total = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("all 3 cells"))
    assert str(found[0]["jobs"] + found[1]["jobs"]) in total.split()


def test_at_scale_paper_nothing_is_timed(tmp_path: Path) -> None:
    found = planned.plan(WANTED, "paper", {"executor.name": "serial"}, tmp_path)
    assert [each["seconds"] for each in found[:2]] == [None, None]
