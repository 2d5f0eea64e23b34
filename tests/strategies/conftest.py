"""A finished search whose schedule can be fitted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl_strategies.families import every_tunable
from searches import search, smoke


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with a finished search of 40 steps, and the run's name."""
    store = tmp_path_factory.mktemp("searched") / "store"
    sizes = {"segments": 4, "grid_size": 2, "grid": (0.3, 0.1, 0.01)}
    recipe = smoke(**{f"strategy__semilocal__{name}": value for name, value in sizes.items()})
    return store, search(store, recipe)["run"]


@pytest.fixture
def run(lrctl: Lrctl, searched: tuple[Path, str]) -> str:
    """The name of a finished search in a store of the test's own, in the working directory of `lrctl`."""
    del lrctl  # it has changed the working directory
    shutil.copytree(searched[0], ".lrctl")
    return searched[1]


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Leaves these families only to a fit that names none: a fit of all takes seconds."""

    def leave(*names: str) -> None:
        monkeypatch.setattr(
            "lrctl_strategies.closed_form.search.every_tunable",
            lambda: [name for name in every_tunable() if name in names],
        )

    return leave
