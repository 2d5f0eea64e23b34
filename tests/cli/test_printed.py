"""Nothing that a store, a recipe or a plugin brings can steer the terminal that it is shown on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cases import each_of
from command_line import Done, Lrctl
from lrctl.analysis.printable import printable, shortened
from lrctl.errors import LrctlError

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e\u2066\u200b[red]x[/y]\r\x00"
"""A title for the window, a cleared screen, C1, DEL, bidi, Rich's markup, a line that is written over, NUL."""

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\udc80-\udfff]")

SMOKE = ["baseline", "--recipe", "smoke", "--executor", "serial", "--family", "linear", "--grid", "0.1", "--quiet"]


def harmless(done: Done) -> Done:
    assert STEERING.findall(done.out + done.err) == []
    return done


@each_of("character", ["\x1b", "\n", "\r", "\x7f", "\x9b", "\u202e", "\u2066", "\ufeff", "\u2028", "\udcff", "\0"])
def test_what_steers_a_terminal_is_escaped(character: str) -> None:
    assert printable(f"a{character}b").isprintable()
    assert printable(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"


@each_of("text", ["plain", "grün", "学習率", "全角\u3000空白", "🙂", "[red]x[/y]", "a\\nb", ""])
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_a_long_message_loses_its_middle() -> None:
    assert len(shortened("x" * 100_000)) < 4100
    assert shortened("x" * 4000) == "x" * 4000


def test_an_error_is_one_short_line_whatever_it_quotes() -> None:
    text = str(LrctlError("a\n\x1b" + "x" * 100_000 + "end"))
    assert text.isprintable()
    assert text.startswith("a\\n\\x1bxx")
    assert text.endswith("end")
    assert len(text) < 4100


@pytest.mark.parametrize("character", ["\x1b", "\n", "\x7f", "\x9b", "\u202e", "\u2066"], ids=ascii)
def test_a_name_that_steers_a_terminal_is_refused(character: str, lrctl: Lrctl) -> None:
    done = harmless(lrctl(*SMOKE, "--name", f"a{character}b"))
    assert (done.code, done.out) == (2, "")
    assert done.error.endswith("must hold no control characters, line breaks or the like")


@pytest.mark.parametrize(
    "arguments",
    [
        [*SMOKE, "--name", "a\udcff"],
        [*SMOKE, "--set", "workload.x=\udcff"],
        [*SMOKE, "--set", "workload.\udcff=1"],
        [*SMOKE, "--set", "workload.x=[{a='\udcff'}]"],
        [*SMOKE, "--workload", "\udcff.py:X"],
        [*SMOKE, "--recipe", "\udcff.toml"],
        [*SMOKE, "--family", "\udcff"],
        [*SMOKE, "--device", "\udcff"],
        ["export", "\udcff.json", "--to", "csv"],
        ["\udcff"],
        ["list", "--\udcff"],
        ["greedy", "--from-csv", "\udcff"],
    ],
    ids=lambda arguments: ascii(" ".join(arguments[-2:])),
)
def test_words_that_are_not_utf_8_are_one_sentence(arguments: list[str], lrctl: Lrctl) -> None:
    done = harmless(lrctl(*arguments))
    assert (done.code, done.out) == (2, "")
    assert "\\udcff" in done.error


@pytest.fixture
def evil_store(lrctl: Lrctl) -> str:
    """A store with a run, and its copy under a name that nobody would give."""
    done = lrctl(*SMOKE, "--name", "plain", "--json")
    assert done.code == 0
    name = EVIL.replace("/", "").replace("\0", "") + "\n\udcfe"
    for run in Path(".lrctl/runs").iterdir():
        (copy := Path(".lrctl/runs", name)).mkdir()
        for file in run.glob("*.*"):
            (copy / file.name).write_bytes(file.read_bytes())
    (Path(".lrctl/runs") / "begun\x1b[2J").mkdir()
    (Path(".lrctl/runs") / "begun\x1b[2J" / "recipe.toml").write_text("# \x1b[2J\n[training]\n")
    return name


@pytest.mark.parametrize(
    "command",
    [
        "runs",
        "runs --json",
        "runs show NAME",
        "runs show NAME --json",
        "runs show begun\x1b[2J",
        "compare NAME",
        "compare NAME plain",
        "compare NAME --json",
        "report NAME --out report",
        "export NAME --to csv",
        "export NAME --to json",
        "export NAME --to torch",
        "export NAME --to torch --out x.py",
        "runs remove NAME --yes",
        "gc",
        "runs show nothing",
    ],
    ids=ascii,
)
def test_names_in_a_store_are_escaped(command: str, evil_store: str, lrctl: Lrctl) -> None:
    harmless(lrctl(*(evil_store if word == "NAME" else word for word in command.split(" "))))
    assert "remove" not in command or evil_store not in os.listdir(".lrctl/runs")


def test_the_name_of_a_damaged_run_is_escaped_by_gc(evil_store: str, lrctl: Lrctl) -> None:
    Path(".lrctl/runs", evil_store, "result.json").write_text("{")
    assert "owned\\x07" in harmless(lrctl("gc")).err


def test_a_name_that_is_no_text_is_listed(evil_store: str, lrctl: Lrctl) -> None:
    done = harmless(lrctl("runs"))
    assert done.code == 0
    assert len(done.out.splitlines()) == 4
    assert "owned\\x07" in done.out
    assert "\\udcfe" in done.out
    assert evil_store in [row["run"] for row in lrctl("runs", "--json").document["runs"]]


PLUGIN = """
from dataclasses import dataclass
from typing import Annotated
from lrctl import hookimpl
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, SearchResult
from lrctl.contracts.table import Table

EVIL = EVIL_HERE

@dataclass(frozen=True)
class Params:
    lr: Annotated[float, EVIL] = 0.1
    fails: Annotated[bool, "raise"] = False

def flat(params, run):
    if params.fails:
        raise RuntimeError(EVIL)
    schedule = PiecewiseLinear(((0, params.lr),))
    (result,) = yield Batch(EVIL, [SegmentJob(0, run.steps, schedule)], judge=False)
    table = Table(EVIL, (EVIL, EVIL), ((EVIL, EVIL),), (EVIL,))
    return SearchResult(schedule, result.key, tables=(table,), notes=(EVIL,), next=EVIL, chosen_by=EVIL)

@hookimpl
def register_strategies(register):
    register(flat, name="flat", params=Params, help=EVIL)
"""


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "flat --help",
        "list",
        "list --json",
        "flat --recipe smoke --executor serial",
        "flat --recipe smoke --executor serial --json",
        "flat --recipe smoke --executor serial --dry-run",
        "flat --recipe smoke --executor serial --fails",
        "flat --recipe smoke --executor serial --fails --debug",
    ],
)
def test_what_a_plugin_says_is_escaped(command: str, lrctl: Lrctl, installed: Callable[..., None]) -> None:
    installed(evil=PLUGIN.replace("EVIL_HERE", repr(EVIL)))
    done = harmless(lrctl(*command.split()))
    assert done.code == (1 if "--fails" in command else 0)
    shown = json.dumps(EVIL)[1:-1].replace("\x7f", "\\u007f") if "--json" in command else "\\x1b]0;owned\\x07"
    assert shown in (done.out + done.err).replace("\n", "") or "--dry-run" in command or "--help" in command


def test_what_a_recipe_says_is_escaped(lrctl: Lrctl) -> None:
    evil = json.dumps(EVIL.replace("\0", "")).replace("\x7f", "\\u007f")
    for text in (
        f"[training]\n{evil} = 1",
        f"[{evil}]",
        f"[workload]\nname = {evil}",
        f"extends = {evil}",
        f"{evil} = 1",
    ):
        Path("r.toml").write_text(text)
        done = harmless(lrctl("semilocal", "--recipe", "r.toml"))
        assert (done.code, len(done.err.splitlines())) == (2, 1)


def test_a_strategy_that_fails_names_its_plugin(lrctl: Lrctl, installed: Callable[..., None]) -> None:
    installed(evil=PLUGIN.replace("EVIL_HERE", "'why'"))
    done = lrctl("flat", "--recipe", "smoke", "--executor", "serial", "--fails")
    assert (done.code, done.out) == (1, "")
    assert done.error == "error: RuntimeError: why; this is a fault in plugin evil, --debug shows where"
