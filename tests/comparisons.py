"""Small finished runs to compare: two searches and tuned baselines on three seeds, and runs made of them by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lrctl.contracts.result import JobResult
from lrctl.engine import run
from lrctl.storage.files import read_json, write_json
from lrctl.storage.store import Store
from searches import small

SEEDS = (0, 1, 2)
SEARCHES = [f"semilocal-{seed}" for seed in SEEDS]
LOCALS = [f"local-{seed}" for seed in SEEDS]
BASELINES = [f"baseline-{seed}" for seed in SEEDS]
ALL = [*SEARCHES, *LOCALS, *BASELINES]


def fill(store: Path, seeds: Sequence[int] = SEEDS) -> Path:
    """Train the runs `semilocal-0`, ..., `baseline-2`, and give back the store."""
    for seed in seeds:
        recipe = small(
            training__seed=seed,
            strategy__semilocal__eps=0.05,
            strategy__baseline__family=["wsd", "linear"],
            strategy__baseline__grid=[0.3, 0.1],
        )
        for command in ("semilocal", "local", "baseline"):
            run.search(command, recipe, store=store, name=f"{command}-{seed}")
    return store


def document(store: Path, name: str) -> dict[str, Any]:
    """The result document of a run."""
    found = read_json(store / "runs" / name / "result.json")
    assert found is not None
    return found


def made_by_hand(store: Path, source: str, name: str, recipe: dict[str, str] | None = None, **changes: Any) -> str:
    """A copy of a run under another name, with these changes to its document and to the text of its recipe."""
    folder = store / "runs" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(store / "runs" / source, folder, ignore=shutil.ignore_patterns("report"))
    write_json(folder / "result.json", document(store, source) | {"run": name} | changes)
    text = (folder / "recipe.toml").read_text()
    for old, new in (recipe or {}).items():
        assert old in text
        text = text.replace(old, new)
    (folder / "recipe.toml").write_text(text)
    return name


def diverged(store: Path, source: str, name: str, at: int = 12) -> str:
    """A copy of a run whose losses are not finite from a step on."""
    place = Store(store)
    whole = place.history(document(store, source)["checkpoint"])
    losses = np.where(np.arange(len(whole)) < at, whole["loss"], np.nan)
    key = "d" * 64
    digest = place.put_losses(key, losses, whole["lr"].tolist())
    place.put_result(JobResult(key, "diverged", digests={"losses": digest}))
    lost = {"train_loss": None, "validation_loss": None, "test_loss": None}
    return made_by_hand(store, source, name, checkpoint=key, **lost)


def untrained(store: Path, name: str = "fitted") -> str:
    """A run that found a schedule without training anything."""
    lost = {"train_loss": None, "validation_loss": None, "test_loss": None, "checkpoint": None}
    entry = {"family": "wsd", "params": {}, "schedule": {"family": "wsd", "params": {}}, "runs": 0} | lost
    return made_by_hand(store, "semilocal-0", name, command="fit-closed-form", results=[entry], **lost)


def seeded(store: Path, source: str, name: str, seed: int, **changes: Any) -> str:
    """A copy of a run under another seed."""
    here = json.dumps(document(store, source)["seed"])
    return made_by_hand(store, source, name, {f"seed = {here}": f"seed = {seed}"}, seed=seed, **changes)
