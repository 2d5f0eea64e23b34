"""Command lines that cannot be used: one sentence each, which tells what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.inputs import SMOKE
from command_line import Lrctl, refused


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
        (
            "--executor serial --workers 2",
            "executor.workers: it is a setting of processes, ray, and executor.name is 'serial'; change that, or",
        ),
        ("--executor serial --set executor.rooms=2", "executor.rooms: unknown key; there is none"),
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
        ("runs latest", "lrctl runs latest: unknown command; `lrctl runs show latest` shows a run"),
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


def test_a_name_stands_for_one_set_of_settings(lrctl: Lrctl) -> None:
    assert lrctl(*SMOKE, "--name", "mine", "--quiet").code == 0
    refused(lrctl(*SMOKE, "--name", "mine", "--eps", "0"), "--name mine: this run was made with other settings")
    assert lrctl(*SMOKE, "--name", "mine", "--eps", "0", "--fresh", "--quiet").code == 0


def test_a_fault_is_told_apart_from_bad_input(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object, **__: object) -> None:
        raise KeyError("width")

    monkeypatch.setattr("lrctl.engine.run.search", search)
    refused(lrctl(*SMOKE), "KeyError: 'width'", "a fault in lrctl", "--debug shows where", code=1)


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
