"""The Python API: what the command line does, as functions."""

from __future__ import annotations

import atexit
import inspect
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.adapters.held import in_this_process, named
from lrctl.adapters.workload import workload as workload
from lrctl.contracts.canonical import listed
from lrctl.engine import run
from lrctl.engine.budget import Budget
from lrctl.engine.epochs import in_epochs, without_steps
from lrctl.engine.executors import Executors
from lrctl.errors import LrctlError, UsageError
from lrctl.planning.estimate import check_memory
from lrctl.recipe import parse as recipes
from lrctl.recipe.project import check_nothing_is_loading
from lrctl.registry.registry import registry
from lrctl.storage.given import schedule_file, settle
from lrctl.storage.labels import check_label, label
from lrctl.storage.location import location
from lrctl.storage.places import local
from lrctl.storage.store import Store

if TYPE_CHECKING:
    import torch

    from lrctl.adapters.from_parts import FromParts


ARGUMENTS = {"from": "start_from", "label": "labels"}
"""What is called otherwise here than on the command line."""


@contextmanager
def told_by_argument() -> Iterator[None]:
    """Errors that begin with a flag name the argument in its place."""
    try:
        yield
    except LrctlError as error:
        told = re.sub(r"^--([a-z-]+)", lambda flag: ARGUMENTS.get(flag[1], flag[1].replace("-", "_")), error.args[0])
        error.args = (told, *error.args[1:])
        raise


@told_by_argument()
def search(
    strategy: str,
    recipe: str | None = None,
    *,
    workload: str | type | FromParts | None = None,
    settings: Mapping[str, Any] | None = None,
    epochs: float | None = None,
    start_from: str | Path | None = None,
    at: int | None = None,
    past: str | Path | float | None = None,
    store: str | Path | None = None,
    name: str | None = None,
    labels: str | Sequence[str] = (),
    track: str | Sequence[str] = (),
    max_steps: int | None = None,
    max_time: float | str | None = None,
    max_disk: float | str | None = None,
    fresh: bool = False,
    allow_code: bool = False,
    **parts: Any,
) -> dict[str, Any]:
    """Run a search and return its result document, as `lrctl ... --json` prints it.

    Args:
        strategy: a registered strategy's name, such as `semilocal`.
        recipe: a bundled recipe's name, or a TOML file; by default that of the run that is worked on, else quickstart.
        workload: what is trained: a registered name, `file.py:Class`, `pkg.module:Class`, a class, be it of a notebook,
            or what `lrctl.workload` returns; by default the recipe's.
        settings: recipe keys and values, such as `{"training.steps": 100, "strategy.semilocal.eps": 0.3}`; numbers and
            arrays of numpy are taken as what they hold, here and in the other arguments.
        epochs: the length of the run in epochs of the workload's training data, in place of `training.steps`.
        start_from: the checkpoint of a run that is under way, of which only what is left is searched.
        at: how many updates it has behind it.
        past: the LR of those updates: a number, or a schedule.json or run that has them.
        store: the folder that holds jobs, checkpoints and runs; by default `$LRCTL_STORE`, else `.lrctl`.
        name: of the run; by default the strategy and a hash of all that decides the result.
        labels: words by which the run can be asked for later.
        track: registered trackers that record the search, such as `tensorboard`; by default the recipe's.
        max_steps: no job begins once the search has trained so many steps, in all its goes together. The result then
            has status `partial`, and the same search with a larger budget, or with none, goes on.
        max_time: the same, once this has run for so many seconds, or `90s`, `10m`, `2h`.
        max_disk: the same, once the store has so many bytes, or `500MB`, `5GB`.
        fresh: start over, whatever the store holds.
        allow_code: run the `file.py:Class` that the recipe names. One among the settings needs no leave.
        parts: in place of a workload, what `lrctl.workload` takes: `model`, `train`, `held_out`, `loss`, ...

    Raises:
        UsageError: the recipe, a setting, the workload or a part of it cannot be used, or its jobs do not fit side by
            side on a GPU; or this is called by a file that is loaded for its workload.
        NoValidCandidateError: every candidate of a choice diverged.
        JobFailedError: a job failed on every attempt.
    """
    check_nothing_is_loading()
    store, labels = place(store), [check_label(label) for label in several(labels)]
    epochs, start_from, at, past = listed((epochs, start_from, at, past))
    settings = without_steps(listed(settings or {}), epochs)
    found, only_here = named(workload, parts, inspect.signature(search).parameters)
    if found is not None:
        settings = {**settings, "workload.name": found}
    begun = {"start.checkpoint": start_from, "start.at": at, "start.past": past}
    told = {key: value for key, value in begun.items() if value is not None}
    settings = {**settings, **{key: str(value) if isinstance(value, Path) else value for key, value in told.items()}}
    if track:
        settings = {**settings, "track.names": several(track)}
    recipe, settings, stored = settle(registry().get("strategy", strategy), recipe, settings, store)
    checked = in_epochs(recipes.read(recipe, settings, allow_code=allow_code, stored=stored), epochs)
    if only_here:
        checked = in_this_process(checked)
    kept, budget = executors(), Budget.of(*listed((max_steps, max_time, max_disk)))
    check = partial(check_memory, store=store, kept=kept)
    where: dict[str, Any] = {"store": store, "name": name, "fresh": fresh}
    result = run.search(strategy, checked, **where, executors=kept, check=check, budget=budget)
    label(Store(store), result.run, labels)
    return Store(store).runs.document(result)


def place(store: str | Path | None) -> Path | str:
    """The store that is asked for, else that of the environment, else that of the working directory."""
    return location(store or os.environ.get("LRCTL_STORE") or ".lrctl")


@told_by_argument()
def compare(
    runs: str | Sequence[str] = (), *, against: str | None = None, store: str | Path | None = None
) -> dict[str, Any]:
    """Finished runs compared, as `lrctl compare --json` prints it.

    Args:
        runs: their names or how these begin, globs, labels, or `latest`; by default all that can be compared with the
            run that was finished last.
        against: a method's label, or a run: the reference.
        store: as in `search`.

    Raises:
        UsageError: a run cannot be used, or the runs cannot be compared.
    """
    from lrctl.report.chosen import chosen
    from lrctl.report.compare import compare as compared

    return compared(place(store), chosen(place(store), several(runs)), against).to_json()


@told_by_argument()
def report(
    runs: str | Sequence[str] = (),
    *,
    against: str | None = None,
    out: str | Path | None = None,
    store: str | Path | None = None,
) -> dict[str, str]:
    """Write what `lrctl report` does: figures, curves as CSV, and a page. Returns where each file is.

    Args:
        runs: as in `compare`.
        against: as in `compare`.
        out: the folder; by default `report` in the folder of the first run.
        store: as in `search`.

    Raises:
        UsageError: as `compare`.
        StoreError: the folder cannot be written.
    """
    from lrctl.report.made import make

    return dict(make(place(store), several(runs), against, Path(out) if out else None).files)


@told_by_argument()
def export(source: str | Path, to: str, *, steps: int | None = None, store: str | Path | None = None) -> str:
    """A schedule as a file of code or data, as `lrctl export` prints it.

    Args:
        source: a finished run, or a schedule.json.
        to: `torch`, `transformers`, `lightning`, `optax`, `csv` or `json`.
        steps: stretch it to so many steps, with its peak LR carried there; None leaves it as it is.
        store: as in `search`.

    Raises:
        UsageError: there is no such run or target, or the schedule cannot be exported.
    """
    from lrctl.export.given import exported

    return exported(place(store), str(source), to, steps=listed(steps)).text


def several(runs: str | Sequence[str]) -> list[str]:
    """One word or several."""
    return [runs] if isinstance(runs, str) else list(runs)


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


def load_weights(path: str | Path, average: float | None = None) -> dict[str, torch.Tensor]:
    """The model's state_dict in a checkpoint, for `model.load_state_dict`.

    They are those that were evaluated: where an optimizer keeps others for that than for training (schedule-free)
    these, and with `training.averaging` the average that was chosen, or the last weights.

    Args:
        path: of the checkpoint.
        average: the power of the average to take instead; 0 takes the last weights. Statistics of batch normalisation
            are known for the average that was chosen and for the last weights only: with another one it warns, and
            they are those of the last weights.

    Raises:
        CheckpointError: the file is missing or damaged.
        UsageError: it is what a program of your own saved, or has no such average.
    """
    from lrctl.storage import checkpoint

    state = checkpoint.load(local(path), where=str(path))
    if "model" not in state:
        raise UsageError(f"{path}: it holds what a program saved; lrctl.unpack_checkpoint writes that")
    chosen = state.get("evaluated", {}) if average is None else of_average(average, state, path)
    weights: dict[str, torch.Tensor] = state["model"]
    # Tied weights have several names there, and one here.
    moved = {weights[name].data_ptr(): value.to(weights[name].dtype) for name, value in chosen.items()}
    return {name: moved.get(value.data_ptr(), value) for name, value in weights.items()}


def of_average(average: float, state: Mapping[str, Any], path: str | Path) -> Mapping[str, torch.Tensor]:
    """What an average has in the place of the last weights, for which 0 stands, in a checkpoint's state."""
    power = f"{average:g}"
    kept: dict[str, dict[str, torch.Tensor]] = {"0": {}, **state.get("averages", {}).get("averages", {})}
    if power not in kept:
        raise UsageError(f"{path}: it has no average {power}; choose from {', '.join(kept)}, 0 being the last weights")
    if power == state.get("chosen"):
        return dict(state["evaluated"])  # with its statistics of batch normalisation
    if average and any(name.rpartition(".")[2] == "running_mean" for name in state["model"]):
        warnings.warn(
            f"{path}: the statistics of batch normalisation are those of the last weights, not of average {power}; "
            "compute them again, as torch.optim.swa_utils.update_bn does",
            stacklevel=3,
        )
    return kept[power]


def unpack_checkpoint(path: str | Path, to: str | Path) -> None:
    """Write what a program of your own saved, from the checkpoint that lrctl keeps it in, as a file or folder `to`.

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
        UsageError: there is something at `to` already, or it cannot be written.
    """
    from lrctl.storage import checkpoint, packing

    state = checkpoint.load(local(path), where=str(path))
    try:
        packing.unpack(state, Path(to))
    except OSError as error:
        raise UsageError(f"{to}: cannot be written: {error.strerror}; choose a name that is not taken") from error
