from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command_line import Done, Lrctl
from lrctl.registry.parts import KINDS
from lrctl.registry.registry import registry

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "lrctl" / "guide" / "reference" / "hooks.md").read_text(encoding="utf-8")
BLOCKS = {
    match[1].removesuffix(".py"): match[0]
    for match in re.finditer(r"(?<=```python\n)# (\w+\.py)\n.*?(?=```)", PAGE, re.S)
}
PLUGINS = {name: source for name, source in BLOCKS.items() if "@hookimpl" in source}

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "lrctl-sweep"
version = "1.0"

[project.entry-points.lrctl]
sweep = "lrctl_sweep.plugin"

[tool.hatch.build.targets.wheel]
packages = ["lrctl_sweep"]
"""

PLUGIN = '''
"""A strategy, a schedule family, a workload and an executor that lrctl has never heard of."""

from dataclasses import dataclass
from typing import Annotated, Literal, Optional

from lrctl import hookimpl
from lrctl.contracts.executor import Attempt
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch, SearchResult


@dataclass(frozen=True)
class Hill:
    peak: float
    steps: int
    power: float = 1.0

    def __call__(self, step):
        return self.peak * (4 * step * (self.steps - step) / self.steps**2) ** self.power


@dataclass(frozen=True)
class SweepParams:
    peaks: Annotated[tuple[float, ...], "the peaks to try"]
    shape: Annotated[Literal["round", "sharp"], "form of the hill"] = "round"
    most: Annotated[Optional[float], "peaks above this are left out"] = None
    worst: Annotated[bool, "choose the highest loss instead of the lowest"] = False
    rounds: Annotated[int, "how often each peak is tried"] = 1

    def __post_init__(self):
        if self.rounds < 1:
            raise ValueError(f"rounds: must be at least 1, got {self.rounds}")


def sweep(params, run):
    power = {"round": 1.0, "sharp": 2.0}[params.shape]
    peaks = [peak for peak in params.peaks if params.most is None or peak <= params.most]
    jobs = [SegmentJob(0, run.steps, Hill(peak, run.steps, power)) for peak in peaks]
    for _ in range(params.rounds):
        results = yield Batch("all hills", jobs)
    choose = max if params.worst else min
    chosen = choose(range(len(jobs)), key=lambda i: results[i].mean_loss)
    return SearchResult(jobs[chosen].schedule, results[chosen].key)


@dataclass(frozen=True)
class WellParams:
    depth: Annotated[float, "how deep it is"]


@dataclass(frozen=True)
class Well:
    params: WellParams
    seed: int

    def model(self):
        import torch

        return torch.nn.Linear(2, 1)

    def batch(self, step):
        import torch

        return torch.randn(4, 2, generator=torch.Generator().manual_seed(step))

    def loss(self, model, batch):
        return self.params.depth * model(batch).square().mean()

    def evaluate(self, model, split):
        return {"loss": float(self.loss(model, self.batch({"validation": 10**6, "test": 10**7}[split])))}


@dataclass(frozen=True)
class BackwardsParams:
    pass


@dataclass(frozen=True)
class Backwards:
    params: BackwardsParams
    attempt: Attempt

    def run(self, spec, jobs):
        for job in reversed(jobs):
            yield self.attempt(spec, job)

    def close(self):
        pass


@hookimpl
def register_strategies(register):
    register(sweep, name="sweep", params=SweepParams, help="a hill per peak")


@hookimpl
def register_schedules(register):
    register(Hill, name="hill", help="a parabola to some power")


@hookimpl
def register_workloads(register):
    register(Well, name="well", params=WellParams, help="a quadratic well")


@hookimpl
def register_executors(register):
    register(Backwards, name="backwards", params=BackwardsParams, help="the last job first")
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed from a wheel that was built here."""
    project, site = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    (project / "lrctl_sweep").mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / "lrctl_sweep" / "__init__.py").touch()
    (project / "lrctl_sweep" / "plugin.py").write_text(PLUGIN)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(site), str(project)], check=True)
    return site


@pytest.fixture
def sweep(site: Path, lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lrctl]:
    """The command line with the package on the path."""
    monkeypatch.delenv("LRCTL_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(str(site))
    registry.cache_clear()
    yield lrctl
    registry.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "lrctl_sweep"]:
        del sys.modules[name]


def test_an_installed_package_brings_parts_of_every_kind(site: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LRCTL_")} | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-c", "from lrctl.cli import main; main()", "list", "--json"]
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    done = Done(process.returncode, process.stdout, process.stderr)
    assert (done.code, done.err) == (0, "")
    parts = [part for part in done.document["parts"] if part["plugin"] == "lrctl_sweep.plugin"]
    assert [(part["kind"], part["name"]) for part in parts] == [
        ("strategy", "sweep"),
        ("schedule", "hill"),
        ("workload", "well"),
        ("executor", "backwards"),
    ]


def test_an_installed_strategy_has_a_command_with_a_flag_and_help_per_parameter(sweep: Lrctl) -> None:
    done = sweep("sweep", "--help")
    assert (done.code, done.err) == (0, "")
    words = " ".join(done.out.replace("│", " ").split())
    assert "A hill per peak." in words
    for flag, text in {
        "--peaks NUMBER,...": "The peaks to try. It is required.",
        "--shape round|sharp": "Form of the hill. Default: round.",
        "--most NUMBER": "Peaks above this are left out. Default: none.",
        "--worst --no-worst": "Choose the highest loss instead of the lowest. Default: off.",
        "--rounds INTEGER": "How often each peak is tried. Default: 1.",
    }.items():
        assert f"{flag} {text}" in words
    assert "sweep" in sweep("--help").out


def test_a_search_runs_with_installed_parts_only(sweep: Lrctl, tmp_path: Path) -> None:
    parts = (
        "sweep --recipe smoke --workload well --set workload.depth=2 --executor backwards --set optimizer.name=adamw"
    )
    flags = "--steps 6 --peaks 0.1,0.2,0.9 --shape sharp --most 0.5 --worst --rounds 2 --json --quiet"
    done = sweep(*parts.split(), *flags.split())
    assert (done.code, done.err) == (0, "")
    document = done.document
    assert (document["command"], document["workload"], document["status"]) == ("sweep", "well", "done")
    assert document["schedule"] == {"family": "hill", "params": {"peak": 0.1, "steps": 6, "power": 2.0}}
    assert document["cost"]["jobs"] == 2
    saved = json.loads((tmp_path / ".lrctl/runs" / document["run"] / "schedule.json").read_text())
    assert saved["schedule"] == document["schedule"]


def test_the_errors_of_an_installed_strategy_are_like_those_of_a_built_in_one(sweep: Lrctl) -> None:
    done = sweep("sweep", "--recipe", "smoke", "--executor", "serial")
    assert (done.code, done.error) == (
        2,
        "error: smoke: strategy.sweep.peaks: missing; give a list of numbers: the peaks to try",
    )
    done = sweep("sweep", "--recipe", "smoke", "--peaks", "1", "--rounds", "0")
    assert (done.code, done.error) == (2, "error: smoke: strategy.sweep.rounds: must be at least 1, got 0")
    done = sweep("semilocal", "--recipe", "smoke", "--workload", "well")
    assert (done.code, done.error) == (2, "error: smoke: workload.depth: missing; give a number: how deep it is")


# The page about plugins


def test_the_page_shows_each_hook() -> None:
    from lrctl.registry import hookspecs

    hooks = [
        name for name, function in inspect.getmembers(hookspecs, inspect.isfunction) if hasattr(function, "lrctl_spec")
    ]
    assert len(hooks) == 13
    for hook in set(hooks) - {"job_started", "job_placed", "working_ahead"}:  # which lrctl's own progress is told alone
        assert f"| `{hook}(" in PAGE
        assert any(f"@hookimpl\ndef {hook}(" in source for source in PLUGINS.values())


def test_the_built_in_plugins_import_only_what_the_page_calls_public() -> None:
    public = set(re.findall(r"^\| `(lrctl[a-z_.]*)` \|", PAGE, re.M))
    assert len(public) == 7
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "plugins").rglob("*.py")]
    imported = {name for text in sources for name in re.findall(r"(?:from|import) (lrctl(?:\.\w+)*)", text)}
    assert "lrctl.registry.registry" in imported
    packages = ("lrctl.contracts", "lrctl.registry")
    assert [name for name in sorted(imported - public) if name.rpartition(".")[0] not in packages] == []


def test_the_pages_package_names_the_pages_plugins() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    project = tomllib.loads(block)
    assert sorted(project["project"]["entry-points"]["lrctl"].values()) == sorted(PLUGINS)
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == [f"{name}.py" for name in PLUGINS]


def test_the_pages_plugins_register_a_part_of_each_kind(installed: Callable[..., None]) -> None:
    installed(**PLUGINS)
    found = {kind: [part.name for part in registry().of(kind) if part.plugin in PLUGINS] for kind in KINDS}
    assert found == {
        "strategy": ["best-constant"],
        "schedule": ["bump", "drop-on-rise"],
        "workload": ["fit-line"],
        "executor": ["logged"],
        "tracker": ["ledger"],
    }
    assert registry().broken == {}


@pytest.mark.parametrize("command", re.findall(r"`lrctl ((?:best-constant|semilocal|greedy) .*?)`", PAGE))
def test_a_command_of_the_page_works(command: str, lrctl: Lrctl, installed: Callable[..., None]) -> None:
    installed(**PLUGINS)
    own = [] if "--executor" in command else ["--executor", "serial"]
    done = lrctl(*command.split(), *own, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    log = Path("jobs.log")
    trained = log.read_text().splitlines() if log.exists() else []
    beside = "reference" in done.document
    assert len(trained) == (done.document["cost"]["jobs"] + 1 + beside if "logged" in command else 0)
    diary = Path("diary.txt").read_text().splitlines()
    assert sum(line.endswith(" known") for line in diary) == len(done.document["segments"] or "1") + 1 + beside
    again = command.startswith("greedy")  # what is handed over is trained once more, for its checkpoint
    assert sum(line.startswith("steps ") for line in diary) == done.document["cost"]["jobs"] + 1 + beside + again
    assert diary[-1] == f"{done.document['run']}: test loss {done.document['test_loss']}"


def test_the_pages_schedule_is_read_from_a_file(tmp_path: Path, installed: Callable[..., None]) -> None:
    import lrctl

    installed(**PLUGINS)
    schedule = {"family": "bump", "params": {"peak_lr": 0.5, "steps": 10}}
    (tmp_path / "s.json").write_text(json.dumps({"format": "lrctl-schedule/1", "steps": 10, "schedule": schedule}))
    found = lrctl.load_schedule(tmp_path / "s.json")
    assert [found(step) for step in (0, 5, 10)] == [0.0, 0.5, 0.0]


TESTS = {name: source for name, source in BLOCKS.items() if name.startswith("test_")}


@pytest.mark.parametrize("test", TESTS)
def test_the_pages_tests_pass(test: str, installed: Callable[..., None], request: pytest.FixtureRequest) -> None:
    installed(**PLUGINS)
    module: dict[str, Callable[..., None]] = {}
    exec(compile(TESTS[test], f"{test}.py", "exec"), module)
    (function,) = (each for name, each in module.items() if name.startswith("test_"))
    function(*map(request.getfixturevalue, inspect.signature(function).parameters))


def test_the_page_has_a_test_for_each_plugin() -> None:
    assert sorted(TESTS) == sorted(f"test_{name}" for name in PLUGINS)


FLAT = """
from dataclasses import dataclass
from lrctl import hookimpl

@dataclass(frozen=True)
class Flat:
    steps: int
    peak_lr: float
    def __call__(self, step): return SHARE * self.peak_lr

@hookimpl
def register_schedules(register): register(Flat, name="flat", help="the same LR at every step")
"""


def test_a_family_whose_formula_changed_is_noticed_and_trained_anew(
    installed: Callable[..., None], lrctl: Lrctl, tmp_path: Path
) -> None:
    command = ["baseline", "--recipe", "smoke", "--executor", "serial", "--family", "flat", "--grid", "0.1", "--json"]
    installed(flat=FLAT.replace("SHARE", "1.0"))
    first = lrctl(*command, "--quiet").document
    assert lrctl(*command, "--quiet").document == first
    (tmp_path / "site" / "flat.py").write_text(FLAT.replace("SHARE", "0.50"))  # of another size, so read again
    sys.modules.pop("flat")
    registry.cache_clear()
    for reader in (["export", first["run"], "--to", "csv"], ["fit-closed-form", first["run"], "--quiet"]):
        done = lrctl(*reader)
        assert (done.code, done.out) == (2, "")
        assert "family flat gives other LRs now than the run was trained with" in done.err
    again = lrctl(*command, "--quiet").document
    assert again["run"] == first["run"]
    assert again["test_loss"] != first["test_loss"]
    assert lrctl("export", first["run"], "--to", "csv").out.splitlines()[1] == "0,0.05"
