from __future__ import annotations

import json
import os
import re
import shlex
import signal
import tomllib
from pathlib import Path
from typing import Any

import pytest

import lrctl as package
from command_line import NET, Lrctl
from lrctl.cli.commands import COMMANDS, application
from lrctl.cli.examples import EXAMPLES
from lrctl.contracts.params import fields_of
from lrctl.contracts.strategy import GivenSchedule
from lrctl.papers.experiments import papers
from lrctl.recipe.schema import Recipe
from lrctl.registry.parts import KINDS
from lrctl.registry.registry import registry

SMOKE = ("semilocal", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1,0.01", "--grid-size", "1")

RECIPE = """
[training]
steps = 12
seed = 5

[workload]
name = "linear-regression"
dim = 3

[executor]
name = "serial"

[strategy.semilocal]
segments = 2
eps = 0.25
decay = true
grid_size = 2
grid = [0.1, 0.01]
"""

KEYS = "command run status schedule train_loss test_loss reference segments cost"
SEGMENT = "k start stop eps lr_start candidates chosen"
CANDIDATE = "lr mean_loss status key"
SHARED = (
    "recipe steps epochs seed seeds workload set device executor workers store name label track "
    "max-steps max-time max-disk fresh dry-run json quiet allow-code unchecked debug"
)
COST = (
    "jobs jobs_reused steps_trained extra_forwards scored_batches full_runs seconds reference_full_runs "
    "speculated_full_runs"
)
ESTIMATE = "command jobs steps full_runs peak_disk_bytes seconds"


def run_of(lrctl: Lrctl, *flags: str) -> dict[str, Any]:
    """The frozen recipe that a command line stands for."""
    done = lrctl("semilocal", *flags, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    store = Path(os.environ.get("LRCTL_STORE", ".lrctl"))
    return tomllib.loads((store / "runs" / done.document["run"] / "recipe.toml").read_text())


@pytest.mark.parametrize(
    ("flags", "table", "key", "value"),
    [
        ("", "training", "steps", 12),
        ("--steps 9", "training", "steps", 9),
        ("--set training.steps=9", "training", "steps", 9),
        ("", "training", "seed", 5),
        ("--seed 0", "training", "seed", 0),
        ("", "training", "threads", 1),
        ("--set training.threads=2", "training", "threads", 2),
        ("--device cpu", "training", "device", "cpu"),
        ("", "workload", "dim", 3),
        ("--workload linear-regression", "workload", "dim", 3),
        ("--set workload.dim=4 --set workload.noise=0", "workload", "dim", 4),
        ("", "workload", "noise", 0.1),
        ("", "semilocal", "eps", 0.25),
        ("--eps 0", "semilocal", "eps", 0.0),
        ("--set strategy.semilocal.eps=0.125", "semilocal", "eps", 0.125),
        ("--eps 0.5 --set strategy.semilocal.eps=0.125", "semilocal", "eps", 0.5),
        ("", "semilocal", "eps_unit", "progress"),
        ("--eps-unit nats", "semilocal", "eps_unit", "nats"),
        ("", "semilocal", "decay", True),
        ("--no-decay", "semilocal", "decay", False),
        ("--decay", "semilocal", "decay", True),
        ("", "semilocal", "grid", [0.1, 0.01]),
        ("--grid 0.2,1e-2,", "semilocal", "grid", [0.2, 0.01]),
        ("--max-lr 0.15", "semilocal", "max_lr", 0.15),
        ("--set optimizer.weight_decay=0", "optimizer", "weight_decay", 0.0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_flag_wins_over_the_recipe_and_the_recipe_over_the_default(
    flags: str, table: str, key: str, value: Any, lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen: dict[str, Any] = {}

    def run(command: str, recipes: list[Recipe], _: dict[str, Any]) -> None:
        (recipe,) = recipes
        frozen.update(tomllib.loads(recipe.to_toml(command)))

    monkeypatch.setattr("lrctl.cli.searching.run", run)
    Path("r.toml").write_text(RECIPE)
    assert lrctl("semilocal", "--recipe", "r.toml", *flags.split()).code == 0
    found = (frozen | frozen["strategy"])[table][key]
    assert found == value
    assert type(found) is type(value)


def test_a_flag_of_every_strategy_reaches_its_own_parameters_only(lrctl: Lrctl) -> None:
    done = lrctl("local", *SMOKE[1:], "--segments", "2", "--json", "--quiet")
    assert [segment["eps"] for segment in done.document["segments"]] == [0, 0]


def test_the_store_is_found_from_the_flag_then_the_environment_then_the_working_directory(
    lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = (*SMOKE, "--segments", "1", "--quiet")
    assert lrctl(*short).code == 0
    assert sorted(path.name for path in Path().iterdir()) == [".lrctl"]
    monkeypatch.setenv("LRCTL_STORE", "from-environment")
    assert lrctl(*short).code == 0
    assert Path("from-environment/store.json").is_file()
    assert lrctl(*short, "--store", "from/flag").code == 0
    assert Path("from/flag/store.json").is_file()


def test_a_class_named_by_a_flag_is_relative_to_the_working_directory(lrctl: Lrctl) -> None:
    Path("net.py").write_text(NET)
    Path("folder").mkdir()
    Path("folder/r.toml").write_text(RECIPE)
    for flags in (["--workload", "net.py:Net"], ["--set", "workload.name=net.py:Net"]):
        frozen = run_of(lrctl, "--recipe", "folder/r.toml", *flags)
        assert frozen["workload"] == {"name": f"{Path('net.py').resolve()}:Net"}


def test_a_class_named_by_a_recipe_is_relative_to_the_recipe(lrctl: Lrctl) -> None:
    Path("folder").mkdir()
    Path("folder/net.py").write_text(NET)
    Path("folder/r.toml").write_text(RECIPE.replace("linear-regression", "net.py:Net").replace("dim = 3", ""))
    frozen = run_of(lrctl, "--recipe", "folder/r.toml", "--allow-code")
    assert frozen["workload"] == {"name": f"{Path('folder/net.py').resolve()}:Net"}


def test_code_that_goes_to_another_folder_takes_no_path_along(lrctl: Lrctl, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "net.py").write_text(f"import os\nos.chdir({str(tmp_path / 'elsewhere')!r})\n{NET}")
    done = lrctl(*SMOKE, "--workload", "net.py:Net", "--store", "s", "--json")
    assert (done.code, list((tmp_path / "elsewhere").iterdir())) == (0, [])
    assert all((tmp_path / path).is_file() for path in done.document["files"].values())


def test_a_project_that_was_moved_goes_on_with_its_named_run(
    lrctl: Lrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*SMOKE, "--workload", "net.py:Net", "--name", "mine", "--json")
    documents: list[Any] = []
    for place in ("here", "there"):
        if documents:
            (tmp_path / "here").rename(tmp_path / place)
        else:
            (tmp_path / place).mkdir()
            (tmp_path / place / "net.py").write_text(NET)
        monkeypatch.chdir(tmp_path / place)
        documents.append(lrctl(*command).document)
    assert documents[0] == documents[1]


def test_json_is_one_strict_document_with_everything_in_it(lrctl: Lrctl) -> None:
    done = lrctl(*SMOKE, "--json")
    document = done.document
    assert set(KEYS.split()) <= set(document)
    assert (document["command"], document["status"]) == ("semilocal", "done")
    assert document["schedule"]["family"] == "piecewise-linear"
    assert [segment["k"] for segment in document["segments"]] == [1, 2, 3, 4]
    for segment in document["segments"]:
        assert set(SEGMENT.split()) <= set(segment)
        assert all(set(candidate) == set(CANDIDATE.split()) for candidate in segment["candidates"])
        assert segment["chosen"] in [candidate["lr"] for candidate in segment["candidates"]]
    assert set(document["cost"]) == set(COST.split())
    assert document["cost"]["jobs"] == sum(len(segment["candidates"]) for segment in document["segments"])
    assert document["cost"]["full_runs"] == document["cost"]["steps_trained"] / 40
    assert document["cost"]["reference_full_runs"] == 1.0
    assert len(re.findall(r"^segment \d:", done.err, re.MULTILINE)) == 4


def test_the_loss_of_a_diverged_candidate_is_null(lrctl: Lrctl) -> None:
    document = lrctl(*SMOKE, "--grid", "0.1,1e30", "--segments", "1", "--json", "--quiet").document
    (segment,) = document["segments"]
    assert [(c["lr"], c["status"]) for c in segment["candidates"]] == [(0.1, "ok"), (1e30, "diverged")]
    assert segment["candidates"][1]["mean_loss"] is None
    assert segment["chosen"] == 0.1


def test_a_run_leaves_its_schedule_recipe_and_result(lrctl: Lrctl) -> None:
    document = lrctl(*SMOKE, "--json", "--quiet", "--name", "mine").document
    run = Path(".lrctl/runs/mine")
    files = document.pop("files")
    assert {name: Path(path).exists() for name, path in files.items()} == {
        "schedule": True,
        "checkpoint": True,
        "result": True,
    }
    assert json.loads((run / "result.json").read_text()) == document
    schedule = json.loads((run / "schedule.json").read_text())
    assert schedule["format"] == "lrctl-schedule/1"
    assert schedule["steps"] == 40
    assert schedule["schedule"] == document["schedule"]
    knots = schedule["schedule"]["params"]["knots"]
    assert knots == [[0, 0.0], *([s["stop"], s["chosen"]] for s in document["segments"])]
    assert schedule["made_by"] == {"lrctl": package.__version__, "command": "semilocal", "run": "mine"}
    assert "[training]" in (run / "recipe.toml").read_text()
    assert json.loads((run / "environment.json").read_text())["device"] == "cpu"


def test_a_finished_run_returns_at_once_with_the_same_document(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lrctl(*SMOKE, "--json", "--quiet")

    def untouched(*_: object) -> None:
        raise AssertionError("it trained")

    monkeypatch.setattr("lrctl.training.trainer.train", untouched)
    again = lrctl(*SMOKE, "--json", "--quiet")
    assert (again.code, again.out) == (0, first.out)
    assert lrctl(*SMOKE, "--json", "--quiet", "--fresh").code == 1


def test_quiet_prints_nothing_on_stderr(lrctl: Lrctl) -> None:
    done = lrctl(*SMOKE, "--quiet")
    assert (done.code, done.err) == (0, "")
    assert "train loss" in done.out


def test_without_json_stdout_is_for_people_and_names_what_was_written(lrctl: Lrctl) -> None:
    done = lrctl(*SMOKE, "--name", "mine", "--store", "a [b] c", "--quiet")
    assert "semilocal on linear-regression, seed 0, 40 steps" in done.out
    named = [line.partition(": ")[2].strip() for line in done.out.splitlines() if "a [b] c" in line]
    assert len(named) == 3
    assert all(Path(path).is_file() for path in named)


@pytest.mark.parametrize("flags", [[], ["--json"], ["--quiet"]], ids=["for people", "json", "quiet"])
def test_a_dry_run_trains_nothing_and_writes_no_store(flags: list[str], lrctl: Lrctl) -> None:
    done = lrctl(*SMOKE, "--dry-run", *flags)
    assert (done.code, done.err) == (0, "")
    assert not list(Path().iterdir())
    if "--json" in flags:
        assert set(ESTIMATE.split()) <= set(done.document)
        assert done.document["full_runs"] == done.document["steps"] / 40
    else:
        assert "nothing was trained" in done.out
        assert "full runs" in done.out


def test_a_dry_run_knows_the_jobs_in_the_store(lrctl: Lrctl) -> None:
    assert lrctl(*SMOKE, "--segments", "1", "--quiet").code == 0
    document = lrctl(*SMOKE, "--segments", "1", "--dry-run", "--json").document
    assert document["jobs_known"] == document["jobs"] == 2


def test_without_a_recipe_the_default_one_is_named(lrctl: Lrctl) -> None:
    done = lrctl(
        "semilocal", "--dry-run", "--workload", "linear-regression", "--steps", "20", "--set", "optimizer.name=adamw"
    )
    assert done.code == 0
    assert done.error.startswith("recipe: quickstart (")
    assert done.error.endswith("quickstart.toml); --recipe takes another")


def test_the_version_is_printed(lrctl: Lrctl) -> None:
    done = lrctl("--version")
    assert (done.code, done.out, done.err) == (0, f"lrctl {package.__version__}\n", "")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_command(flag: str, lrctl: Lrctl) -> None:
    done = lrctl(flag)
    assert (done.code, done.err) == (0, "")
    for name in ("list", *(part.name for part in registry().of("strategy"))):
        assert f" {name} " in done.out


def test_without_a_command_the_help_is_shown(lrctl: Lrctl) -> None:
    done = lrctl()
    assert done.code == 2
    assert "Usage: " in done.out + done.err


@pytest.mark.parametrize("name", [part.name for part in registry().of("strategy")])
def test_the_help_of_a_strategy_tells_its_parameters_and_the_shared_options(name: str, lrctl: Lrctl) -> None:
    done = lrctl(name, "-h")
    assert (done.code, done.err) == (0, "")
    words = " ".join(done.out.replace("│", " ").split())
    for field in fields_of(registry().get("strategy", name).params):
        given = any(isinstance(mark, GivenSchedule) for mark in field.marks)
        assert ("RUN|schedule.json" if given else f"--{field.name.replace('_', '-')}") in words
        assert field.help.split(";")[0][1:40] in words
    for flag in SHARED.split():
        assert f"--{flag} " in words


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_other_command_is_shown(name: str, lrctl: Lrctl) -> None:
    done = lrctl(name, "-h")
    assert (done.code, done.err) == (0, "")
    words = " ".join(done.out.replace("│", " ").split())
    assert f"Usage: lrctl {name} " in words
    assert "--json" in words or name in ("export", "guide", "new")
    assert f"Example: lrctl {name} " in words


@pytest.mark.parametrize("command", [*registry().names("strategy"), *COMMANDS, "runs list", "recipes show"])
def test_no_help_shows_a_type_for_flags_without_a_value(command: str, lrctl: Lrctl) -> None:
    out = lrctl(*command.split(), "--help").out
    assert "bool" not in out.lower()
    assert "Example: lrctl " in out


def test_the_help_has_its_commands_under_headings_in_whole_sentences(lrctl: Lrctl) -> None:
    out = lrctl("--help").out
    headings = re.findall(r"^(\w+):$", out, re.MULTILINE)
    assert headings == ["Options", "Search", "Compare", "Use", "Manage"]
    words = " ".join(out.split())
    for command in application().commands.values():
        assert f"{command.name} {' '.join(command.help.partition(chr(10))[0].split())}" in words


def test_the_examples_of_the_help_can_be_read(lrctl: Lrctl) -> None:
    """Every example names a command and options that there are; what they work on need not be here."""
    parts = [registry().get("strategy", name) for name in registry().names("strategy")]
    for example in [*EXAMPLES.values(), *(part.example for part in parts if part.example)]:
        words = shlex.split(example.partition(" > ")[0])[1:]
        assert "Usage: " in lrctl(*words, "--help").out


def test_the_help_of_reproduce_names_the_papers_of_the_recipes(lrctl: Lrctl) -> None:
    assert "|".join(papers()) in lrctl("reproduce", "-h").out


def test_list_shows_each_part_on_a_line_of_its_own(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = [line.rstrip() for line in lrctl("list").out.splitlines()]
    parts = [part for kind in KINDS for part in registry().of(kind)]
    assert lines[0].split() == ["kind", "name", "plugin", "marks", "what", "it", "is"]
    facts = [[part.kind, part.name, part.plugin, *", ".join(sorted(part.marks)).split()] for part in parts]
    assert [line.split()[: len(row)] for line, row in zip(lines[1:], facts, strict=False)] == facts
    assert all(line.endswith(part.help) for line, part in zip(lines[1:], parts, strict=False))


def test_debug_is_taken_before_and_after_the_command(lrctl: Lrctl) -> None:
    for arguments in (["--debug", "semilocal"], ["semilocal", "--debug"]):
        done = lrctl(*arguments, "--recipe", "nope")
        assert done.code == 2
        assert "Traceback" in done.err
        assert done.err.splitlines()[-1].startswith("error: --recipe nope: ")


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted; the same command, without --fresh, continues where it stopped"),
        (ZeroDivisionError("x"), 1, "error: ZeroDivisionError: x; this is a fault in lrctl, --debug shows"),
    ],
    ids=["Ctrl-C", "fault"],
)
def test_an_interruption_and_a_fault_end_with_their_code(
    raised: BaseException, code: int, message: str, lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("lrctl.engine.run.search", fail)
    done = lrctl(*SMOKE, "--quiet")
    assert done.code == code
    assert done.error.startswith(message)


def test_a_termination_ends_with_its_code(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrctl.engine.run.search", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    done = lrctl(*SMOKE, "--quiet")
    assert done.code == 143
    assert done.error == "error: terminated; the same command, without --fresh, continues where it stopped"
