"""The paper's protocol for GreedyLR, on the rows that the paper printed and on rows of the test's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.errors import UsageError
from lrctl_strategies.greedy.protocol import DNF, Row, histogram, label, parse, summed_up

PAPER = Path(__file__).parents[1] / "data" / "greedylr_paper_rows.csv"
"""The 66 rows of Tables V to X."""


@pytest.fixture(scope="module")
def paper() -> dict[str, Any]:
    return summed_up(parse(PAPER.read_text(encoding="utf-8"), 0.1), 0.1)


def test_table_ii_agrees_with_the_papers_rows(paper: dict[str, Any]) -> None:
    assert paper["counts"] == {"yes": 48, "yes*": 64, "no": 26, "no*": 58, "sum": 196}
    assert (paper["rows"], paper["did_not_finish"], paper["delta"]["within_margin"]) == (66, 2, 39)


def test_table_iv_agrees_with_the_papers_rows(paper: dict[str, Any]) -> None:
    assert [round(share, 2) for share in paper["as_good_or_better_by_stage"]] == [92.42, 81.82, 85.94]


@pytest.mark.parametrize(
    ("table", "name", "printed"),
    [
        ("overall", "as_good_or_better", 86.73),
        ("overall", "better", 57.14),
        ("overall", "worse", 13.27),
        ("overall", "as_good", 62.24),
        ("overall", "clearly_better", 24.49),
        ("delta", "max_benefit", 2.3),
        ("delta", "max_deficit", -0.62),
    ],
)
def test_what_of_table_iii_agrees_with_the_papers_rows(
    paper: dict[str, Any], table: str, name: str, printed: float
) -> None:
    assert round(paper[table][name], 2) == printed


@pytest.mark.parametrize(
    ("table", "name", "printed", "from_rows"),
    [
        ("final", "as_good_or_better", 91.67, 85.94),
        ("final", "worse", 8.33, 14.06),
        ("final", "better", 91.0, 51.56),
        ("delta", "mean", 0.16, 0.13),
    ],
)
def test_what_the_paper_prints_otherwise_than_its_rows_say(
    paper: dict[str, Any], table: str, name: str, printed: float, from_rows: float
) -> None:
    assert round(paper[table][name], 2) == from_rows != printed


def test_by_the_rows_neither_side_is_ahead_more_often_at_the_end(paper: dict[str, Any]) -> None:
    assert (paper["final"]["ahead"], paper["final"]["behind"]) == (33, 31)
    assert round(paper["final"]["sign_test"], 2) == 0.90


def test_the_labels_of_the_papers_rows_are_those_of_their_final_deltas() -> None:
    rows = parse(PAPER.read_text(encoding="utf-8"), 0.1)
    assert [row.beats[-1] for row in rows] == [label(row.delta, 0.1) for row in rows]


def test_the_histogram_counts_every_run_that_finished(paper: dict[str, Any]) -> None:
    bins = paper["histogram"]
    assert sum(bins["counts"]) == 64
    assert len(bins["edges"]) == len(bins["counts"]) + 1
    assert 0.0 in bins["edges"]


def row(*beats: str, delta: float = 0.2) -> Row:
    return Row(beats, delta, {})


def test_a_run_that_did_not_finish_counts_for_neither_side_but_at_the_stages_it_reached() -> None:
    found = summed_up([row("yes", "no*", DNF, delta=math.nan), row("no", "no", "yes")], 0.1)
    assert found["counts"] == {"yes": 2, "yes*": 0, "no": 2, "no*": 1, "sum": 5}
    assert found["did_not_finish"] == 1
    assert found["final"]["as_good_or_better"] == 100.0
    assert found["delta"]["mean"] == 0.2


def test_where_nothing_finished_there_is_nothing_to_say() -> None:
    found = summed_up([row(DNF, DNF, DNF, delta=math.nan)], 0.1)
    assert found["counts"]["sum"] == 0
    assert found["final"]["better"] is None
    assert found["final"]["sign_test"] is None
    assert found["delta"]["mean"] is None
    assert found["histogram"] == {"edges": [], "counts": []}


@given(st.lists(st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: float(f"{value:.6g}")), min_size=1))
def test_each_delta_is_in_the_bin_between_its_edges(deltas: list[float]) -> None:
    found = histogram(deltas)
    assert sum(found["counts"]) == len(deltas)
    assert len(found["counts"]) <= 20
    assert len(set(found["edges"])) == len(found["edges"])
    width = found["edges"][1] - found["edges"][0]
    assert found["edges"][0] <= min(deltas) + 1e-6 * width
    assert max(deltas) <= found["edges"][-1] + 1e-6 * width


HEADER = "model,beat10,beat50,beat100,delta\n"


def test_labels_are_read_in_any_case_and_the_other_columns_tell_the_rows_apart() -> None:
    (found,) = parse(HEADER + "a, YES*,no ,Yes,0.5\n", 0.1)
    assert found == Row(("yes*", "no", "yes"), 0.5, {"model": "a"})


def test_labels_are_made_from_differences_where_only_these_are_given() -> None:
    (found,) = parse("delta10,delta50,delta100,seed\n0.01,-0.2,,3\n", 0.1)
    assert (found.beats, found.about) == (("yes*", "no", DNF), {"seed": "3"})
    assert math.isnan(found.delta)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the columns must hold beat10, beat50, beat100, delta, or delta10, delta50, delta100; got none"),
        ("a,b\n1,2\n", "got a, b"),
        (HEADER, "there are no rows below the header"),
        (HEADER + "a,maybe,no,no,0.1\n", "line 2: beat10: must be one of yes, yes*, no, no*, DNF, got 'maybe'"),
        (HEADER + "a,yes,no,no,x\n", "line 2: delta: must be a number or empty, got 'x'"),
        (HEADER + "a,yes,no,DNF,0.5\n", "line 2: beat100 is 'DNF', so delta must not be given"),
        (HEADER + "a,yes,no,no,5\n", "line 2: beat100 is 'no', but delta, the other's loss minus GreedyLR's, is 5"),
        (HEADER + "a,yes,no,no,\n", "line 2: beat100 is 'no', so delta must be given"),
        (
            HEADER + "a,yes,no,yes,1e300\na,no,no,no,-1e308\n",
            "line 3: delta: must be at most 1e+300 either way, got -1e308",
        ),
        ("delta10,delta50,delta100\n1,2e300,3\n", "line 2: delta50: must be at most 1e+300 either way, got 2e300"),
        (HEADER + "a,yes\n", "line 2: must have as many cells as the header, 5"),
        (HEADER + "a,yes,no,no,0.1,more\n", "line 2: must have as many cells as the header, 5"),
        ("delta10,delta50,delta100\n1,2\n", "line 2: must have as many cells as the header, 3"),
    ],
    ids=lambda text: text[-30:] if text else "empty",
)
def test_a_file_that_is_no_such_table_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(text, 0.1)
    assert message in str(error.value)


def test_the_largest_differences_are_summed_up() -> None:
    rows = parse("delta10,delta50,delta100\n" + "".join(f"0,0,{sign}1e300\n" for sign in ("", "-", "")), 0.1)
    found = summed_up(rows, 0.1)
    assert found["delta"]["mean"] == pytest.approx(1e300 / 3)
    assert sum(found["histogram"]["counts"]) == 3
