"""What the tables say of stored results."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from lrctl.contracts.table import Table
from lrctl.report.tables import of_document, segments

CANDIDATES = [
    {"lr": 0.1, "mean_loss": 2.0, "status": "ok", "key": "a"},
    {"lr": 0.2, "mean_loss": None, "status": "diverged", "key": "b"},
]


def segment(**more: Any) -> dict[str, Any]:
    """A decision as a result document has it."""
    decided = {"k": 1, "start": 0, "stop": 10, "eps": 0.25, "lr_start": 0.0, "candidates": CANDIDATES}
    return {**decided, "chosen": 0.1, "margin": None, "notes": [], **more}


def test_a_decision_is_a_row() -> None:
    (row,) = segments({"segments": [segment()]}).rows
    assert row == ("1", "0-10", "0", "0.1", "2.0000", "2.0000", "0.25", "inf")


def test_how_many_candidates_were_stopped_or_skipped_is_said() -> None:
    ends = [{"lr": lr, "mean_loss": None, "status": status} for lr, status in ((3.0, "stopped"), (4.0, "skipped"))]
    ended = segment()
    ended = {**ended, "candidates": [*ended["candidates"], *ends]}
    many = len(ended["candidates"])
    assert segments({"segments": [ended]}).notes == (
        f"1 of {many} candidates were stopped early, since they could not be chosen any more.",
        f"1 of {many} candidates were not tried: the search was a lean one.",
    )


@pytest.mark.parametrize(
    ("frozen", "said"), [({}, False), ({"frozen_loss": None}, False), ({"frozen_loss": 2.5}, True)], ids=str
)
def test_that_eps_was_a_share_of_the_progress_is_said(frozen: dict[str, Any], said: bool) -> None:
    notes = segments({"segments": [segment(), segment(k=2, **frozen)]}).notes
    assert [note.startswith("Eps was a share of each segment's progress") for note in notes] == [True] * said


MADE = Table("Made by its strategy", ("a", "b"), (("1", "2"),), ("A note.",))
SHOWN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "decisions and a strategy's own": (
        {"segments": [segment()], "tables": [asdict(MADE)]},
        ["What each segment chose", MADE.caption],
    ),
    "a strategy's own": ({"segments": [], "tables": [asdict(MADE)]}, [MADE.caption]),
    "neither": ({"segments": []}, []),
    "a run from before there were any": ({"segments": [], "results": [{"name": "wsd"}], "fits": [{}]}, []),
}


@pytest.mark.parametrize(("document", "captions"), SHOWN.values(), ids=SHOWN)
def test_a_run_is_shown_by_its_decisions_and_its_strategy_s_tables(
    document: dict[str, Any], captions: list[str]
) -> None:
    found = of_document(document)
    assert [table.caption for table in found] == captions
    assert all(table == MADE for table in found if table.caption == MADE.caption)
