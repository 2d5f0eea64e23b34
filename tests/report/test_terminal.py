"""What a person at a terminal reads."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from comparisons import a_result
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Candidate, Segment, TrainedRun
from lrctl.contracts.table import Table
from lrctl.report import terminal
from lrctl.storage.run_result import Cost

FILES = {"schedule": "a [b]/schedule.json", "checkpoint": "a [b]/a.safetensors", "result": "a [b]/result.json"}
CANDIDATES = (Candidate(0.1, 2.0, "ok", "a"), Candidate(0.2, math.inf, "diverged", "b"))
RAMP = ScheduleRecord("piecewise-linear", {"knots": [[0, 0.0], [10, 0.1]]})
FOUND = a_result(
    schedule=RAMP,
    train_loss=1.5,
    validation_loss=1.25,
    test_loss=1.125,
    segments=(Segment(1, 0, 10, 0.25, 0.0, CANDIDATES, chosen=0.1, margin=math.inf),),
    checkpoint="a",
    cost=Cost(jobs=2, steps_trained=20, full_runs=2.0, seconds=0.5),
)
"""After a search of one segment."""


def trained(seed: int | None) -> TrainedRun:
    """An entry among the results."""
    return TrainedRun("wsd", RAMP, "a", 1.5, 1.25, 1.125, 1.0, seed=seed)


def test_the_plot_of_a_ramp_rises_to_its_top() -> None:
    lines = terminal.plot(PiecewiseLinear(((0, 0.0), (100, 1.0))), 100)
    assert lines[0].startswith("9.92e-01 |")
    assert lines[-2].startswith("0.00e+00 |")
    assert lines[-1].split() == ["0", "100", "steps"]
    filled = [sum(character != " " for character in line[10:]) for line in lines[:-1]]
    assert filled == sorted(filled)
    assert max(len(line) for line in lines) == 70


def test_the_plot_of_a_schedule_that_is_always_0_is_empty() -> None:
    assert {line[10:].strip() for line in terminal.plot(PiecewiseLinear(((0, 0.0),)), 5)[:-1]} == {""}


@pytest.mark.parametrize(("columns", "plotted"), [(1, False), (12, False), (23, False), (24, True), (80, True)])
def test_a_schedule_is_plotted_where_there_is_room(
    columns: int, plotted: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "stdout", lambda: Console(width=columns, soft_wrap=True))
    terminal.print_summary(FOUND, FILES)
    assert (terminal.BLOCKS[-1] in capsys.readouterr().out) is plotted


def test_a_summary_shows_what_the_strategy_shows(capsys: pytest.CaptureFixture[str]) -> None:
    made = Table("Every [eps]", ("eps", "loss"), (("0.5", "1.2500"), ("1", "not finite")), ("Found [b]0.5.",))
    terminal.print_summary(replace(FOUND, tables=(made,)), FILES)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    at = lines.index("Every [eps]")
    assert lines[at : at + 6] == ["Every [eps]", "eps  loss", "0.5  1.2500", "1    not finite", "Found [b]0.5.", ""]


def test_a_summary_can_be_written_where_only_ascii_is(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    terminal.print_summary(FOUND, FILES)
    out.flush()


SEEDS = {
    "the run's": ([], "on linear-regression, seed 3, 10 steps"),
    "of results that have none": ([None], "on linear-regression, seed 3, 10 steps"),
    "of results": ([1, 0, 1], "on linear-regression, seeds 0, 1, 10 steps"),
}


@pytest.mark.parametrize(("seeds", "said"), SEEDS.values(), ids=SEEDS)
def test_a_summary_names_the_seeds_that_were_trained(
    seeds: list[int | None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.print_summary(replace(FOUND, results=tuple(map(trained, seeds))), FILES)
    assert capsys.readouterr().out.splitlines()[0] == f"semilocal {said}"


def test_a_summary_of_a_run_that_found_no_schedule_has_no_files_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_summary(a_result(), {"schedule": None, "checkpoint": None, "result": "result.json"})
    assert capsys.readouterr().out.split("\n") == [
        "semilocal: no schedule, 10 steps",
        "",
        "all of it:  result.json",
        "",
    ]


def test_a_summary_tells_losses_cost_and_files_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_summary(FOUND, FILES)
    out = capsys.readouterr().out
    assert "semilocal on linear-regression, seed 3, 10 steps" in out
    assert "train loss 1.5000 (smoothed), validation loss 1.2500, test loss 1.1250" in out
    assert "cost: 2 jobs (0 reused), 20 steps trained = 2.0 full runs, 0 s" in out
    assert "schedule:   a [b]/schedule.json" in out
    assert "checkpoint: a [b]/a.safetensors" in out
    row = next(line.split() for line in out.splitlines() if "0-10" in line)
    assert row == ["1", "0-10", "0", "0.1", "2.0000", "2.0000", "0.25"]
    assert "No margin for k = 1: no loss of one candidate alone would have changed that choice." in out
    assert "is not known" not in out


def test_a_choice_between_candidates_that_were_not_seen_to_their_end_is_not_called_safe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (segment,) = FOUND.segments
    stopped = Candidate(0.3, math.inf, "stopped", "c")
    terminal.print_summary(replace(FOUND, segments=(replace(segment, candidates=(*CANDIDATES, stopped)),)), FILES)
    out = " ".join(capsys.readouterr().out.split())
    assert "No margin for k = 1: by how much the candidates missed that were stopped or not tried is not known." in out
    assert "alone would have changed" not in out


def test_a_search_without_segments_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_summary(replace(FOUND, segments=()), FILES)
    assert "margin" not in capsys.readouterr().out


def test_a_table_is_printed_whole_where_nobody_looks_and_in_brackets_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    long = "semilocal eps=0.48 decay [wide]"
    terminal.print_tables([Table("First", ("a", "b"), ((long, "1"),), ("how [to] read",)), Table("Second", ("c",), ())])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["First", "", f"a{' ' * len(long)} b", f"{long}  1", "", "how [to] read", "", "Second", "", "c", ""]


def test_notes_are_told_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    noted = replace(FOUND, notes=("the margin is small",))
    for notes in (False, True):
        terminal.print_summary(noted, FILES, notes=notes)
        assert ("note: the margin is small" in capsys.readouterr().out) is notes
