"""The command: what it takes and writes, and what it refuses."""

from __future__ import annotations

import ast
import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import searches
from command_line import Lrctl
from export.exports import DOCUMENT, SCHEDULE, exported, text_of
from export.test_formula import imported, lrs_of
from lrctl.cli.export import MODULES
from lrctl.errors import UsageError
from lrctl.export.export import TARGETS
from lrctl.storage.runs import finished
from lrctl.storage.store import Store
from signed import read_signed, write_signed

CRAFTED: dict[str, tuple[str, dict[str, Any]]] = {
    "an option": ("torch.optim.NAdam", {"x=1)\nraise SystemExit('smuggled')\n#": 1}),
    "an option that is a keyword": ("torch.optim.NAdam", {"class": 1}),
    "a name": ("os import sep; raise SystemExit('smuggled'); from torch.optim:NAdam", {}),
    "a class": ("torch.optim.NAdam; raise SystemExit('smuggled')", {}),
    "a file": ("/a/b import sep; raise SystemExit('smuggled'); import c.py:NAdam", {}),
    "a module of lrctl's": ("lrctl.__main__:Muon", {}),
}


def crafted(store: Path, run: str, name: str, options: dict[str, Any]) -> None:
    """Write another optimizer into a run's recipe, with the digests that go with it."""
    from lrctl.recipe.schema import toml_value

    folder = store / "runs" / run
    (folder / "recipe.toml").write_text(
        (folder / "recipe.toml").read_text().partition("[optimizer]")[0]
        + f"[optimizer]\nname = {toml_value(name)}\n[optimizer.options]\n"
        + "".join(f"{toml_value(key)} = {toml_value(value)}\n" for key, value in options.items())
    )
    known = read_signed(folder / "identity.json")
    assert known is not None
    recipe = sha256((folder / "recipe.toml").read_bytes()).hexdigest()
    write_signed(folder / "identity.json", known | {"recipe": recipe})


@pytest.mark.parametrize(("name", "options"), CRAFTED.values(), ids=CRAFTED)
def test_a_store_cannot_smuggle_code_into_an_export(
    name: str, options: dict[str, Any], run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["lrctl", "--version"])  # what such a module would see if it were run
    crafted(tmp_path / ".lrctl", run, name, options)
    for to in ("torch", "transformers", "lightning"):
        text = exported(tmp_path / ".lrctl", run, to)
        ast.parse(text)
        assert "smuggled" not in text
        assert "NAdam" not in text


@pytest.mark.parametrize(("name", "options"), list(CRAFTED.values())[:-1], ids=list(CRAFTED)[:-1])
def test_nor_can_what_a_contest_found(name: str, options: dict[str, Any], run: str, tmp_path: Path) -> None:
    store = Store(tmp_path / ".lrctl")
    found = store.runs.result(run)
    assert found is not None
    store.runs.finish(replace(found, optimizer={"name": name, "options": options}))
    with pytest.raises(UsageError, match=f"^run {run}: optimizer"):
        exported(store.path, run, "torch")


# The command


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with a finished run, and its name."""
    store = tmp_path_factory.mktemp("searched") / "store"
    return store, searches.search(store)["run"]


@pytest.fixture
def run(lrctl: Lrctl, searched: tuple[Path, str]) -> str:
    """A finished run in the default store of the test's own working directory."""
    del lrctl  # it has changed the working directory
    shutil.copytree(searched[0], ".lrctl")
    return searched[1]


def lrs_in(text: str, to: str) -> Any:
    """The LRs that an export holds."""
    if to in ("csv", "json"):
        return json.loads(text)["lr"] if to == "json" else text
    module = imported(text)
    return [module["lr"](step) for step in range(module["STEPS"])]


@pytest.mark.parametrize("to", TARGETS)
def test_a_run_and_its_schedule_file_export_the_same_lrs(to: str, lrctl: Lrctl, run: str) -> None:
    by_name, by_file = lrctl("export", run, "--to", to), lrctl("export", f".lrctl/runs/{run}/schedule.json", "--to", to)
    assert (by_name.code, by_name.err, by_file.code, by_file.err) == (0, "", 0, "")
    assert lrs_in(by_file.out, to) == lrs_in(by_name.out, to)
    assert ("found_with" in by_name.out.lower()) is (to not in ("csv", "optax"))


def test_a_target_is_a_module_or_data() -> None:
    assert set(TARGETS) == {*MODULES, "csv", "json"}


def test_the_file_of_a_run_defines_its_schedule(lrctl: Lrctl, run: str, tmp_path: Path) -> None:
    done = lrctl("export", run, "--to", "torch", "--out", "found.py")
    assert (done.code, done.out, done.error) == (0, "", f"wrote found.py: 24 steps from run {run} for torch")
    text = (tmp_path / "found.py").read_text()
    assert "from found import make_scheduler" in text
    schedule = finished(tmp_path / ".lrctl", run).schedule
    assert lrs_of(imported(text)["lr"], 24) == lrs_of(schedule, 24)


@pytest.mark.parametrize("name", ["class.py", "1.py", "a b.py", "lr-schedule.py", "found", "found.txt", "a.b.py"])
def test_a_module_that_cannot_be_imported_is_refused(name: str, lrctl: Lrctl, run: str, tmp_path: Path) -> None:
    done = lrctl("export", run, "--to", "torch", "--out", name)
    told = f"error: --out {name}: Python cannot import a file of that name; choose another name, such as lr_schedule.py"
    assert (done.code, done.error, (tmp_path / name).exists()) == (2, told, False)


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("torch", "torch"), ("transformers", "torch"), ("transformers", "transformers"), ("lightning", "lightning"),
        ("optax", "jax"), ("optax", "optax"), ("torch", "random"), ("torch", "lrctl"),
    ],
)  # fmt: skip
def test_a_module_does_not_stand_in_the_place_of_another(
    to: str, name: str, lrctl: Lrctl, run: str, tmp_path: Path
) -> None:
    done = lrctl("export", run, "--to", to, "--out", f"{name}.py")
    told = f"error: --out {name}.py: it would stand in the place of the module {name}; choose another name, such as"
    assert (done.code, done.error.startswith(told), (tmp_path / f"{name}.py").exists()) == (2, True, False)


@pytest.mark.parametrize("name", ["random.py", "lr-schedule.csv", "torch"])
def test_a_file_of_data_is_called_anything(name: str, lrctl: Lrctl, run: str) -> None:
    assert lrctl("export", run, "--to", "csv", "--out", name).code == 0


def test_a_file_is_replaced_only_if_asked(lrctl: Lrctl, run: str, tmp_path: Path) -> None:
    target = tmp_path / "train.py"
    target.write_text("mine")
    refused = lrctl("export", run, "--to", "csv", "--out", "train.py")
    assert (refused.code, target.read_text()) == (2, "mine")
    assert refused.error == (
        "error: --out train.py: the file exists and holds something else; choose another, or give --force"
    )
    assert lrctl("export", run, "--to", "csv", "--out", "train.py", "--force").code == 0
    assert target.read_text().startswith("step,lr\n")
    assert lrctl("export", run, "--to", "csv", "--out", "train.py").code == 0  # it holds just that


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["new", "replaced"])
def test_a_full_disk_leaves_the_file_as_it_was(
    force: list[str], run: str, lrctl: Lrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if force:
        (tmp_path / "out.csv").write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    command = ("export", run, "--to", "csv", "--out", "out.csv", *force)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        done = lrctl(*command)
        assert (done.code, done.out) == (1, "")
        assert done.error.endswith("out.csv: No space left on device; free some space or choose another --out")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert lrctl(*command).code == 0


def test_a_link_to_a_file_is_written_through_and_what_is_no_file_is_refused(
    run: str, lrctl: Lrctl, tmp_path: Path
) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert lrctl("export", run, "--to", "csv", "--out", "link.csv").code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").is_file()
    os.mkfifo(tmp_path / "pipe")
    for place in ("pipe", "/dev/null"):
        done = lrctl("export", run, "--to", "csv", "--out", place, "--force")
        assert (done.code, done.out) == (2, "")
        assert f"--out {place}: not a regular file" in done.error


def test_a_file_name_cannot_smuggle_code_into_the_header(lrctl: Lrctl, run: str, tmp_path: Path) -> None:
    name = "a\nraise SystemExit('smuggled')\r#\u2028.json"
    (tmp_path / name).write_text((tmp_path / ".lrctl/runs" / run / "schedule.json").read_text())
    done = lrctl("export", name, "--to", "torch")
    assert (done.code, done.err) == (0, "")
    assert imported(done.out)["STEPS"] == 24


BAD_FILES: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "s.json: must be a schedule.json, but it is not JSON"),
    "not a schedule": ({"a": 1}, "s.json: must be a schedule.json of format 'lrctl-schedule/1', found format None"),
    "no steps": (DOCUMENT | {"steps": 0}, "s.json: steps: must be a whole number from 1 to 10,000,000, got 0"),
    "unknown family": (
        DOCUMENT | {"schedule": SCHEDULE | {"family": "piecewise-lineal"}},
        "s.json: schedule.family: unknown schedule 'piecewise-lineal'; did you mean 'piecewise-linear'?",
    ),
    "unknown parameter": (
        DOCUMENT | {"schedule": SCHEDULE | {"params": {"knot": 1}}},
        "schedule family PiecewiseLinear:",
    ),
    "text for a number": (
        DOCUMENT | {"schedule": SCHEDULE | {"params": {"knots": [["a", 0.1]]}}},
        "schedule family PiecewiseLinear: knots: ",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_schedule_file_is_an_error_that_names_it(
    content: Any, message: str, lrctl: Lrctl, tmp_path: Path
) -> None:
    (tmp_path / "s.json").write_text(content if isinstance(content, str) else json.dumps(content))
    done = lrctl("export", "s.json", "--to", "csv")
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith(f"error: {message}")


BAD_COMMANDS: dict[str, tuple[Callable[[str], str], str]] = {
    "unknown run": (lambda run: f"{run}x --to csv", "unknown run; did you mean"),
    "unknown target": (lambda run: f"{run} --to toch", "--to toch: unknown target; did you mean 'torch'?"),
    "no such file": (lambda _: "none.json --to csv", "none.json: cannot be read as a schedule.json"),
    "no store": (lambda run: f"{run} --to csv --store nowhere", "--store nowhere: there is no store"),
    "unfinished": (lambda _: "begun --to csv", "run begun: it is not finished"),
    "no folder": (lambda run: f"{run} --to csv --out no/x.csv", "--out no/x.csv: there is no folder no; make it"),
    "a folder": (lambda run: f"{run} --to csv --out .lrctl", "--out .lrctl: not a regular file; choose"),
}


@pytest.mark.parametrize(("command", "message"), BAD_COMMANDS.values(), ids=BAD_COMMANDS)
def test_a_bad_export_is_an_error_that_says_what_to_do(
    command: Callable[[str], str], message: str, lrctl: Lrctl, run: str, tmp_path: Path
) -> None:
    (tmp_path / ".lrctl" / "runs" / "begun").mkdir()
    done = lrctl("export", *command(run).split())
    assert (done.code, done.out) == (2, "")
    assert message in done.error


@dataclass(frozen=True)
class Wrong:
    lr: Any

    def __call__(self, step: float) -> Any:
        return self.lr if step > 3 else 0.1


NO_LRS: dict[str, tuple[Any, str]] = {
    "negative": (-0.1, "gives LR -0.1 at step 4, not one finite and >= 0"),
    "nan": (float("nan"), "gives LR nan at step 4, not one finite and >= 0"),
    "infinite": (float("inf"), "gives LR inf at step 4, not one finite and >= 0"),
    "complex": (1j, "fails at step 4 with TypeError: "),
}


@pytest.mark.parametrize(("lr", "message"), NO_LRS.values(), ids=NO_LRS)
def test_an_lr_that_is_none_is_refused(lr: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^run r: schedule family Wrong {message}.*; check its params$"):
        text_of(Wrong(lr), "csv")
