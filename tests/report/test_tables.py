"""What the tables say of stored results."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from comparisons import a_result
from lrctl.contracts.strategy import Candidate, Segment
from lrctl.contracts.table import Table
from lrctl.report.tables import cost_in_words, result_tables, segment_table
from lrctl.storage.run_result import Cost

CANDIDATES = (Candidate(0.1, 2.0, "ok", "a"), Candidate(0.2, math.inf, "diverged", "b"))
SEGMENT = Segment(1, 0, 10, 0.25, 0.0, CANDIDATES, chosen=0.1, margin=math.inf)


def test_a_decision_is_a_row() -> None:
    (row,) = segment_table([SEGMENT]).rows
    assert row == ("1", "0-10", "0", "0.1", "2.0000", "2.0000", "0.25", "")


def test_how_many_candidates_were_stopped_or_skipped_is_said() -> None:
    ends = (Candidate(3.0, math.inf, "stopped", "c"), Candidate(4.0, math.inf, "skipped", ""))
    many = len(CANDIDATES) + len(ends)
    assert segment_table([replace(SEGMENT, candidates=CANDIDATES + ends, margin=0.5)]).notes == (
        f"1 of {many} candidates were stopped early, since they could not be chosen any more.",
        f"1 of {many} candidates were not tried: the search was a lean one.",
    )


@pytest.mark.parametrize(("frozen", "said"), [(None, False), (2.5, True)], ids=str)
def test_that_eps_was_a_share_of_the_progress_is_said(frozen: float | None, said: bool) -> None:
    first = replace(SEGMENT, margin=0.5)
    notes = segment_table([first, replace(first, k=2, frozen_loss=frozen)]).notes
    assert [note.startswith("Eps was a share of each segment's progress") for note in notes] == [True] * said


def test_a_cost_names_all_that_its_full_runs_count() -> None:
    plain = Cost(jobs=3, jobs_reused=1, steps_trained=20, full_runs=2.0, seconds=0.4)
    assert cost_in_words(plain) == "3 jobs (1 reused), 20 steps trained = 2.0 full runs, 0 s"
    assert cost_in_words(replace(plain, speculated_full_runs=0.5)) == (
        "3 jobs (1 reused), 20 steps trained = 2.0 full runs (0.5 of them trained ahead in vain), 0 s"
    )
    assert cost_in_words(replace(plain, extra_forwards=6, scored_batches=9, full_runs=2.5)) == (
        "3 jobs (1 reused), 20 steps trained and 6 more forward passes and 9 batches scored = 2.5 full runs, 0 s"
    )


MADE = Table("Made by its strategy", ("a", "b"), (("1", "2"),), ("A note.",))
SHOWN: dict[str, tuple[tuple[Segment, ...], tuple[Table, ...], list[str]]] = {
    "decisions and a strategy's own": ((SEGMENT,), (MADE,), ["What each segment chose", MADE.caption]),
    "a strategy's own": ((), (MADE,), [MADE.caption]),
    "neither": ((), (), []),
}


@pytest.mark.parametrize(("segments", "tables", "captions"), SHOWN.values(), ids=SHOWN)
def test_a_run_is_shown_by_its_decisions_and_its_strategy_s_tables(
    segments: tuple[Segment, ...], tables: tuple[Table, ...], captions: list[str]
) -> None:
    found = result_tables(a_result(segments=segments, tables=tables))
    assert [table.caption for table in found] == captions
    assert all(table == MADE for table in found if table.caption == MADE.caption)
