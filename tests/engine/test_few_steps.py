"""Searches on so few steps that what is found says little: each says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts.horizon import FEWEST, few
from searches import search, smoke

SEARCHES: dict[str, dict[str, Any]] = {
    "lookahead": {"budget": 2.0},
    "semilocal": {"segments": 2, "reference": False},
    "baseline": {"family": ["linear"], "grid": [0.1]},
    "greedy": {"against": ["cosine"], "initial_lr": ["0.05"]},
}


@pytest.mark.parametrize("command", SEARCHES)
@pytest.mark.parametrize(("steps", "said"), [(10, True), (FEWEST, False)], ids=["few", "enough"])
def test_a_search_on_few_steps_says_what_it_cannot_tell(tmp_path: Path, command: str, steps: int, said: bool) -> None:
    settings = {f"strategy__{command}__{name}": value for name, value in SEARCHES[command].items()}
    notes = search(tmp_path, smoke(training__steps=steps, **settings), command)["notes"]
    assert [note for note in notes if "steps are few" in note] == [*few(steps)]
    assert bool(few(steps)) == said


def test_where_nothing_is_trained_nothing_is_said_of_its_steps(tmp_path: Path) -> None:
    found = search(tmp_path, smoke(training__steps=10, strategy__baseline__grid=[0.1]), "baseline")
    source = (tmp_path / "runs" / found["run"] / "schedule.json").read_text()
    given = {"training__steps": 10, "strategy__fit-closed-form__source": source}
    fitted = search(tmp_path, smoke(**given), "fit-closed-form")
    assert not any("steps are few" in note for note in fitted["notes"])
