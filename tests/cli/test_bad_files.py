"""Files beside recipes that cannot be used, be they texts, Python, schedules or stores: one sentence each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.inputs import NET, SMOKE
from command_line import Lrctl, refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "missing.txt"}, "workload.path: 'missing.txt' does not exist; give a text file, a folder"),
        ({"path": "empty.txt"}, "workload.path: 'empty.txt' holds no text; give a corpus that is not empty"),
        ({"path": "short.txt"}, "workload.path: the corpus is too short"),
        ({"path": "latin.txt"}, "workload.path: 'latin.txt' is not UTF-8 text (see byte 0)"),
        ({"path": "folder"}, "workload.path: the folder 'folder' holds no .txt file"),
        (
            {"path": "short.txt", "tokenizer": "byte"},
            "workload.tokenizer: unknown tokenizer 'byte'; choose from: bytes",
        ),
        ({"path": "short.txt", "heads": "5"}, "workload.heads: must divide d_model (96), got 5"),
    ],
    ids=["missing", "empty", "too short", "not UTF-8", "empty folder", "tokenizer", "heads"],
)
def test_a_text_that_cannot_be_used_is_one_sentence(
    settings: dict[str, str], message: str, lrctl: Lrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    Path("empty.txt").touch()
    Path("short.txt").write_text("a few words")
    Path("latin.txt").write_bytes(b"\xff" * 1000)
    Path("folder").mkdir()
    flags = [f"--set=workload.{key}={value}" for key, value in ({"tokenizer": "bytes"} | settings).items()]
    refused(lrctl(*SMOKE, "--workload", "gpt", *flags), message)


BAD_FILES = {
    "no file": ("other.py:Net", NET, "workload ", "there is no file ", "other.py"),
    "no class": ("net.py:Nett", NET, "net.py:Nett: unknown class; did you mean 'Net'?"),
    "no such method": ("net.py:Net", NET.replace("def loss", "def lost"), "it has no method loss"),
    "no methods": (
        "net.py:Net",
        "class Net:\n  def __init__(self, seed, width): ...",
        "no method model, batch, loss, evaluate",
    ),
    "parameters": (
        "net.py:Net",
        NET.replace(", width=2", ""),
        "got an unexpected keyword argument 'width'",
        "Net(seed=",
    ),
    "no seed": ("net.py:Net", NET.replace("seed, ", ""), "got an unexpected keyword argument 'seed'"),
    "raises": ("net.py:Net", "\n\nimport no_such_module", "net.py, line 3: ModuleNotFoundError: No module named"),
    "deep": ("net.py:Net", "def f():\n  return 1 / 0\n\nf()", "net.py, line 2: ZeroDivisionError: division by zero"),
    "exits": ("net.py:Net", "import sys\nsys.exit('no data')", "net.py, line 2: SystemExit: no data"),
    "syntax": ("net.py:Net", "x = 1\nclass Net\n  pass", "net.py, line 2: SyntaxError: expected ':'"),
    "no text": ("net.py:Net", "x = '\0'", "net.py, line ", "source code string cannot contain null bytes"),
}


@pytest.mark.parametrize("case", BAD_FILES.values(), ids=BAD_FILES)
def test_a_python_file_that_cannot_be_used_is_one_sentence(case: tuple[str, ...], lrctl: Lrctl) -> None:
    name, source, *parts = case
    Path("net.py").write_text(source)
    refused(lrctl(*SMOKE, "--workload", name, "--set", "workload.width=3", "--set", "optimizer.name=adamw"), *parts)


def test_the_traceback_of_a_python_file_is_shown_when_asked_for(lrctl: Lrctl) -> None:
    Path("net.py").write_text("raise RuntimeError('spoilt')")
    done = lrctl(*SMOKE, "--workload", "net.py:Net", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err
    assert 'net.py", line 1' in done.err
    assert done.err.splitlines()[-1].startswith("error: workload ")


@pytest.mark.parametrize(
    ("value", "message"),
    [("2020-01-01", "must be a string, a finite number"), ("nan", "got nan"), ("[1, inf]", "workload.width.1: ")],
    ids=["date", "nan", "inf"],
)
def test_parameters_that_json_cannot_hold_are_refused(value: str, message: str, lrctl: Lrctl) -> None:
    Path("net.py").write_text(NET)
    refused(lrctl(*SMOKE, "--workload", "net.py:Net", "--set", f"workload.width={value}"), "workload.width", message)


def test_a_class_that_raises_when_it_is_built_is_bad_input(lrctl: Lrctl) -> None:
    Path("net.py").write_text(NET.replace("self.width = width", "raise KeyError('width')"))
    refused(lrctl(*SMOKE, "--workload", "net.py:Net"), "building it raised KeyError: 'width'", "--debug shows where")


def test_a_store_of_a_newer_version_is_refused(lrctl: Lrctl) -> None:
    Path("kept").mkdir()
    Path("kept/store.json").write_text(json.dumps({"format": "lrctl-store/99"}))
    refused(
        lrctl(*SMOKE, "--store", "kept"),
        "store.json: the store's format is 'lrctl-store/99', this lrctl reads 'lrctl-store/2'",
        "choose another --store, or give the command to the lrctl that wrote this one",
    )


def a_pipe() -> str:
    os.mkfifo("pipe.json")
    return "pipe.json"


def a_schedule(**changes: Any) -> str:
    schedule = {"family": "cosine", "params": {"steps": 10, "peak_lr": 0.1}}
    document = {"format": "lrctl-schedule/1", "steps": 10, "schedule": schedule} | changes
    Path("s.json").write_text(json.dumps(document))
    return "s.json"


def a_text(text: str) -> str:
    Path("s.json").write_text(text)
    return "s.json"


NO_SCHEDULES: dict[str, tuple[Callable[[], str], str]] = {
    "a device": (lambda: "/dev/zero", "/dev/zero: cannot be read as a schedule.json: not a regular file"),
    "a pipe": (a_pipe, "pipe.json: cannot be read as a schedule.json: not a regular file"),
    "too long a run": (
        lambda: a_schedule(steps=10**12),
        "s.json: steps: must be a whole number from 1 to 10,000,000, got 1000000000000",
    ),
    "too large a number": (lambda: a_schedule(steps=10**400), "s.json: must be a schedule.json, but it is not JSON"),
    "deep": (lambda: a_text("[" * 100_000), "s.json: must be a schedule.json, but it is not JSON: nested more than 64"),
    "long": (lambda: a_schedule(schedule="x" * 100_000), "schedule: must hold a family and its params, got 'xxxxx"),
}


@pytest.mark.parametrize(("make", "said"), NO_SCHEDULES.values(), ids=NO_SCHEDULES)
@pytest.mark.parametrize(
    "command", ["export {} --to csv", "fit-closed-form {} --dry-run", "fit-closed-form {} --quiet"]
)
def test_what_is_no_sane_schedule_is_one_short_sentence_at_once(
    command: str, make: Callable[[], str], said: str, lrctl: Lrctl
) -> None:
    done = lrctl(*command.format(make()).split())
    refused(done, said)
    assert len(done.error) < 400


@pytest.mark.parametrize("source", ["/dev/zero", "pipe.json"])
def test_what_is_no_file_is_not_waited_for(source: str, lrctl: Lrctl) -> None:
    a_pipe()
    refused(lrctl("greedy", "--from-csv", source, "--quiet"), f"{source}: cannot be read: not a regular file")
    refused(lrctl("semilocal", "--recipe", f"./{source}".replace(".//", "/")), "cannot be read: not a regular file")
