"""A store is data: whatever stands in one, no command runs code for it that the user has not named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

import lrctl as api
from command_line import Lrctl
from lrctl.errors import UsageError
from signed import read_signed, write_signed

EVIL = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()

class X:
    def __init__(self, seed, **params): ...
"""

SEARCH = ["local", "--recipe", "smoke", "--executor", "serial", "--segments", "2", "--steps", "8", "--grid", "0.1,0.03"]
TUNE = ["--family", "triangle", "--tune", "--grid", "0.3,0.1", "--baseline", "triangle"]


@pytest.fixture
def poisoned(lrctl: Lrctl) -> Iterator[Path]:
    """The folder of a run whose recipe was made to name code that lies beside it; nothing runs that."""
    assert lrctl(*SEARCH, "--name", "r", "--quiet").code == 0
    folder = Path(".lrctl/runs/r")
    (folder / "evil.py").write_text(EVIL)
    name(folder, "evil.py:X")
    yield folder
    assert not list(Path().rglob("ran"))


def name(run: Path, workload: str) -> None:
    """Change the workload of a run's recipe, and sign what was changed: who sends a store can do that too."""
    recipe = (run / "recipe.toml").read_text().replace("linear-regression", workload)
    (run / "recipe.toml").write_text(recipe)
    known = read_signed(run / "identity.json")
    assert known is not None
    write_signed(run / "identity.json", known | {"recipe": sha256(recipe.encode()).hexdigest()})


@pytest.mark.parametrize("more", [[], ["--allow-code"], ["--dry-run"], ["--allow-code", "--dry-run"], ["--fresh"]])
@pytest.mark.parametrize("where", ["beside it", "by its full path"])
def test_a_search_that_takes_a_run_s_recipe_runs_no_code_of_it(
    more: list[str], where: str, poisoned: Path, lrctl: Lrctl
) -> None:
    path = (poisoned / "evil.py").resolve()
    if where != "beside it":
        name(poisoned, f"{path}:X")
    done = lrctl("fit-closed-form", "r", *TUNE, *more)
    assert (done.code, done.out) == (2, "")
    assert "runs/r/recipe.toml: workload.name: " in done.error
    assert (
        f"{path}:X is Python code, and a store runs none; if you trust it, name it yourself with --workload"
        in done.error
    )


@pytest.mark.usefixtures("poisoned")
def test_the_python_interface_runs_no_code_of_a_store() -> None:
    settings = {"strategy.fit-closed-form.source": "r", "strategy.fit-closed-form.tune": True}
    with pytest.raises(UsageError, match="a store runs none"):
        api.search("fit-closed-form", settings=settings, allow_code=True)


@pytest.mark.usefixtures("poisoned")
def test_the_user_may_name_the_workload_in_its_place(lrctl: Lrctl) -> None:
    done = lrctl("fit-closed-form", "r", *TUNE, "--workload", "linear-regression", "--executor", "serial", "--json")
    assert (done.code, done.document["workload"]) == (0, "linear-regression")


@pytest.mark.parametrize(
    "command",
    [
        ["fit-closed-form", "r", "--family", "triangle"],
        ["compare", "r"],
        ["report", "r"],
        ["export", "r", "--to", "json"],
        ["runs"],
        ["runs", "show", "r"],
        ["gc"],
        ["reproduce", "semi-local", "--only", "semi-local/table-2-fig-2", "--dry-run"],
        [*SEARCH, "--name", "r"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("poisoned")
def test_no_other_command_runs_code_of_a_store(command: list[str], lrctl: Lrctl) -> None:
    assert lrctl(*command).code == 0


def test_a_command_that_goes_on_does_not_give_leave_itself(poisoned: Path, lrctl: Lrctl) -> None:
    (poisoned / "result.json").unlink()
    for done in (lrctl("runs", "show", "r"), lrctl("export", "r", "--to", "json")):
        told = (done.out or done.err).splitlines()[0]
        command, _, leave = told.partition(" (")
        assert command.endswith("lrctl local --recipe .lrctl/runs/r/recipe.toml --name r --store .lrctl")
        assert leave == "its recipe names code of your own: add --allow-code if you trust it)"
    assert lrctl(*command.rpartition(": lrctl ")[2].split()).code == 2


def test_a_recipe_that_the_user_took_out_of_a_store_asks_for_leave(poisoned: Path, lrctl: Lrctl) -> None:
    shutil.copytree(poisoned, "taken")
    done = lrctl("local", "--recipe", "taken/recipe.toml")
    assert (done.code, "and a recipe runs none" in done.error) == (2, True)
