"""Which of the things that a checkpoint of another program holds is the optimizer's state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lrctl.errors import UsageError
from lrctl.storage.foreign import read

STATE: dict[str, Any] = {"param_groups": [], "state": {}}
GIVEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "none": ({}, {}),
    "one": ({"optimizer": STATE}, STATE),
    "a list of one": ({"optimizer_states": [STATE]}, STATE),
    "nothing": ({"optimizer": None}, {}),
    "an empty list": ({"optimizer": []}, {}),
    "an empty state": ({"optimizer": {}}, {}),
    "a list of an empty state": ({"optimizer": [{}]}, {}),
    "its name beside it": ({"optimizer": "adamw", "optimizer_state_dict": STATE}, STATE),
    "nothing beside it": ({"optimizer": {}, "optim": STATE}, STATE),
}
NO_STATES = {"a tensor": torch.ones(3), "an empty tensor": torch.ones(0), "numbers": [1, {}], "a name": "adamw", "0": 0}


def saved(folder: Path, **optimizer: Any) -> Path:
    torch.save({"model": {"weight": torch.ones(1)}, **optimizer}, folder / "run.pt")
    return folder / "run.pt"


@pytest.mark.parametrize(("given", "found"), GIVEN.values(), ids=GIVEN)
def test_the_state_is_found_where_programs_keep_it(given: Any, found: Any, tmp_path: Path) -> None:
    assert read(saved(tmp_path, **given)).get("optimizer", {}) == found


@pytest.mark.parametrize("given", NO_STATES.values(), ids=NO_STATES)
def test_what_is_no_state_is_one_sentence(given: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run\.pt: the optimizer's state is not what state_dict"):
        read(saved(tmp_path, optimizer=given))
