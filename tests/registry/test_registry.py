from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from command_line import Lrctl
from lrctl.errors import UsageError
from lrctl.registry.registry import KINDS, registry

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
    "no name": (STRATEGY.replace("name=", "nam="), "TypeError: "),
    "family": (
        STRATEGY.replace("strategies", "schedules").replace("params=Params, ", ""),
        "TypeError: schedule 'flat': the family must be a dataclass",
    ),
    "flag's type": (STRATEGY.replace("[float,", "[dict,"), "TypeError: <class 'dict'> cannot be a flag"),
    "flag's name": (
        STRATEGY.replace("    lr:", "    seed: int = 0\n    lr:"),
        "ValueError: duplicate parameter name: 'se",
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


def test_the_reason_why_a_plugin_is_broken_is_shown_as_it_is(lrctl: Lrctl, installed: Install) -> None:
    installed(spoilt_plugin="raise ValueError('not [bold] [/x]')")
    assert "ValueError: not [bold] [/x]" in lrctl("list").out
    registry.cache_clear()
    assert lrctl("list", "--json").document["broken"] == {"spoilt_plugin": "ValueError: not [bold] [/x]"}


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
    assert seen == [*candidates, (40, 40, "ok")]
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
    assert set(done.err.splitlines()) == {f"warning: an observer of {hook.partition('(')[0]} failed: ValueError: watch"}
    assert done.document["segments"] == sound["segments"]


def test_a_failing_observer_leaves_the_progress_alone(lrctl: Lrctl, installed: Install) -> None:
    installed(watcher=OBSERVER.replace("seen.append", "seen.misspelt"))
    done = lrctl(*SMOKE)
    assert "warning: an observer of job_finished failed: AttributeError" in done.err
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


def test_the_registered_parts_are_listed_as_one_document(lrctl: Lrctl) -> None:
    done = lrctl("list", "--json")
    assert done.err == ""
    assert set(done.document) == {"parts", "broken"}
    expected = [
        {"kind": p.kind, "name": p.name, "plugin": p.plugin, "help": p.help} for k in KINDS for p in registry().of(k)
    ]
    assert done.document["parts"] == expected
    assert json.loads(done.out)["broken"] == {}


def test_a_worker_does_not_repeat_the_warning_of_its_parent(
    lrctl: Lrctl, installed: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(spoilt_plugin="raise ValueError")
    monkeypatch.setattr("multiprocessing.parent_process", lambda: "the parent")
    assert lrctl("list").err == ""
    assert registry().broken == {"spoilt_plugin": "ValueError:"}
