"""Does jobs by starting a program of the user's own, which is told of each by files, and answers by files.

Imports torch.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lrctl import documents
from lrctl.contracts.executor import gpus_of, visible_gpus
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.program import ANSWER_FORMAT, JOB_FORMAT, Program
from lrctl.errors import ProgramError, ProgramMistakeError, UsageError
from lrctl.program.launching import launch
from lrctl.storage.packing import packed, unpack
from lrctl.storage.store import Store
from lrctl.training.trainer import Trained

NOTHING = "it wrote no {}, though it ended well; add the lines of `lrctl guide own-scripts` to it"


def train(
    program: Program, store: Store, spec: TrainSpec, job: SegmentJob, start_from: dict[str, Any] | None = None
) -> Trained:
    """Have the program do a job, from its own beginning or from the state of another job.

    It is never stopped early, unless it is trained ahead and given up, and has no batches in reserve to be scored on.

    Raises:
        ProgramError: it fails, or its answer is none.
        UsageError: the job is one that a program cannot be told, or its first loss is not finite.
    """
    check_can_be_told(spec, job)
    if not (job.steps or job.evaluate or job.checkpoint):
        return Trained(np.empty(0, np.float32), [], {}, 0.0)
    log = store.log(job.key(spec))
    with store.working_folder() as folder, store.logged(job.key(spec)) as printed:
        told = Told(folder, spec, job)
        told.write(start_from)
        began = time.perf_counter()
        try:
            environment = {"LRCTL_JOB": str(told.job_file), **gpus_alone(spec.device)}
            given_up = partial(store.runs.given_up, spec.run, job.key(spec)) if job.ahead else None
            if not launch(program.argv, environment, folder, printed, program.timeout, given_up):
                # How far it was is not known: it counts as a whole.
                return Trained(np.full(job.steps, np.nan), [], {}, time.perf_counter() - began, at_least=-math.inf)
            trained = Trained(told.losses(), list(job.lrs or ()), {}, time.perf_counter() - began)
            answer = told.answer()
            trained.metrics = {split: metrics_of(answer.get("metrics"), split) for split in job.evaluate}
            trained.epoch = epoch_of(answer)
            trained.state = packed(told.saved) if job.checkpoint else {}
        except ProgramError as error:
            raise type(error)(f"the program failed: {error}; what it printed is in {log}") from error
    if job.start == 0 and job.steps and not math.isfinite(trained.losses[0]):
        raise UsageError(
            f"the program's loss is {trained.losses[0]} at step 0, before any update, so that no LR is to blame; what "
            f"it printed is in {log}"
        )
    return trained


def gpus_alone(device: str) -> dict[str, str]:
    """What lets a program see no more GPUs than a job has; in a worker those that the executor gave it."""
    gpus = gpus_of(device)
    return {"CUDA_VISIBLE_DEVICES": ",".join(visible_gpus()[:gpus])} if gpus else {}


def check_can_be_told(spec: TrainSpec, job: SegmentJob) -> None:
    """Refuse a job whose LRs are decided while it runs, or that asks for more than a program answers."""
    wrong = (
        (job.lrs is None, f"the LRs of {type(job.schedule).__name__} are decided by what it sees of the run"),
        (job.gradient_norms, "the norms of its gradients are asked for"),
        (spec.optimizer is not None, "it has an optimizer of its own, and another is asked for"),
    )
    for applies, what in wrong:
        if applies:
            raise UsageError(
                f"workload {spec.workload}: {what}, which a program cannot be told; see lrctl guide program"
            )


@dataclass(frozen=True, slots=True)
class Told:
    """A job as files in a folder, and the answer to it."""

    folder: Path
    spec: TrainSpec
    job: SegmentJob

    @property
    def job_file(self) -> Path:
        return self.folder / "job.json"

    @property
    def saved(self) -> Path:
        return self.folder / "saved"

    def write(self, start_from: Mapping[str, Any] | None) -> None:
        job, resume = self.job, self.folder / "resume"
        if start_from is not None:
            unpack(start_from, resume)
        np.save(self.folder / "lrs.npy", np.array(job.lrs, np.float64))
        told = {
            "format": JOB_FORMAT,
            "start": job.start,
            "stop": job.stop,
            "steps": max(self.spec.steps, job.stop),
            "seed": self.spec.seed,
            "lrs": str(self.folder / "lrs.npy"),
            "resume": None if start_from is None else str(resume),
            "save": str(self.saved) if job.checkpoint else None,
            "evaluate": list(job.evaluate),
            "score_batches": 0,
            "losses": str(self.folder / "losses.npy"),
            "result": str(self.folder / "result.json"),
        }
        self.job_file.write_text(json.dumps(told, indent=1), encoding="utf-8")

    def losses(self) -> np.ndarray[Any, Any]:
        """The loss of each step, float32; not finite where the program diverged."""
        path, steps = self.folder / "losses.npy", self.job.steps
        if not steps:
            return np.empty(0, np.float32)
        try:
            with documents.open_regular(path, follow=False) as file:
                found = np.load(file, allow_pickle=False)
        except FileNotFoundError as error:
            raise ProgramMistakeError(NOTHING.format("losses")) from error
        except (OSError, ValueError, EOFError) as error:
            raise ProgramError(f"its losses are no .npy file of numbers: {error}") from error
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
            raise ProgramError(f"its losses must be an array of numbers, and are {getattr(found, 'dtype', 'none')}")
        if found.shape != (steps,):
            shape = "x".join(map(str, found.shape)) or "a single one"
            raise ProgramError(
                f"it wrote {shape} losses for {steps} steps, from {self.job.start} to before {self.job.stop}; one loss "
                "for each step, in their order, is needed"
            )
        with np.errstate(over="ignore"):
            losses: np.ndarray[Any, Any] = found.astype(np.float32)
        return losses

    def answer(self) -> dict[str, Any]:
        path = self.folder / "result.json"
        try:
            answer = json.loads(documents.text(path))
        except FileNotFoundError as error:
            raise ProgramMistakeError(NOTHING.format("result")) from error
        except (OSError, ValueError, RecursionError) as error:
            raise ProgramError(f"its result is no JSON: {error}") from error
        if not isinstance(answer, dict) or answer.get("format") != ANSWER_FORMAT:
            raise ProgramError(f'its result must be a JSON object of format "{ANSWER_FORMAT}"')
        return answer


def metrics_of(given: Any, split: str) -> dict[str, float]:
    """The metrics of a split that was asked for; one that is not finite is +inf."""
    metrics = given.get(split) if isinstance(given, dict) else None
    if not isinstance(metrics, dict) or "loss" not in metrics:
        raise ProgramError(f"its result has no loss of the {split} data, which was asked for")
    wrong = [name for name, value in metrics.items() if not isinstance(value, int | float | None)]
    if wrong:
        raise ProgramError(
            f"its metric {wrong[0]} of the {split} data must be a number, or null where it is not finite"
        )
    numbers = {name: math.inf if value is None else float(value) for name, value in metrics.items()}
    return {name: value if math.isfinite(value) else math.inf for name, value in numbers.items()}


def epoch_of(answer: Mapping[str, Any]) -> float | None:
    epoch = answer.get("epoch")
    if epoch is not None and not (isinstance(epoch, int | float) and 0 < epoch < math.inf):
        raise ProgramError(f"its result has epoch {epoch!r}; give the updates in a pass through the data, or none")
    return epoch
