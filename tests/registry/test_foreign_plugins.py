"""What a plugin does when it is imported or registers its parts is its own affair, and no other command's end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.cli import commands
from lrctl.cli.shared import shared_options
from lrctl.errors import UsageError
from lrctl.registry.parts import COMMANDS, FLAGS, KINDS
from lrctl.registry.registry import registry

Install = Callable[..., None]

PART = """
from dataclasses import dataclass
from typing import Annotated
from lrctl import hookimpl
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, SearchResult

@dataclass(frozen=True)
class Params:
    lr: Annotated[float, "the LR of every step"] = 0.01

@dataclass(frozen=True)
class Flat:
    steps: int
    peak_lr: float = 0.1
    def __call__(self, step): return self.peak_lr

def flat(params, run):
    schedule = PiecewiseLinear(((0, params.lr),))
    (result,) = yield Batch("the run", [SegmentJob(0, run.steps, schedule)])
    return SearchResult(schedule, result.key)

"""

HOOK = """
@hookimpl
def register_strategies(register):
    register(flat, name="flat", params=Params, help="one LR")
"""

RUN = ["flat", "--recipe", "smoke", "--executor", "serial", "--quiet", "--json"]


@pytest.mark.parametrize("raised", ["SystemExit(3)", "GeneratorExit()", "BaseException('base')", "RecursionError()"])
@pytest.mark.parametrize("place", ["import", "hook", "string"])
def test_whatever_a_plugin_raises_it_is_a_row_and_nothing_else(
    raised: str, place: str, lrctl: Lrctl, installed: Install, tmp_path: Path
) -> None:
    (tmp_path / "site" / "lazy.py").write_text(f"raise {raised}")
    source = {
        "import": PART + f"raise {raised}",
        "hook": PART + HOOK + f"    raise {raised}",
        "string": PART + HOOK.replace("flat,", "'lazy:flat',"),
    }[place]
    installed(spoilt=source)
    assert lrctl("--help").code == 0
    listed = lrctl("list", "--json")
    assert listed.code == 0
    assert listed.document["broken"]["spoilt"].startswith(raised.partition("(")[0] + ":")
    assert "spoilt" not in [plugin["plugin"] for plugin in listed.document["plugins"]]
    assert "semilocal" in [part["name"] for part in listed.document["parts"]]


def test_an_interrupt_while_a_plugin_is_imported_is_an_interrupt(lrctl: Lrctl, installed: Install) -> None:
    installed(slow="raise KeyboardInterrupt")
    assert lrctl("list").code == 130


@pytest.mark.parametrize("place", ["import", "hook", "string"])
def test_what_a_plugin_prints_gets_into_no_document(
    place: str, lrctl: Lrctl, installed: Install, tmp_path: Path
) -> None:
    noise = "print('hello from a plugin')\n"
    (tmp_path / "site" / "lazy.py").write_text(noise + PART)
    source = {
        "import": noise + PART + HOOK,
        "hook": PART + HOOK + f"    {noise}",
        "string": PART + HOOK.replace("flat,", "'lazy:flat',").replace("=Params", "='lazy:Params'"),
    }[place]
    for command in (["list", "--json"], RUN, ["runs", "--json"], ["export", "NAME", "--to", "json"]):
        installed(noisy=source)
        sys.modules.pop("lazy", None)
        name = lrctl("runs", "--json").document["runs"][0]["run"] if "NAME" in command else ""
        done = lrctl(*(name if word == "NAME" else word for word in command))
        assert done.code == 0
        assert isinstance(done.document, dict)
        assert "hello" not in done.out
        assert "hello from a plugin" in done.err or command[0] in ("runs", "export")


NOISY_FAMILY = """
@dataclass(frozen=True)
class Loud:
    steps: int
    peak_lr: float = 0.1
    def __post_init__(self): print("hello")
    def __call__(self, step):
        print("hello")
        return self.peak_lr

@hookimpl
def register_schedules(register): register(Loud, name="loud", help="prints")
"""


def test_what_a_part_prints_gets_into_no_document(lrctl: Lrctl, installed: Install) -> None:
    installed(loud=PART + NOISY_FAMILY)
    baseline = ["baseline", *RUN[1:], "--family", "loud", "--grid", "0.1"]
    run = lrctl(*baseline).document["run"]
    for command in (
        [*baseline, "--dry-run"],
        baseline,
        ["runs", "--json"],
        ["runs", "show", run, "--json"],
        ["compare", run, "--json"],
        ["report", run, "--json", "--out", "page"],
        ["export", run, "--to", "json"],
        ["export", run, "--to", "csv"],
        ["fit-closed-form", run, "--json", "--quiet"],
    ):
        done = lrctl(*command)
        assert done.code == 0, done.err
        assert "hello" not in done.out


def test_an_installed_plugin_prints_into_no_document_either(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "noisy-1.dist-info").mkdir(parents=True)
    (site / "noisy-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: noisy\nVersion: 1\n")
    (site / "noisy-1.dist-info" / "entry_points.txt").write_text("[lrctl]\nnoisy = noisy\n")
    (site / "noisy.py").write_text("print('hello')\n" + PART + HOOK)
    program = f"import sys; sys.path.insert(0, {str(site)!r}); from lrctl.cli import main; main()"
    command = [sys.executable, "-c", program, "list", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith("{")
    assert done.stderr == "hello\n"


def test_the_list_tells_how_long_each_plugin_takes_and_what_is_heavy_in_it(
    lrctl: Lrctl, installed: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # or what is imported now would stay
    monkeypatch.delitem(sys.modules, "tensorflow")
    (tmp_path / "site" / "tensorflow.py").touch()
    installed(heavy="import tensorflow\n" + PART + HOOK, light=PART)
    rows = {row["plugin"]: row for row in lrctl("list", "--json").document["plugins"]}
    own = {f"lrctl_{kinds}" for kinds in KINDS.values()}
    assert own | {"heavy", "light"} == set(rows)
    assert (rows["heavy"]["heavy"], rows["light"]["heavy"]) == (["tensorflow"], [])
    assert all(row["seconds"] >= 0 for row in rows.values())
    lines = [line for line in lrctl("list").out.splitlines() if line.startswith("plugin")]
    assert [line.split()[1] for line in lines] == list(rows)
    assert lines[list(rows).index("heavy")].rstrip().endswith("s, with tensorflow")


def test_a_plugin_that_takes_long_is_told_of_once(
    lrctl: Lrctl, installed: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.process_time", iter(x * 0.4 for x in range(1000)).__next__)
    installed(slow=PART + HOOK)
    done = lrctl("--help")
    assert done.code == 0
    (warning,) = done.err.splitlines()
    assert warning == ("warning: plugin slow takes long to import: 0.400 s; import what is heavy inside of functions")


REFUSED = {
    "twice": ("register(flat, name='flat', params=Params, help='')\n    " * 2, "strategy 'flat' is registered twice"),
    "no params": ("register(flat, name='flat', help='')", "strategy 'flat': register() needs params, a dataclass"),
    "a command": ("register(flat, name='list', params=Params, help='')", "strategy 'list': lrctl has a command of"),
    "a later command": ("register(flat, name='check', params=Params, help='')", "strategy 'check': lrctl has a com"),
    "no name": ("register(flat, name='', params=Params, help='')", "strategy '': its name must be letters, digits"),
    "a space": ("register(flat, name='a b', params=Params, help='')", "strategy 'a b': its name must be letters"),
    "a line": ("register(flat, name='a\\nb', params=Params, help='')", "strategy 'a\\nb': its name must be letters"),
    "an option": ("register(flat, name='--flat', params=Params, help='')", "strategy '--flat': its name must be"),
    "a number": ("register(flat, name=3, params=Params, help='')", "strategy 3: its name must be letters, digits"),
    "no help": ("register(flat, name='flat', params=Params, help=None)", "strategy 'flat': its help must be a string"),
    "an instance": ("register(flat, name='flat', params=Params(), help='')", "strategy 'flat': params must be a data"),
    "help": (
        "@dataclass\n    class P:\n        help: int = 0\n    register(flat, name='flat', params=P, help='')",
        "strategy 'flat': P.help: every command has that flag; choose another name",
    ),
    "set": (
        "@dataclass\n    class P:\n        set: int = 0\n    register(flat, name='flat', params=P, help='')",
        "strategy 'flat': P.set: every command has that flag; choose another name",
    ),
}


@pytest.mark.parametrize(("hook", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_part_that_could_not_be_used_is_refused_when_it_is_registered(
    hook: str, reason: str, lrctl: Lrctl, installed: Install
) -> None:
    installed(spoilt=f"{PART}@hookimpl\ndef register_strategies(register):\n    {hook}")
    done = lrctl("--help")
    assert done.code == 0
    assert done.err.startswith(f"warning: plugin spoilt is not used: TypeError: {reason}")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["workload", "executor"])
def test_a_part_that_is_built_needs_params(kind: str, lrctl: Lrctl, installed: Install) -> None:
    installed(spoilt=f"{PART}@hookimpl\ndef register_{kind}s(register):\n    register(flat, name='flat', help='')")
    assert lrctl("list", "--json").document["broken"] == {
        "spoilt": f"TypeError: {kind} 'flat': register() needs params, a dataclass; one without fields will do"
    }


def test_no_strategy_can_have_the_name_of_a_command_nor_a_field_that_of_a_shared_flag() -> None:
    assert set(commands.COMMANDS) <= COMMANDS
    every = shared_options(own={"seeds"})  # which a strategy may have itself
    shared = {option.name for option in every}
    spelt = {flag.lstrip("-") for option in every for flag in option.annotation.__metadata__[0].param_decls}
    assert shared | spelt <= FLAGS


def test_two_entry_points_may_name_one_plugin(lrctl: Lrctl, installed: Install) -> None:
    installed(one=PART + HOOK)
    installed(one=PART + HOOK)
    done = lrctl("list")
    assert (done.code, done.err) == (0, "")
    assert [line.split()[1] for line in done.out.splitlines()].count("flat") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_threads_that_ask_at_the_same_time_find_all_parts(kind: str) -> None:
    expected = registry().names(kind)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            registry.cache_clear()
            found: list[object] = []
            start = threading.Barrier(8)

            def ask(found: list[object] = found, start: threading.Barrier = start) -> None:
                start.wait()
                try:
                    found.append((id(registry()), registry().names(kind), registry().get(kind, expected[-1]).name))
                except UsageError as error:
                    found.append(error)

            threads = [threading.Thread(target=ask) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert found == [(id(registry()), expected, expected[-1])] * 8
    finally:
        sys.setswitchinterval(interval)


def test_a_strategy_that_exits_does_not_choose_the_exit_code(lrctl: Lrctl, installed: Install) -> None:
    installed(leaving=PART.replace("schedule = ", "raise SystemExit(3); schedule = ") + HOOK)
    done = lrctl(*RUN)
    assert (done.code, done.document["exit_code"]) == (1, 1)
    assert done.error == "error: SystemExit: 3; this is a fault in plugin leaving, --debug shows where"


def test_a_fault_beneath_a_plugins_part_names_the_plugin(lrctl: Lrctl, installed: Install) -> None:
    summary = "result.key, summary={'x': object()})"
    installed(odd=PART.replace("result.key)", summary) + HOOK)
    done = lrctl(*RUN)
    assert (done.code, done.document["exit_code"]) == (1, 1)
    assert "this is a fault in plugin odd" in done.error


WORKLOAD = """
@dataclass(frozen=True)
class Failing:
    params: Params
    seed: int
    def model(self):
        import torch
        return torch.nn.Linear(1, 1)
    def batch(self, step): raise KeyError("no batch")
    def loss(self, model, batch): return model(batch).sum()
    def evaluate(self, model, split): return {"loss": 1.0}

@hookimpl
def register_workloads(register):
    register(Failing, name="failing", params=Params, help="raises")
"""

EXECUTOR = """
@dataclass(frozen=True)
class Broken:
    params: Params
    attempt: object
    def run(self, spec, jobs): raise KeyError("no workers")
    def close(self): pass

@hookimpl
def register_executors(register):
    register(Broken, name="broken", params=Params, help="raises")
"""


def test_a_workload_that_fails_in_a_job_names_its_plugin(lrctl: Lrctl, installed: Install) -> None:
    installed(sound=PART + HOOK, spoilt=PART + WORKLOAD)
    done = lrctl(*RUN, "--workload", "failing")
    assert (done.code, done.document["exit_code"]) == (1, 1)
    assert "failed with KeyError: 'no batch' (in plugin spoilt); " in done.error


def test_an_executor_that_fails_names_its_plugin(lrctl: Lrctl, installed: Install) -> None:
    installed(sound=PART + HOOK, spoilt=PART + EXECUTOR)
    done = lrctl("local", "--recipe", "smoke", "--quiet", "--executor", "broken")
    assert (done.code, done.out) == (1, "")
    assert done.error == "error: KeyError: 'no workers'; this is a fault in plugin spoilt, --debug shows where"
