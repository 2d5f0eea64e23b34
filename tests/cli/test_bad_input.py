from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lrctl as api
from command_line import Done, Lrctl
from lrctl.errors import UsageError

RECIPE = """
[training]
steps = 8

[workload]
name = "linear-regression"

[executor]
name = "serial"

[strategy.semilocal]
segments = 2
grid_size = 2
grid = [0.1, 0.01]
"""

NET = """
import torch

class Net:
    def __init__(self, seed, width=2):
        self.width = width

    def model(self):
        return torch.nn.Linear(self.width, 1)

    def batch(self, step):
        return torch.ones(4, self.width), torch.zeros(4, 1)

    def loss(self, model, batch):
        return torch.nn.functional.mse_loss(model(batch[0]), batch[1])

    def evaluate(self, model, split):
        return {"loss": {"validation": 1.0, "test": 2.0}[split]}
"""

SMOKE = ("semilocal", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1,0.01", "--grid-size", "1")


def refused(done: Done, *parts: str, code: int = 2) -> None:
    """One sentence on stderr that says these things, nothing on stdout, no traceback."""
    assert (done.code, done.out) == (code, ""), done
    assert done.error.startswith("error: ")
    for part in parts:
        assert part in done.error


BAD_RECIPES = {
    "table": ("[executor]", "[executer]", "r.toml: [executer]: unknown table; did you mean 'executor'?"),
    "key": ("steps = 8", "step = 8", "r.toml: training.step: unknown key; did you mean 'steps'?"),
    "strategy key": ("grid_size", "gridsize", "r.toml: strategy.semilocal.gridsize: unknown key; did you mean 'grid_"),
    "string for int": ("steps = 8", "steps = '8'", "r.toml: training.steps: must be a whole number, got '8'"),
    "float for int": ("steps = 8", "steps = 8.0", "r.toml: training.steps: must be a whole number, got 8.0"),
    "bool for int": ("steps = 8", "steps = true", "r.toml: training.steps: must be a whole number, got True"),
    "range": ("steps = 8", "steps = 0", "r.toml: training.steps: must be at least 1, got 0"),
    "missing": ("steps = 8", "seed = 1", "r.toml: training.steps: missing; give a whole number"),
    "no table": (
        "[training]",
        "training = 3\n[optimizer]",
        "r.toml: training: must be a table, got 3; write [training]",
    ),
    "choice": ("steps = 8", "steps = 8\ndtype = 'float16'", "training.dtype: must be one of 'float32', 'bfloat16'"),
    "workload": (
        "linear",
        "linaer",
        "r.toml: workload.name: unknown workload 'linaer-regression'; did you mean 'lin",
    ),
    "no workload": ('name = "linear-regression"', "dim = 3", "r.toml: workload.name: must be a string, got None"),
    "executor": ('"serial"', '"seral"', "r.toml: executor.name: unknown executor 'seral'; did you mean 'serial'?"),
    "workers": ('"serial"', '"processes"\nworkers = -1', "r.toml: executor.workers: must be at least 0, got -1"),
    "strategy": ("semilocal", "semilocl", "r.toml: strategy.semilocl: unknown strategy; did you mean 'semilocal'?"),
    "no strategy table": (
        "[strategy.semilocal]",
        "[strategy]\nlocal = 1\n[divergence]",
        "strategy.local: must be a table",
    ),
    "segments": (
        "segments = 2",
        "segments = 9",
        "segments: 9 is more than the run's 8 steps; lower --segments or raise",
    ),
    "eps": ("segments = 2", "eps = -0.1", "r.toml: strategy.semilocal.eps: must be at least 0, got -0.1"),
    "nan": ("segments = 2", "eps = nan", "r.toml: strategy.semilocal.eps: must be a finite number, got nan"),
    "list": ("[0.1, 0.01]", "'0.1'", "strategy.semilocal.grid: must be a list of numbers, got '0.1'"),
    "item": ("[0.1, 0.01]", "[0.1, 'x']", "strategy.semilocal.grid[1]: must be a number, got 'x'"),
    "empty grid": (
        "[0.1, 0.01]",
        "[]",
        "strategy.semilocal.grid: must hold LRs greater than 0 and at most 3.4e+38, got []",
    ),
    "grid of 0": ("[0.1, 0.01]", "[0.1, 0]", "strategy.semilocal.grid: must hold LRs greater than 0"),
    "max_lr": ("[0.1, 0.01]", "[0.1]\nmax_lr = 0.01", "max_lr: no LR of the grid is at most 0.01; raise it above 0.1"),
    "betas": ("[executor]", "[optimizer]\nbetas = [1.5]\n[executor]", "optimizer.betas: must be two numbers in [0, 1)"),
    "divergence": ("[executor]", "[divergence]\nmargin = 0\n[executor]", "divergence.margin: must be greater than 0"),
    "not TOML": ("steps = 8", "steps = = 8", "r.toml: not TOML: Invalid value (at line 3, column 9)"),
}


@pytest.mark.parametrize(("old", "new", "message"), BAD_RECIPES.values(), ids=BAD_RECIPES)
def test_a_recipe_that_cannot_be_used_is_one_sentence(old: str, new: str, message: str, lrctl: Lrctl) -> None:
    text = RECIPE.replace(old, new)
    if old == "semilocal":
        text = text.replace("strategy.semilocal", "strategy.semilocl")
    assert text != RECIPE
    Path("r.toml").write_text(text)
    refused(lrctl("semilocal", "--recipe", "r.toml"), message)


def test_the_recipe_that_the_others_spoil_can_be_used(lrctl: Lrctl) -> None:
    Path("r.toml").write_text(RECIPE)
    assert lrctl("semilocal", "--recipe", "r.toml", "--quiet").code == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smok", "--recipe smok: unknown recipe; did you mean 'smoke'?"),
        ("mine.toml", "--recipe mine.toml: there is no such file; give a TOML file or choose from: "),
        ("./smoke", "--recipe ./smoke: there is no such file"),
        ("folder.toml", "--recipe folder.toml: cannot be read: not a regular file"),
        ("latin.toml", "latin.toml: not TOML: 'utf-8' codec can't decode byte 0xff"),
    ],
    ids=["name", "file", "path", "folder", "not UTF-8"],
)
def test_a_recipe_that_is_not_there_is_one_sentence(name: str, message: str, lrctl: Lrctl) -> None:
    Path("folder.toml").mkdir()
    Path("latin.toml").write_bytes(b"a = '\xff'")
    refused(lrctl("semilocal", "--recipe", name), message)


def test_a_recipe_that_may_not_be_read_is_one_sentence(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("r.toml").write_text(RECIPE)
    opened = os.open

    def locked(path: Path, *flags: int) -> int:
        if Path(path).name == "r.toml":
            raise PermissionError(13, "Permission denied")
        return opened(path, *flags)

    monkeypatch.setattr(os, "open", locked)
    refused(lrctl("semilocal", "--recipe", "r.toml"), "--recipe r.toml: cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--set steps", "--set steps: must be table.key=value, such as training.steps=100"),
        ("--set steps=3", "--set steps=3: must be table.key=value"),
        ("--set training.steps", "--set training.steps: must be table.key=value"),
        ("--set .=3", "--set .=3: must be table.key=value"),
        ("--set training.=3", "--set training.=3: must be table.key=value"),
        ("--set training.steps.x=3", "--set training.steps.x: steps is not a table"),
        ("--set training.steps=x", "smoke: training.steps: must be a whole number, got 'x'"),
        ("--set training.stepz=3", "smoke: training.stepz: unknown key; did you mean 'steps'?"),
        ("--set trainin.steps=3", "smoke: [trainin]: unknown table; did you mean 'training'?"),
        ("--steps 0", "training.steps: must be at least 1, got 0"),
        ("--seed -1", "training.seed: must be at least 0, got -1"),
        (
            "--workload linearregression",
            "--workload: unknown workload 'linearregression'; did you mean",
        ),
        ("--executor process", "executor.name: unknown executor 'process'; did you mean 'processes'?"),
        ("--executor auto --workers -1", "executor.workers: must be at least 0, got -1"),
        ("--executor serial --workers 2", "executor.workers: unknown key"),
        ("--segments 41", "segments: 41 is more than the run's 40 steps; lower --segments or raise --steps"),
        ("--eps -1", "strategy.semilocal.eps: must be at least 0, got -1.0"),
        ("--eps nan", "strategy.semilocal.eps: must be a finite number, got nan"),
        ("--grid a,b", "--grid a,b: must be numbers with commas between them"),
        ("--grid 0.1;0.2", "--grid 0.1;0.2: must be numbers with commas between them"),
        ("--grid ,", "strategy.semilocal.grid: must hold LRs greater than 0 and at most 3.4e+38, got []"),
        ("--grid 0.1,inf", "strategy.semilocal.grid[1]: must be a finite number, got inf"),
        ("--max-lr 1e-9", "strategy.semilocal.max_lr: no LR of the grid is at most 1e-09"),
        ("--tune-eps --eps 0", "strategy.semilocal.eps: must be greater than 0 with tune_eps"),
        ("--device gpu9", "--device gpu9: cannot be used here: "),
        ("--name a/b", "--name 'a/b': must be the name of one folder"),
        ("--name ../b", "--name '../b': must be the name of one folder"),
        ("--name a\\b", "--name 'a\\\\b': must be the name of one folder"),
        ("--name .", "--name '.': must be the name of one folder"),
        ("--name=", "--name '': must be the name of one folder"),
    ],
    ids=lambda value: value if value.startswith("--") and ":" not in value else "",
)
def test_a_flag_that_cannot_be_used_is_one_sentence(flags: str, message: str, lrctl: Lrctl) -> None:
    refused(lrctl("semilocal", "--recipe", "smoke", *flags.split()), message)


def test_a_device_that_is_not_there_is_one_sentence(lrctl: Lrctl) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    refused(lrctl(*SMOKE, "--device", "cuda"), "--device cuda: cannot be used here: ", "choose cpu, or leave it out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("semilocal --epz 1", "--epz: unknown option; did you mean '--eps'?"),
        ("semilocl", "lrctl semilocl: unknown command; did you mean 'semilocal'?"),
        ("runs shw", "lrctl runs shw: unknown command; did you mean 'show'?"),
        ("runs lookahead-1", "lrctl runs lookahead-1: unknown command; `lrctl runs show lookahead-1` shows a run"),
        ("semilocal --eps big", "--eps big: must be a number"),
        ("semilocal --eps=big", "--eps big: must be a number"),
        ("semilocal --eps-unit bits", "--eps-unit bits: must be one of 'nats', 'progress'"),
        ("semilocal --eps-unit PROGRES", "did you mean 'progress'?"),
        ("semilocal --lr 0.1", "--lr: unknown option; the LR is what a search finds; --grid 0.001,0.01 says"),
        ("greedy --lr 0.1", "the LR is what a search finds; --initial-lr says which one schedules begin with"),
        ("semilocal --epochs big", "--epochs big: must be a number"),
        ("semilocal --set optimizer.lr=1", "optimizer.lr: unknown key; the LR is what a search finds"),
        ("semilocal --set training.epochs=1", "training.epochs: unknown key; a run is as long as its updates"),
        ("runs --sort los", "--sort los: must be one of 'date', 'name', "),
        ("reproduce semi-local --scale tinny", "--scale tinny: must be one of 'tiny', 'paper'; did you mean 'tiny'?"),
        ("export --to csv", "lrctl export: RUN|schedule.json is missing; give it"),
        ("semilocal --steps 1.5", "--steps 1.5: must be a whole number"),
        ("semilocal --store taken", "dir 'taken' is a file"),
        ("semilocal --recipe", "--recipe: a value must follow it"),
        ("semilocal smoke", "unexpected extra argument"),
        ("list --jason", "--jason: unknown option; did you mean '--json'?"),
    ],
    ids=lambda value: value if value.islower() else "",
)
def test_a_command_line_that_cannot_be_read_is_refused(arguments: str, message: str, lrctl: Lrctl) -> None:
    Path("taken").write_text("not a folder")
    done = lrctl(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert message in done.error
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("semilocal --recipe nope", 2),
        ("semilocal --eps big", 2),
        ("semilocal --recipe smoke --executor serial --grid 1e30,1e31", 3),
        ("compare", 2),
        ("runs show x", 2),
        ("nope", 2),
    ],
)
def test_with_json_a_failure_is_one_document_too(arguments: str, code: int, lrctl: Lrctl) -> None:
    done = lrctl(*arguments.split(), "--json", *["--quiet"][: code == 3])
    assert done.code == code
    assert done.document == {
        "format": "lrctl-error/1",
        "error": done.error.removeprefix("error: "),
        "exit_code": code,
    }


def test_choices_take_capitals(lrctl: Lrctl) -> None:
    document = lrctl(*SMOKE, "--eps-unit", "NATS", "--dry-run", "--json").document
    assert document["jobs"] > 0


def test_a_device_that_is_none_tells_what_is_here(lrctl: Lrctl) -> None:
    refused(lrctl(*SMOKE, "--device", "gpu"), "--device gpu: a GPU is called cuda; here there is cpu")


def test_when_every_candidate_diverged_the_error_says_what_to_change(lrctl: Lrctl) -> None:
    done = lrctl(*SMOKE, "--grid", "1e30,1e31")
    refused(done, "all 2 candidates diverged, LRs 1e+30 to 1e+31", "lower --max-lr", "add lower LRs to --grid", code=3)


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


@pytest.mark.parametrize("file", ["net.py", "../net.py"], ids=["beside it", "outside"])
def test_a_recipe_runs_no_code_without_leave(file: str, lrctl: Lrctl) -> None:
    Path("folder").mkdir()
    Path("folder", file).write_text(f"open('ran', 'w').close()\n{NET}")
    Path("folder/r.toml").write_text(RECIPE.replace("linear-regression", f"{file}:Net"))
    command = ("semilocal", "--recipe", "folder/r.toml", "--quiet")
    for more in ((), ("--dry-run",), ("--fresh",)):
        refused(
            lrctl(*command, *more), "r.toml: workload.name: /", "is Python code, and a recipe runs none", "--allow-code"
        )
    settings = {"workload.width": 3}
    with pytest.raises(UsageError, match="allow_code=True in Python"):
        api.search("semilocal", "folder/r.toml", settings=settings)
    assert not Path("ran").exists()
    assert lrctl(*command, "--allow-code").code == 0
    assert api.search("semilocal", "folder/r.toml", settings=settings, allow_code=True)["status"] == "done"
    assert Path("ran").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [("2020-01-01", "must be a string, a finite number"), ("nan", "got nan"), ("[1, inf]", "workload.width.1: ")],
    ids=["date", "nan", "inf"],
)
def test_parameters_that_json_cannot_hold_are_refused(value: str, message: str, lrctl: Lrctl) -> None:
    Path("net.py").write_text(NET)
    refused(lrctl(*SMOKE, "--workload", "net.py:Net", "--set", f"workload.width={value}"), "workload.width", message)


def test_a_store_of_a_newer_version_is_refused(lrctl: Lrctl) -> None:
    Path("kept").mkdir()
    Path("kept/store.json").write_text(json.dumps({"format": "lrctl-store/99"}))
    refused(
        lrctl(*SMOKE, "--store", "kept"),
        "store.json: the store's format is 'lrctl-store/99', this lrctl reads 'lrctl-store/2'",
        "choose another --store, or give the command to the lrctl that wrote this one",
    )


def test_a_name_stands_for_one_set_of_settings(lrctl: Lrctl) -> None:
    assert lrctl(*SMOKE, "--name", "mine", "--quiet").code == 0
    refused(lrctl(*SMOKE, "--name", "mine", "--eps", "0"), "--name mine: this run was made with other settings")
    assert lrctl(*SMOKE, "--name", "mine", "--eps", "0", "--fresh", "--quiet").code == 0


def test_a_class_that_raises_when_it_is_built_is_bad_input(lrctl: Lrctl) -> None:
    Path("net.py").write_text(NET.replace("self.width = width", "raise KeyError('width')"))
    refused(lrctl(*SMOKE, "--workload", "net.py:Net"), "building it raised KeyError: 'width'", "--debug shows where")


def test_a_fault_is_told_apart_from_bad_input(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object, **__: object) -> None:
        raise KeyError("width")

    monkeypatch.setattr("lrctl.engine.run.search", search)
    refused(lrctl(*SMOKE), "KeyError: 'width'", "a fault in lrctl", "--debug shows where", code=1)


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


@pytest.mark.parametrize("steps", [10**7 + 1, 10**12, 2**63])
def test_a_run_of_more_steps_than_any_has_is_refused(steps: int, lrctl: Lrctl) -> None:
    for more in ([], ["--dry-run"]):
        done = lrctl("semilocal", "--recipe", "smoke", "--steps", steps, *more)
        refused(done, f"training.steps: must be at most 10,000,000, got {steps:,}")


MEANT = {
    "a workload without its flag": ("lookahead mine.py:workload", "did you mean --workload mine.py:workload?"),
    "a recipe without its flag": ("lookahead mine.toml", "did you mean --recipe mine.toml?"),
    "seeds with spaces": ("lookahead --seeds 0 1 2", "did you mean --seeds 0,1,2, with commas and without spaces?"),
    "a file alone": (
        "lookahead --workload mine.py",
        "--workload: mine.py must name what is in it too; did you mean mine",
    ),
    "a script alone": ("lookahead --program mine.py", "did you mean --program 'python mine.py'?"),
    "the word of other tools": ("runs rm one", "lrctl runs rm: unknown command; did you mean 'remove'?"),
    "a metric alone": ("lookahead --metric accuracy", "add --score-on validation, and --maximize, or --no-maximize"),
}


@pytest.mark.parametrize(("line", "told"), MEANT.values(), ids=MEANT)
def test_what_was_meant_is_told(line: str, told: str, lrctl: Lrctl) -> None:
    Path("mine.py").write_text("import lrctl\n\nworkload = lrctl.workload()\n")
    refused(lrctl(*line.split(), "--quiet"), told)


@pytest.mark.parametrize("word", ["two words", "\n\n", "1 2"])
def test_a_word_with_spaces_that_belongs_to_no_option_is_one_sentence(word: str, lrctl: Lrctl) -> None:
    done = lrctl("lookahead", "--dry-run", word)
    assert done.code == 2
    assert "unexpected extra argument" in done.error
