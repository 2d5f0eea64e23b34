"""What a search would take, without training: its strategy is rehearsed on made-up results."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.job import TrainSpec
from lrctl.contracts.program import Program
from lrctl.contracts.result import FORWARD
from lrctl.contracts.strategy import RunSpec, Search, SearchResult, advance, drive, relayed
from lrctl.contracts.workload import Scored, StandIn, Workload
from lrctl.engine.executors import START, Executors, side_by_side, workers_of
from lrctl.engine.prepare import device_of, load, spec_of
from lrctl.engine.session import SPLITS
from lrctl.engine.starts import another_start
from lrctl.errors import LrctlError, MissingError, UsageError
from lrctl.planning.rehearsal import Guess, Rehearsal
from lrctl.planning.sharing import shortage
from lrctl.recipe.project import running
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import content_digest, origin
from lrctl.registry.registry import registry
from lrctl.storage.runs import there

if TYPE_CHECKING:
    from lrctl.planning.profile import Measured

MEASURED = (
    "seconds_per_step",
    "seconds_per_evaluation",
    "passes_per_evaluation",
    "seconds",
    "memory_bytes",
    "checkpoint_bytes",
    "peak_disk_bytes",
    "data_bytes",
)
"""What an estimate measures; null where it cannot."""

NO_TRAINING: dict[str, Any] = {
    **dict.fromkeys(
        ("jobs", "jobs_known", "steps", "forwards", "full_runs", "reference_full_runs", "workers", *MEASURED), 0
    ),
    "notes": [],
    "held_out_splits": [],
}
"""What a search takes that trains nothing."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A recipe's spec where nothing was made ready for it, for a dry run.

    Attributes:
        spec: its `content` is empty where data are not ready.
        workload: None where it could not be built.
        stand_in: whether its batches have to be made up, since data are not ready.
        missing: why nothing can be measured, if so.
    """

    spec: TrainSpec
    workload: Workload | Program | None
    stand_in: bool = False
    missing: str = ""

    def play(self, search: Search, run: RunSpec, passes: int) -> Rehearsal:
        """The search to its end, on made-up results; a validation loss takes so many forward passes."""
        scored = self.workload is None or isinstance(self.workload, Scored)
        rehearsal = Rehearsal(self.spec, scored, passes, run)
        found = drive(search, rehearsal.run_batch)
        rehearsal.restore([found.checkpoint])
        if isinstance(self.workload, Program) and (batch := another_start(found.trace, rehearsal.jobs)):
            rehearsal.run_batch(batch)
        return rehearsal


def rehearse(recipe: Recipe) -> Rehearsed:
    """The spec of a recipe without making data ready that are not, unless the workload has no stand-ins for them."""
    workload = None
    try:
        workload = load(recipe)
        if isinstance(workload, StandIn) and not is_ready(workload):
            return Rehearsed(spec_of(recipe, workload, ""), workload, stand_in=True)
        content = content_digest(recipe.workload.name, workload)
    except MissingError as error:
        return Rehearsed(spec_of(recipe, workload, ""), None, missing=str(error))
    return Rehearsed(spec_of(recipe, workload, content), workload)


def is_ready(workload: StandIn) -> bool:
    with running(workload):
        return workload.ready()


def estimate(
    command: str, recipe: Recipe, *, store: str | Path, measure: bool = True, passes: int | None = None
) -> dict[str, Any]:
    """What a search whose strategy is `command` would take. Nothing is trained, and no data are fetched.

    A search that follows another path than the rehearsal can take somewhat more or fewer jobs. Jobs that are stopped
    early are counted as whole ones. Without `measure` time, memory and disk are null, and it is fast; `passes` is then
    what a validation loss takes, as another estimate has it.

    Returns:
        A JSON object: `command`, `workload`; `jobs`, how many of them are `jobs_known` already; `steps` of all jobs,
        `forwards`, the forward passes beside them, and how many `full_runs`, plain training runs, that is, without the
        plain run beside the search, `reference_full_runs`, which all else counts; `workers`;
        `seconds_per_step` and `seconds_per_evaluation` in one worker, `seconds` of all; `passes_per_evaluation`,
        forward passes over validation data; `memory_bytes` of one worker (an estimate: weights, optimizer state, and
        the most of what training, a score and an evaluation take); `checkpoint_bytes`, `peak_disk_bytes` of the
        checkpoints that exist at a time; `data_bytes` that are to be made ready first, 0 if none or unknown;
        `held_out_splits` that are evaluated; `notes` on how it was measured. What could not be measured is null, and a
        note says why.
    """
    part, params = registry().get("strategy", command), recipe.params(command)
    place = there(store)
    if recipe.start and place and (imported := place.imported(recipe.start, rehearse(recipe).spec)):
        recipe = replace(recipe, imported=imported[0])
    run_spec = recipe.run_spec
    guessed = replace(run_spec, exact=Guess()) if run_spec.exact else run_spec
    search = part.target(params, guessed)
    moved = advance(search)
    if isinstance(moved, SearchResult):
        return NO_TRAINING | {"command": command, "workload": recipe.workload.name}
    rehearsed = rehearse(recipe)
    rehearsal = rehearsed.play(relayed(search, moved), run_spec, passes or 0)
    measured, found = measured_of(rehearsed, rehearsal) if measure else (None, nothing_measured())
    if measured and measured.passes_per_evaluation and rehearsal.validates:
        # What a validation loss takes can change what a strategy with a budget asks for.
        rehearsal = rehearsed.play(part.target(params, guessed), run_spec, measured.passes_per_evaluation)
    keys = [key for key, job in rehearsal.own.items() if job.steps]
    known = [key for key in keys if place.record(key) or place.stopped(key)] if place else []
    return {
        "command": command,
        "workload": recipe.workload.name,
        "jobs": len(keys),
        "jobs_known": len(known),
        "steps": rehearsal.steps,
        "forwards": rehearsal.forwards,
        "full_runs": (rehearsal.steps + FORWARD * rehearsal.forwards) / run_spec.left,
        "reference_full_runs": rehearsal.steps_beside / run_spec.left,
        **found,
        **costs(recipe, rehearsal, measured, found["notes"]),
        "held_out_splits": list(SPLITS),
    }


def check_memory(command: str, recipe: Recipe, *, store: str | Path, kept: Executors | None = None) -> None:
    """Refuse a search whose jobs do not fit side by side on a GPU. What fits beside nothing else is not measured.

    Raises:
        UsageError: they do not fit; tells what would.
    """
    device = device_of(recipe)
    if side_by_side(recipe.executor, device) == 1:
        return
    if kept:
        kept.close()  # workers that an earlier search has left hold memory
    job_bytes = estimate(command, recipe, store=store)["memory_bytes"]
    if job_bytes and (short := shortage(recipe.executor, device, job_bytes)):
        raise UsageError(short)


def nothing_measured() -> dict[str, Any]:
    return {**dict.fromkeys(MEASURED), "notes": []}


def measured_of(rehearsed: Rehearsed, rehearsal: Rehearsal) -> tuple[Measured | None, dict[str, Any]]:
    """What one job at a time takes, and what of an estimate is known by that, with notes on how it was measured."""
    found, workload = nothing_measured(), rehearsed.workload
    try:
        if workload is None:
            raise MissingError(rehearsed.missing)
        with running(workload):
            found["data_bytes"] = workload.prepared_bytes() if isinstance(workload, StandIn) else 0
        measured = probe(rehearsed, scored=any(map(rehearsal.reserved, rehearsal.jobs.values())))
    except MissingError as error:
        return None, found | {"notes": [f"time, memory and disk could not be measured: {error}"]}
    if rehearsed.stand_in:
        found["notes"].append("the data are not made ready yet: steps were measured on made-up batches")
    found["notes"] += measured.notes
    if not rehearsal.scored and any(job.score_batches for job in rehearsal.jobs.values()):
        found["notes"].append("the workload has no score_batch(i), so scores are validation losses")
    if measured.seconds_per_evaluation is None:
        found["notes"].append("the time and memory of evaluations are not counted")
    if rehearsal.validates and not measured.passes_per_evaluation:
        found["notes"].append("what validation losses take is not known, and no part of the full runs")
    return measured, found


def costs(recipe: Recipe, rehearsal: Rehearsal, measured: Measured | None, notes: list[str]) -> dict[str, Any]:
    """The part of an estimate that follows from what was measured: time, memory, disk. Adds notes on it."""
    device = rehearsal.spec.device
    if measured is None:
        return {"workers": workers_of(recipe.executor, device)}
    if measured.seconds_per_start:
        start = f"each about {measured.seconds_per_start:.2g} s beside its steps"
        notes.append(f"the program is started {rehearsal.starts} times, {start}")
    elif short := shortage(recipe.executor, device, measured.memory_bytes):
        notes.append(short)
    workers = workers_of(recipe.executor, device, lambda: seconds_of(rehearsal, measured, 1))
    return {
        "workers": workers,
        "seconds_per_step": measured.seconds_per_step,
        "seconds_per_evaluation": measured.seconds_per_evaluation,
        "passes_per_evaluation": measured.passes_per_evaluation or None,
        "seconds": seconds_of(rehearsal, measured, workers) + START * (workers > 1),
        "memory_bytes": measured.memory_bytes,
        "checkpoint_bytes": measured.checkpoint_bytes,
        "peak_disk_bytes": max(rehearsal.checkpoints, len(rehearsal.again)) * measured.checkpoint_bytes,
    }


def seconds_of(rehearsal: Rehearsal, measured: Measured, workers: int) -> float:
    """Seconds that all takes with so many workers."""
    reserved = sum(map(rehearsal.reserved, rehearsal.jobs.values()))
    updates = rehearsal.updates(workers) + reserved * FORWARD / workers
    evaluations = sum(bool(job.evaluate) for job in rehearsal.jobs.values()) / workers + 1
    evaluating = evaluations * (measured.seconds_per_evaluation or 0.0)
    starting = math.ceil(rehearsal.starts / workers) * (measured.seconds_per_start + measured.seconds_per_job)
    return updates * measured.seconds_per_step + evaluating + starting


def probe(rehearsed: Rehearsed, *, scored: bool) -> Measured:
    """What training takes in one worker, measured on a throw-away model."""
    from lrctl.planning.profile import measure
    from lrctl.planning.program_profile import measure_program
    from lrctl.training.quiet import quiet_torch

    spec, workload = rehearsed.spec, rehearsed.workload
    if isinstance(workload, Program):
        return measure_program(workload, spec)
    assert workload is not None
    try:
        with (
            running(workload),
            quiet_torch(spec.threads, spec.device, tf32=spec.tf32, deterministic=spec.deterministic),
        ):
            return measure(workload, spec, stand_in=rehearsed.stand_in, scored=scored, splits=SPLITS)
    except LrctlError:
        raise
    except Exception as error:
        where = origin(error, spec.workload)
        raise UsageError(
            f"workload {spec.workload}: training a few steps raised {type(error).__name__}: {error}{where}; "
            "mend it and try again, --debug shows more"
        ) from error
