"""What is shown while a workload makes its data ready."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lrctl.registry.registry import registry
from lrctl.report import progress


def told(console: Console, reports: list[tuple[str, int, int]]) -> progress.Progress:
    """An observer that was told these, as a workload tells them."""
    observer, manager = progress.Progress(console), registry().manager
    manager.register(observer)
    try:
        for what, done, total in reports:
            manager.hook.preparing(what=what, done=done, total=total)
    finally:
        manager.unregister(observer)
    return observer


@pytest.mark.parametrize(
    ("total", "shown"),
    [(2000, "tokenising a.txt: 1,500 of 2,000"), (0, "tokenising a.txt: 1,500")],
    ids=["with a bar", "where the end is not known"],
)
def test_a_terminal_shows_how_far_the_data_is(total: int, shown: str) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    observer = told(console, [("tokenising a.txt", 1000, total), ("tokenising a.txt", 1500, total)])
    lines = [line.rstrip() for line in "".join(s.text for s in console.render(observer.table())).splitlines()]
    assert lines[0] == shown
    assert [set(line) <= {"━", "╸", " "} for line in lines[1:]] == [True] * bool(total)


@pytest.mark.parametrize(("every", "lines"), [(60.0, 0), (0.0, 2)], ids=["not at once", "now and then"])
def test_off_a_terminal_there_is_a_line_now_and_then(every: float, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY", every)
    file = io.StringIO()
    told(Console(file=file, width=20), [("tokenising a.txt", 1000, 0), ("tokenising [b]", 1500, 2000)])
    assert file.getvalue().splitlines() == ["tokenising a.txt: 1,000", "tokenising [b]: 1,500 of 2,000"][:lines]


def test_nobody_has_to_look_on() -> None:
    assert registry().manager.hook.preparing(what="x", done=0, total=0) == []
