"""For a training program of your own: how it learns its job from lrctl, and answers. Imports neither torch nor numpy.

    from lrctl import program

    job = program.job(steps=2000)  # outside of lrctl: a plain run of so many steps
    job.resume(load)  # load(path) is called if there is a checkpoint to go on from
    for step in job:  # start, ..., stop - 1
        job.set_lr(optimizer, step)
        ...
        job.loss(loss)  # of this update
    job.save(save)  # save(path)
    job.evaluate(evaluate)  # evaluate(split) gives metrics, "loss" among them

Outside of lrctl the program trains as it did, with its own LRs; `LRCTL_SCHEDULE=schedule.json` has it train with a
schedule that was found.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.program import ANSWER_FORMAT, JOB_FORMAT
from lrctl.errors import UsageError
from lrctl.optimizers.param_groups import Grouped, keep_own_lrs, own_lrs, scales, set_lr

if TYPE_CHECKING:
    from lrctl.program.kept import Kept
    from lrctl.program.resumable import Resumable

__all__ = ["Job", "job", "seed"]

SPLITS = ("validation", "test")

Metrics = Mapping[str, Any]


def job(*, steps: int, seed: int = 0) -> Job:
    """The job that lrctl has started this program for; outside of lrctl a plain run.

    Args:
        steps: how many updates a plain run has.
        seed: of a plain run.

    Raises:
        UsageError: the file that `LRCTL_JOB` or `LRCTL_SCHEDULE` names cannot be used.
    """
    if (given := given_job()) is not None:
        return given
    lrs = None
    if path := os.environ.get("LRCTL_SCHEDULE"):
        lrs = scheduled(path, steps)
    return Job(0, steps, steps, seed, lrs)


def seed(own: int = 0) -> int:
    """The seed of the job, for what is made before the job is asked for; outside of lrctl the program's own.

    Raises:
        UsageError: the file that `LRCTL_JOB` names cannot be used.
    """
    given = given_job()
    return own if given is None else given.seed


def given_job() -> Job | None:
    """The job that lrctl has started this program for."""
    path = os.environ.get("LRCTL_JOB")
    return told(Path(path)) if path else None


def told(path: Path) -> Job:
    import numpy as np

    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"LRCTL_JOB={path}: cannot be read: {error}; lrctl sets it for the programs it starts"
        ) from error
    if given.get("format") != JOB_FORMAT:
        raise UsageError(f"LRCTL_JOB={path}: its format is {given.get('format')!r}, this lrctl reads {JOB_FORMAT!r}")
    lrs = np.load(given["lrs"]).tolist()
    return Job(given["start"], given["stop"], given["steps"], given["seed"], lrs, given)


def scheduled(path: str, steps: int) -> list[float]:
    """The LRs of a schedule.json for a run of so many steps."""
    from lrctl.registry.schedules import read_schedule

    schedule, length = read_schedule(path)
    if hasattr(schedule, "init"):
        raise UsageError(
            f"LRCTL_SCHEDULE={path}: its LRs are decided during a run; `lrctl export` writes those it used"
        )
    if length != steps:
        raise UsageError(f"LRCTL_SCHEDULE={path}: it is for {length} steps, and this run has {steps}")
    return [float(schedule(step)) for step in range(steps)]


@dataclass(eq=False)
class Job:
    """Steps that a program is to train, and what it answers. Iterating over it gives their numbers.

    With several processes, as torchrun starts them, each has the same job; the one whose `RANK` is 0 saves and answers.

    Attributes:
        start: the first step of the job, counted from 0 at the start of the run.
        stop: the first step that is not part of it any more.
        steps: of the whole run.
        seed: what decides initialisation and batches.
        lrs: the LR of each step of the job; None in a plain run, whose LRs are its own.
        epoch: updates in one pass through the data, for `lrctl check`; with `batches` it is known without.
    """

    start: int
    stop: int
    steps: int
    seed: int
    lrs: list[float] | None = None
    given: Mapping[str, Any] | None = field(default=None, repr=False)
    epoch: float | None = None
    _losses: list[Any] = field(default_factory=list, repr=False)
    _told: int = field(default=0, repr=False)
    _asked: int = field(default=-1, repr=False)
    _with_lr: int = field(default=0, repr=False)
    _resumed: bool = field(default=False, repr=False)
    _saved: bool = field(default=False, repr=False)
    _watched: dict[int, Watched] = field(default_factory=dict, repr=False)
    _loaders: list[Resumable] = field(default_factory=list, repr=False)
    _kept: Kept | None = field(default=None, repr=False)

    @cached_property
    def answers(self) -> bool:
        """Whether this process saves and answers."""
        return self.given is not None and int(os.environ.get("RANK") or 0) == 0

    def resume(self, load: Callable[[str], Any]) -> None:
        """Call `load(path)` if there is a checkpoint to go on from: what `save` left there, in every process."""
        self._resumed = True
        if self.given and self.given["resume"]:
            load(self.given["resume"])

    def keep(self, **parts: Any) -> None:
        """In place of `resume` and `save`: go on from these if there is a checkpoint, and save them in `evaluate`.

        Each has `state_dict` and `load_state_dict`, or is a dict of tensors and numbers. The random numbers of Python,
        numpy and torch are kept with them, and how far the loaders of `batches` were read. Imports torch in a job.

        Raises:
            UsageError: one of them has no state; in `evaluate`: one has a state that cannot be written down.
        """
        self._resumed = True
        if self.given:
            from lrctl.program.kept import Kept

            self._kept = Kept(parts, self._loaders)
            self.resume(self._kept.load)

    def batches(self, loader: Any) -> Any:
        """A data loader whose epochs go on where the job before has ended, and end with the job; before `keep`.

        Outside of lrctl it is the loader itself.

        Raises:
            UsageError: `keep` was called already; where it is read: its sampler is told another epoch than the one
                that goes on.
        """
        if not self.given:
            return loader
        if self._kept:
            raise UsageError("program: call job.batches(loader) before job.keep(...), which loads its position")
        from lrctl.program.resumable import Resumable

        self._loaders.append(Resumable(loader, lambda: self.done, checked=True))
        return self._loaders[-1]

    @property
    def done(self) -> bool:
        """Whether the last step of the job, or of a plain run, was trained, as far as losses were told."""
        return self._told >= self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        """The steps to train, one after the other.

        Raises:
            UsageError: a step was trained without its LR or without telling its loss.
        """
        self._check_resumed()
        for step in range(self.start, self.stop):
            yield step
            if self.lrs is not None:
                self._check(step)

    def __contains__(self, step: object) -> bool:
        """Whether a step is one of the job's, for a loop that goes through all steps of the run."""
        return isinstance(step, int) and self.start <= step < self.stop

    def _check_resumed(self) -> None:
        if self.given and self.given["resume"] and not self._resumed:
            raise UsageError(
                "program: there is a checkpoint to go on from; call job.resume(load) before the first step"
            )

    def _check(self, step: int) -> None:
        if self._asked != step:
            raise UsageError(
                f"program: step {step} was trained without its LR; call job.set_lr(optimizer, {step}) in it"
            )
        if self.given and len(self._losses) != step + 1 - self.start:
            raise UsageError(
                f"program: {len(self._losses)} losses were told in {step + 1 - self.start} steps; call job.loss(loss) "
                "once in each"
            )

    def lr(self, step: int, own: float | None = None) -> float | None:
        """The LR of update `step`; in a plain run `own`, the LR that the program would take itself.

        Raises:
            UsageError: the step is not one of the job.
        """
        if not self.start <= step < self.stop:
            raise UsageError(f"program: step {step} is not one of this job, which has {self.start} to {self.stop - 1}")
        self._with_lr += step != self._asked
        self._asked = step
        return own if self.lrs is None else self.lrs[step - self.start]

    def set_lr(self, optimizer: Grouped, step: int | None = None) -> None:
        """Set the LRs of an optimizer for update `step`; in a plain run they stay what they are.

        Without a step it is the update whose loss is told next.

        The LR of a param group is that of the step times the group's scale: its `lr_scale` if it has one, else its own
        LR over the first group's. An optimizer of torch's that makes its update with another LR raises an error.
        """
        if self.lrs is None:
            return
        lr = self.lr(self.start + self._told if step is None else step)
        assert lr is not None
        if id(optimizer) not in self._watched:
            self._watched[id(optimizer)] = Watched(optimizer)
        self._watched[id(optimizer)].set(lr)

    def loss(self, loss: Any) -> None:
        """Tell the training loss of an update: a number, or a tensor of one; of several processes, the mean."""
        self._told += 1
        if self.given:
            # Not read before the end: on a GPU that would wait for it.
            self._losses.append(loss.detach().clone() if hasattr(loss, "detach") else float(loss))

    def save(self, save: Callable[[str], Any], *, every_process: bool = False) -> None:
        """Call `save(path)`, if a checkpoint is wanted, to write a file or a folder there: all that `load` needs.

        `every_process` says whether each process writes a part of it; otherwise only the first is asked to.
        """
        self._saved = True
        if self.given and self.given["save"] and (self.answers or every_process):
            save(self.given["save"])

    def evaluate(self, evaluate: Callable[[str], Metrics]) -> dict[str, dict[str, float]]:
        """Call `evaluate(split)` for each split that is asked for, in every process, and give the answer: always last.

        A plain run evaluates `validation` and `test`. Returns the metrics by split.

        Raises:
            UsageError: not every step was trained, or a checkpoint was wanted and not saved.
        """
        if self.given:
            if self._kept and not self._saved:
                self.save(self._kept.save, every_process=True)
            self._check_done()
        splits = self.given["evaluate"] if self.given else SPLITS
        metrics = {split: {name: float(value) for name, value in evaluate(split).items()} for split in splits}
        if self.answers:
            self._answer(metrics)
        return metrics

    def _check_done(self) -> None:
        self._check_resumed()
        if len(self._losses) != self.stop - self.start:
            raise UsageError(
                f"program: {len(self._losses)} of the {self.stop - self.start} steps of this job were trained; go "
                "through all of `for step in job`, with job.set_lr(optimizer, step) and job.loss(loss) in each"
            )
        if self.lrs and self._with_lr < len(self.lrs):
            raise UsageError(
                f"program: {self._with_lr} of the {len(self.lrs)} steps had their LR; call job.set_lr(optimizer, step) "
                "before each update"
            )
        if self.given and self.given["save"] and not self._saved:
            raise UsageError("program: a checkpoint is wanted; call job.save(save) before job.evaluate(evaluate)")

    def _answer(self, metrics: Mapping[str, Metrics]) -> None:
        import numpy as np

        assert self.given is not None
        np.save(self.given["losses"], np.array([float(loss) for loss in self._losses], np.float32))
        finite = {s: {n: v if math.isfinite(v) else None for n, v in m.items()} for s, m in metrics.items()}
        answer = {"format": ANSWER_FORMAT, "metrics": finite, **({"epoch": epoch} if (epoch := self._pass()) else {})}
        Path(self.given["result"]).write_text(json.dumps(answer), encoding="utf-8")

    def _pass(self) -> float | None:
        """Updates in one pass through the data, as far as it is known."""
        known = [self.epoch] if self.epoch else [found for each in self._loaders if (found := each.updates(self._told))]
        return max(known, default=None)


class Watched:
    """An optimizer whose LRs are set, and looked at when it makes its update.

    Attributes:
        known: whether the LRs that its param groups have of their own tell their ratios.
    """

    def __init__(self, optimizer: Grouped) -> None:
        self.optimizer, self.scales, self.lrs, self.known = optimizer, list[float](), list[float](), False
        with suppress(AttributeError):  # what wraps an optimizer of torch's may have no hooks
            optimizer.register_step_pre_hook(self.check)  # type: ignore[attr-defined]

    def set(self, lr: float) -> None:
        if not self.known or len(self.scales) != len(self.optimizer.param_groups):  # the latter where layers are thawed
            self.scales = scales(self.optimizer)
            self.known = any(own_lrs(self.optimizer))  # where the program's own warmup begins at 0, no ratio shows yet
            if self.known:
                keep_own_lrs(self.optimizer)  # they are part of its state: an LR of 0 in a checkpoint hides no ratio
        self.lrs = [lr * scale for scale in self.scales]
        for group, each in zip(self.optimizer.param_groups, self.lrs, strict=True):
            set_lr(group, each)

    def check(self, *_: Any) -> None:
        """Refuse an update with other LRs: something else in the program has set them."""
        used = [group["lr"] for group in self.optimizer.param_groups]
        if len(used) != len(self.lrs):
            raise UsageError(
                f"program: the optimizer has {len(used)} param groups, and had {len(self.lrs)} when its LRs were set; "
                "add groups before job.set_lr"
            )
        for lr, wanted in zip(used, self.lrs, strict=True):
            if isinstance(lr, float | int) and lr != wanted:
                raise UsageError(
                    f"program: the optimizer is about to use LR {lr} instead of {wanted}; nothing but job.set_lr may "
                    "set it between that call and the update, not a scheduler either"
                )
