"""What a terminal of 60, 80 and 120 columns shows: no number and no name is ever split."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console

import comparisons
from comparisons import ALL
from lrctl import cli
from lrctl.contracts.table import Table
from lrctl.report.console import drawn, show
from lrctl.report.terminal import plot

WIDTHS = (60, 80, 120)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return comparisons.fill(tmp_path_factory.mktemp("runs") / "store")


def on_terminal(width: int, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> list[str]:
    """The lines that a command prints on a pseudo-terminal of so many columns."""
    ours, theirs = pty.openpty()
    pieces: list[bytes] = []

    def read() -> None:
        while piece := os.read(ours, 65536):
            pieces.append(piece)
            if piece.endswith(b"\x04"):
                return

    reader = Thread(target=read)
    reader.start()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "argv", ["lrctl", *map(str, arguments)])
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        with pytest.raises(SystemExit):
            cli.main()
        terminal.write("\x04")
        terminal.flush()
        reader.join()
        monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    os.close(ours)
    text = b"".join(pieces).decode().removesuffix("\x04").replace("\r", "")
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def words_of(lines: list[str]) -> list[str]:
    """The words of lines, but for those of the plot of the LRs, whose width is that of the terminal."""
    return [word for line in lines for word in line.split() if not set("|▁▂▃▄▅▆▇█") & set(word)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", ["runs", "compare", "runs show baseline-1", "runs show semilocal-0", "list"])
def test_no_line_is_broken_in_a_word(command: str, width: int, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each word of the narrow terminal is one of the wide one's; the terminal itself breaks no line."""
    monkeypatch.setenv("LRCTL_STORE", str(filled))
    narrow, wide = (on_terminal(columns, monkeypatch, *command.split()) for columns in (width, 1000))
    path = str(filled)
    assert [line for line in narrow if len(line.rstrip()) > width and path not in line] == []
    bare = {word.rstrip(":") for word in words_of(wide)}
    split = [word for word in words_of(narrow) if word.rstrip(":") not in bare and path not in word]
    assert split == []


@pytest.mark.parametrize("width", WIDTHS)
def test_runs_keep_their_names_and_test_losses(width: int, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(width, monkeypatch, "runs", "--store", filled)
    rows = [line.split() for line in lines if line.split()[0] in ALL]
    assert sorted(row[0] for row in rows) == sorted(ALL)
    assert "test" in lines[0].split()
    for row in rows:
        loss = comparisons.document(filled, row[0])["test_loss"]
        assert f"{loss:.4f}" in row


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("command", ["lookahead", "contest"])
def test_help_cuts_no_name(command: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(width, monkeypatch, command, "--help")
    names = {word.rstrip(",") for line in lines for word in line.split() if word.startswith("--")}
    assert {"--score-batches", "--budget"} & names
    assert [line for line in lines if "…" in line or "[dim]" in line] == []


def test_runs_say_which_columns_are_left_out(
    filled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(80, monkeypatch, "runs", "--store", filled)
    assert "left out for want of room: disk, steps" in capsys.readouterr().err
    on_terminal(1000, monkeypatch, "runs", "--store", filled)
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_of_rollouts_stays_whole(width: int) -> None:
    knots = ("LR at 240", "LR at 420", "LR at 510", "LR at 570")
    row = ("LR at 240 divided by 1.5, all later ones too *", *["0.00333"] * 4, "5.123456", "7.95")
    table = Table("", ("rollout", *knots, "score", "full runs with scores"), (row,))
    console = Console(width=width, color_system=None, soft_wrap=True)
    with console.capture() as captured:
        console.print(drawn(table))
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert max(map(len, lines)) <= width
    assert {"0.00333", "5.123456", "7.95"} <= set(words_of(lines))


def test_columns_that_can_be_spared_are_left_out_before_rows_are_stacked() -> None:
    table = Table("", ("run", "a", "b", "c"), (("name-of-a-run", "1" * 12, "2" * 12, "3" * 12),))
    console = Console(width=32, soft_wrap=True)
    for less, expected in (
        (("b", "a"), ["run            c", f"name-of-a-run  {'3' * 12}"]),
        ((), ["name-of-a-run", f"  a: {'1' * 12}", f"  b: {'2' * 12}", f"  c: {'3' * 12}"]),
    ):
        with console.capture() as captured:
            console.print(drawn(table, less))
        assert [line.rstrip() for line in captured.get().splitlines()] == expected


def test_a_long_line_is_broken_between_words_on_a_terminal_only() -> None:
    text = "segment 1: steps 0-10, LR 0 -> 0.123456"
    for terminal, expected in ((True, ["segment 1: steps", "0-10, LR 0 ->", "0.123456"]), (False, [text])):
        console = Console(width=18, force_terminal=terminal, color_system=None)
        with console.capture() as captured:
            show(console, text)
        assert captured.get().splitlines() == expected


def test_lrs_that_span_decades_are_plotted_on_a_logarithmic_axis() -> None:
    lines = plot(lambda step: 10 ** (-1 - 4 * step / 100), 100)
    assert lines[-1].strip() == "logarithmic"
    heights = [sum(line[10 + column :][:1].strip() != "" for line in lines[:6]) for column in range(60)]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 7
    assert "logarithmic" not in plot(lambda step: 1 - step / 100, 100)[-1]
