from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.errors import UsageError
from lrctl.registry.parts import KINDS, MARKS
from lrctl.registry.registry import registry

Install = Callable[..., None]

SMOKE = (
    "semilocal",
    "--recipe",
    "smoke",
    "--executor",
    "serial",
    "--grid",
    "0.1",
    "--grid-size",
    "1",
    "--segments",
    "2",
)

STRATEGY = """
from dataclasses import dataclass
from typing import Annotated
from lrctl import hookimpl
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, SearchResult

@dataclass(frozen=True)
class Params:
    lr: Annotated[float, "the LR of every step"] = 0.01

def flat(params, run):
    schedule = PiecewiseLinear(((0, params.lr),))
    (result,) = yield Batch("the run", [SegmentJob(0, run.steps, schedule)])
    return SearchResult(schedule, result.key)

@hookimpl
def register_strategies(register):
    register(flat, name="flat", params=Params, help="one LR for the whole run")
"""

OBSERVER = """
from lrctl import hookimpl

seen = []

@hookimpl
def job_finished(job, result):
    seen.append((job.start, job.stop, result.status))
"""

BROKEN = {
    "import": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "hook": (
        STRATEGY.replace("    register(flat", "    1 / 0\n    register(flat"),
        "ZeroDivisionError: division by zero",
    ),
    "later in the hook": (STRATEGY + "    raise RuntimeError('late')", "RuntimeError: late"),
    "usage error": (
        STRATEGY + "    from lrctl.errors import UsageError\n    raise UsageError('mine')",
        "UsageError: mine",
    ),
    "params": (STRATEGY.replace("params=Params", "params=dict"), "TypeError: strategy 'flat': params must be a datac"),
    "part": (
        STRATEGY.replace("register(flat", "register('flat'"),
        "TypeError: strategy 'flat': must be something that",
    ),
    "string's module": (
        STRATEGY.replace("register(flat", "register('no_such_module:flat'"),
        "ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "string's name": (
        STRATEGY.replace("register(flat", "register('spoilt_plugin:flatt'"),
        "AttributeError: module 'spoilt_plugin' has no attribute 'flatt'",
    ),
    "string of the params": (
        STRATEGY.replace("params=Params", "params='spoilt_plugin:flat'"),
        "TypeError: strategy 'flat': params must be a dataclass",
    ),
    "mark": (
        STRATEGY.replace("help=", "referense=True, help="),
        "TypeError: strategy 'flat': register() got an unexpected argument 'referense'",
    ),
    "no name": (STRATEGY.replace("name=", "nam="), "TypeError: "),
    "family": (
        STRATEGY.replace("strategies", "schedules").replace("params=Params, ", ""),
        "TypeError: schedule 'flat': the family must be a dataclass",
    ),
    "flag's type": (STRATEGY.replace("[float,", "[dict,"), "TypeError: <class 'dict'> cannot be a flag"),
    "flag's name": (
        STRATEGY.replace("    lr:", "    seed: int = 0\n    lr:"),
        "TypeError: strategy 'flat': Params.seed: every command has that flag; choose another name",
    ),
    "unknown type": (STRATEGY.replace("[float,", "['Nope',"), "NameError: name 'Nope' is not defined"),
    "hook's arguments": (
        STRATEGY.replace("register_strategies(register)", "register_strategies(wrong)"),
        "PluginValid",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_one_warning_and_a_row_and_nothing_else(
    source: str, reason: str, lrctl: Lrctl, installed: Install
) -> None:
    installed(spoilt_plugin=source, sound_plugin=STRATEGY.replace('"flat"', '"sound"'))
    listed = lrctl("list")
    assert listed.code == 0
    (warning,) = listed.err.splitlines()
    assert warning.startswith(f"warning: plugin spoilt_plugin is not used: {reason}")
    assert warning.endswith("update or uninstall it, or leave it out with LRCTL_PLUGINS")
    rows = [line.split(maxsplit=2) for line in listed.out.splitlines()]
    assert [row[1] for row in rows if row[0] == "broken"] == ["spoilt_plugin"]
    assert "flat" not in [row[1] for row in rows]
    assert {"semilocal", "local", "sound", "serial", "gpt"} <= {row[1] for row in rows}
    registry.cache_clear()
    done = lrctl("sound", "--recipe", "smoke", "--executor", "serial", "--quiet")
    assert done.code == 0


def test_a_plugin_that_exits_is_broken(lrctl: Lrctl, installed: Install) -> None:
    installed(spoilt_plugin="raise SystemExit(5)")
    assert lrctl("list", "--json").document["broken"] == {"spoilt_plugin": "SystemExit: 5"}


def test_the_reason_why_a_plugin_is_broken_is_shown_as_it_is(lrctl: Lrctl, installed: Install) -> None:
    installed(spoilt_plugin="raise ValueError('not [bold] [/x]')")
    assert "ValueError: not [bold] [/x]" in lrctl("list").out
    registry.cache_clear()
    assert lrctl("list", "--json").document["broken"] == {"spoilt_plugin": "ValueError: not [bold] [/x]"}


@pytest.mark.parametrize("fault", ["string's module", "string's name", "flag's type"])
def test_a_strategy_that_cannot_be_used_ends_its_own_command_only(fault: str, lrctl: Lrctl, installed: Install) -> None:
    source, reason = BROKEN[fault]
    installed(spoilt_plugin=source)
    done = lrctl("--help")
    assert (done.code, done.err) == (0, "")
    assert " flat " in done.out
    done = lrctl("flat", "--recipe", "smoke")
    assert (done.code, done.out) == (2, "")
    warning, error = done.err.splitlines()
    assert warning.startswith(f"warning: plugin spoilt_plugin is not used: {reason}")
    assert error == "error: strategy 'flat' cannot be used: its plugin spoilt_plugin is broken"
    assert lrctl("semilocal", "--help").code == 0


def test_a_plugin_that_is_broken_in_one_kind_is_not_used_in_another(lrctl: Lrctl, installed: Install) -> None:
    workload = "\n@hookimpl\ndef register_workloads(register):\n    register(flat, name='w', help='')\n"
    installed(spoilt_plugin=STRATEGY + "    raise RuntimeError('late')\n" + workload + OBSERVER)
    done = lrctl("list")
    assert len(done.err.splitlines()) == 1
    assert " w " not in done.out
    assert lrctl(*SMOKE, "--quiet").code == 0
    assert sys.modules["spoilt_plugin"].seen == []


@pytest.mark.parametrize("kind", KINDS)
def test_two_parts_of_one_kind_and_name_are_an_error_that_names_both_plugins(
    kind: str, lrctl: Lrctl, installed: Install
) -> None:
    name = registry().of(kind)[0].name
    plugin = registry().of(kind)[0].plugin
    hook = f"\n@hookimpl\ndef register_{KINDS[kind]}(register):\n    register(Params, name='{name}', help='x')\n"
    installed(copycat=STRATEGY.partition("@hookimpl")[0] + hook)
    done = lrctl("list")
    assert (done.code, done.out) == (2, "")
    assert done.error == (
        f"error: {kind} '{name}' is registered by plugin {plugin} and by plugin copycat; "
        "remove one, or restrict what is loaded with LRCTL_PLUGINS"
    )


def test_one_name_may_stand_for_parts_of_two_kinds(lrctl: Lrctl, installed: Install) -> None:
    installed(other=STRATEGY.replace('"flat"', '"serial"'))
    assert lrctl("list").code == 0


def test_a_misspelt_hook_is_an_error_in_pluggys_form(lrctl: Lrctl, installed: Install) -> None:
    installed(misspelt=STRATEGY.replace("register_strategies", "register_strategy"))
    done = lrctl("list")
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith("error: unknown hook 'register_strategy' in plugin ")
    assert "misspelt" in done.error


@pytest.mark.parametrize(
    ("restriction", "found"),
    [
        (None, ["flat", "other"]),
        ("", []),
        (" , ", []),
        ("one", ["flat"]),
        ("one, two", ["flat", "other"]),
        ("two,strategies", ["other"]),
    ],
    ids=["all", "none", "blank", "one", "both", "with a built-in"],
)
def test_the_environment_restricts_which_plugins_are_loaded(
    restriction: str | None, found: list[str], lrctl: Lrctl, installed: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(one=STRATEGY, two=STRATEGY.replace('"flat"', '"other"'))
    if restriction is not None:
        monkeypatch.setenv("LRCTL_PLUGINS", restriction)
    parts = lrctl("list", "--json").document["parts"]
    assert [part["name"] for part in parts if part["plugin"] in ("one", "two")] == found
    assert {"semilocal", "piecewise-linear", "gpt", "serial"} <= {part["name"] for part in parts}


def test_a_plugin_that_is_left_out_is_not_even_imported(
    lrctl: Lrctl, installed: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(spoilt_plugin="raise ValueError")
    monkeypatch.setenv("LRCTL_PLUGINS", "")
    done = lrctl("list")
    assert (done.code, done.err) == (0, "")
    assert "broken" not in done.out


def test_a_plugin_that_is_not_installed_cannot_be_asked_for(
    lrctl: Lrctl, installed: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(one=STRATEGY)
    monkeypatch.setenv("LRCTL_PLUGINS", "onne")
    done = lrctl("list")
    assert done.code == 2
    assert done.error == "error: LRCTL_PLUGINS: onne: unknown plugin; did you mean 'one'?"


def test_an_observer_sees_every_job_also_the_known_ones(lrctl: Lrctl, installed: Install) -> None:
    installed(watcher=OBSERVER)
    document = lrctl(*SMOKE, "--quiet", "--json").document
    seen = list(sys.modules["watcher"].seen)
    candidates = [(s["start"], s["stop"], "ok") for s in document["segments"] for _ in s["candidates"]]
    assert seen == [*candidates, (0, 40, "ok"), (40, 40, "ok")]
    assert document["cost"]["jobs"] == len(candidates)
    sys.modules["watcher"].seen.clear()
    assert lrctl(*SMOKE, "--quiet", "--name", "again").code == 0
    assert sorted(sys.modules["watcher"].seen) == sorted(seen)


@pytest.mark.parametrize("hook", ["batch_started(batch)", "job_finished(job)", "search_finished(result)"])
def test_an_observer_that_raises_is_a_warning_and_changes_nothing(hook: str, lrctl: Lrctl, installed: Install) -> None:
    sound = lrctl(*SMOKE, "--quiet", "--json", "--store", "sound").document
    installed(watcher=f"from lrctl import hookimpl\n@hookimpl\ndef {hook}:\n    raise ValueError('watch')")
    done = lrctl(*SMOKE, "--quiet", "--json")
    assert done.code == 0
    assert set(done.err.splitlines()) == {
        f"warning: plugin watcher: its observer {hook.partition('(')[0]} failed: ValueError: watch"
    }
    assert done.document["segments"] == sound["segments"]


def test_a_failing_observer_leaves_the_progress_alone(lrctl: Lrctl, installed: Install) -> None:
    installed(watcher=OBSERVER.replace("seen.append", "seen.misspelt"))
    done = lrctl(*SMOKE)
    assert "warning: plugin watcher: its observer job_finished failed: AttributeError" in done.err
    assert [line[:9] for line in done.err.splitlines() if line.startswith("segment")] == ["segment 1", "segment 2"]


def test_parts_tell_their_plugin_and_help(installed: Install) -> None:
    installed(one=STRATEGY)
    part = registry().get("strategy", "flat")
    assert (part.kind, part.name, part.plugin, part.help) == ("strategy", "flat", "one", "one LR for the whole run")
    assert registry().of("strategy")[-1] is part


def test_a_kind_is_registered_when_it_is_first_asked_for(installed: Install) -> None:
    installed(one=STRATEGY + "    print('strategies')")
    found = registry()
    assert found.parts == {}
    found.of("schedule")
    assert list(found.parts) == ["schedule"]


def test_a_schedule_whose_class_is_not_registered_has_no_family() -> None:
    with pytest.raises(UsageError, match="schedule family dict is not registered; register it in register_schedules"):
        registry().family({})


BY_STRING = """
from lrctl import hookimpl

@hookimpl
def register_strategies(register):
    register("later.search:flat", name="flat", params="later.search:Params", help="one LR", reference=True)

@hookimpl
def register_schedules(register):
    register("later:Other", name="other", help="a family under the name of a module that only imports it")
"""

FAMILY = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Other:
    steps: int

    def __call__(self, step):
        return 1.0
"""


@pytest.fixture
def strings(tmp_path: Path, installed: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that registers the parts of a package `later` by strings."""
    installed(strings=BY_STRING)
    (tmp_path / "site" / "later").mkdir()
    for name, source in {
        "__init__": "from later.family import Other",
        "family": FAMILY,
        "search": STRATEGY.partition("@hookimpl")[0],
    }.items():
        (tmp_path / "site" / "later" / f"{name}.py").write_text(source)
    for module in ("later", "later.family", "later.search"):
        monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.mark.usefixtures("strings")
def test_a_part_given_as_a_string_is_imported_when_it_is_asked_for() -> None:
    assert registry().names("strategy")[-1] == "flat"
    assert registry().marked("strategy", "reference") == ["baseline", "flat"]
    assert "later" not in sys.modules
    part = registry().get("strategy", "flat")
    module = sys.modules["later.search"]
    assert (part.target, part.params) == (module.flat, module.Params)
    assert registry().broken == {}


@pytest.mark.usefixtures("strings")
def test_the_family_of_a_schedule_is_found_without_importing_the_others() -> None:
    wsd = registry().get("schedule", "wsd").target(steps=10, peak_lr=0.1)
    assert registry().family(wsd) == "wsd"
    assert "later" not in sys.modules


@pytest.mark.usefixtures("strings")
def test_a_family_may_be_registered_under_another_modules_name() -> None:
    assert registry().family(registry().get("schedule", "other").target(steps=3)) == "other"


@pytest.mark.parametrize("kind", KINDS)
def test_a_built_in_part_is_registered_under_the_name_of_the_module_that_defines_it(kind: str) -> None:
    built_in = [part for part in registry().of(kind) if part.plugin.startswith("lrctl_")]
    assert built_in
    for part in built_in:
        assert part.registered == f"{part.target.__module__}:{part.target.__qualname__}"


def test_the_parts_that_lrctl_itself_needs_are_marked() -> None:
    marks = [(kind, mark) for kind in KINDS for mark in MARKS[kind]]
    assert {f"{kind} {mark}": registry().marked(kind, mark) for kind, mark in marks} == {
        "strategy goes_on": ["lookahead", "semilocal", "local"],
        "strategy reference": ["baseline"],
        "schedule reference": ["wsd"],
        "workload program": ["program"],
        "executor in_process": ["serial"],
        "executor ahead": ["processes", "ray"],
        "executor parallel": ["processes"],
    }


def test_the_registered_parts_are_listed_as_one_document(lrctl: Lrctl) -> None:
    done = lrctl("list", "--json")
    assert done.err == ""
    assert set(done.document) == {"parts", "plugins", "broken"}
    facts = ("kind", "name", "plugin", "help")
    expected = [
        {fact: getattr(part, fact) for fact in facts} | {"marks": sorted(part.marks)}
        for kind in KINDS
        for part in registry().of(kind)
    ]
    parts = [{name: part[name] for name in (*facts, "marks")} for part in done.document["parts"]]
    assert [part for part in parts if part["kind"] in KINDS] == expected
    assert done.document["broken"] == {}


def test_a_worker_does_not_repeat_the_warning_of_its_parent(
    lrctl: Lrctl, installed: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(spoilt_plugin="raise ValueError")
    monkeypatch.setattr("multiprocessing.parent_process", lambda: "the parent")
    assert lrctl("list").err == ""
    assert registry().broken == {"spoilt_plugin": "ValueError:"}
