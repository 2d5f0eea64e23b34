"""The Python API: what the command line does, as functions."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.canonical import listed
from lrctl.engine import run
from lrctl.engine.executors import Executors
from lrctl.errors import UsageError
from lrctl.planning.estimate import check_memory
from lrctl.recipe import parse as recipes
from lrctl.recipe.project import check_nothing_is_loading
from lrctl.registry.registry import registry
from lrctl.storage.given import schedule_file, settle
from lrctl.storage.store import Store

if TYPE_CHECKING:
    import torch


def search(
    strategy: str,
    recipe: str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    name: str | None = None,
    fresh: bool = False,
    allow_code: bool = False,
) -> dict[str, Any]:
    """Run a search and return its result document, as `lrctl ... --json` prints it.

    Args:
        strategy: a registered strategy's name, such as `semilocal`.
        recipe: a bundled recipe's name, or a TOML file; by default that of the run that is worked on, else quickstart.
        settings: recipe keys and values, such as `{"training.steps": 100, "strategy.semilocal.eps": 0.3}`; numbers and
            arrays of numpy are taken as what they hold.
        store: the folder that holds jobs, checkpoints and runs; by default `$LRCTL_STORE`, else `.lrctl`.
        name: of the run; by default the strategy and a hash of all that decides the result.
        fresh: start over, whatever the store holds.
        allow_code: run the `file.py:Class` that the recipe names. One among the settings needs no leave.

    Raises:
        UsageError: the recipe, a setting or the workload cannot be used, or its jobs do not fit side by side on a GPU;
            or this is called by a file that is loaded for its workload.
        NoValidCandidateError: every candidate of a choice diverged.
        JobFailedError: a job failed on every attempt.
    """
    check_nothing_is_loading()
    store = Path(store or os.environ.get("LRCTL_STORE") or ".lrctl").absolute()
    recipe, settings, stored = settle(registry().get("strategy", strategy), recipe, listed(settings or {}), store)
    checked = recipes.read(recipe, settings, allow_code=allow_code, stored=stored)
    kept = executors()
    check = partial(check_memory, store=store, kept=kept)
    result = run.search(strategy, checked, store=store, name=name, fresh=fresh, executors=kept, check=check)
    return Store(store).document(result)


@cache
def executors() -> Executors:
    """The workers of this process: a search leaves them to the next one, and they end with the process."""
    kept = Executors()
    atexit.register(kept.close)
    return kept


def load_schedule(path: str | Path) -> Any:
    """The schedule in a `schedule.json`: `schedule(step)` is the absolute LR of update `step`, counted from 0.

    Raises:
        UsageError: the file is not a schedule of this format, is not what was written, or its family is not registered.
    """
    return schedule_file(path)[0]


def load_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """The model's state_dict in a checkpoint, for `model.load_state_dict`.

    Raises:
        CheckpointError: the file is missing or damaged.
        UsageError: it is what a program of your own saved.
    """
    from lrctl.storage import checkpoint

    state = checkpoint.load(Path(path))
    if "model" not in state:
        raise UsageError(f"{path}: it holds what a program saved; lrctl.unpack_checkpoint writes that")
    weights: dict[str, torch.Tensor] = state["model"]
    return weights


def unpack_checkpoint(path: str | Path, to: str | Path) -> None:
    """Write what a program of your own saved, from the checkpoint that lrctl keeps it in, as a file or folder `to`.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
        UsageError: there is something at `to` already, or it cannot be written.
    """
    from lrctl.storage import checkpoint, packing

    state = checkpoint.load(Path(path))
    try:
        packing.unpack(state, Path(to))
    except OSError as error:
        raise UsageError(f"{to}: cannot be written: {error.strerror}; choose a name that is not taken") from error
