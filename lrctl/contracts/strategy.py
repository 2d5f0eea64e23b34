"""Contract: a search is a generator of job batches. It is sent the results and returns what it found.

A strategy does no I/O and draws randomness only from a seed in its parameters. So resuming is replaying: the same
generator over recorded results asks for the same jobs again, and only the missing ones are trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from lrctl.contracts.chart import Chart
from lrctl.contracts.exact import Exact
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import OptimizerSettings
from lrctl.contracts.params import fields_of
from lrctl.contracts.result import JobResult, Status
from lrctl.contracts.schedule import AdaptiveSchedule, Schedule, ScheduleRecord
from lrctl.contracts.table import DataFile, Table
from lrctl.errors import UsageError


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What a strategy is told about the run.

    Attributes:
        steps: how many optimizer updates it has.
        seed: the recipe's.
        optimizers: the settings of each optimizer by name, for jobs that are to use another than the recipe's: the
            recipe's settings where it names that optimizer, else the defaults.
        optimizer: which of them the recipe means; None where the workload brings its own, or may.
        exact: the workload, where its runs have a closed form. Its methods are pure functions, and train nothing.
        start: the first step that is searched: [start, steps) is left of a run that is under way.
        lr: the LR at `start`; 0 where the run begins there.
        checkpoint: key of the job that ended the steps before; the first jobs of a search have it as their parent.
    """

    steps: int
    seed: int = 0
    optimizers: Mapping[str, OptimizerSettings] = field(default_factory=dict)
    optimizer: str | None = None
    exact: Exact | None = None
    start: int = 0
    lr: float = 0.0
    checkpoint: str | None = None

    @property
    def left(self) -> int:
        """How many updates are left: those of a full run, by which costs are counted."""
        return self.steps - self.start


@dataclass(frozen=True, slots=True)
class Candidate:
    """One LR: its mean loss over the segment, and the job that tried it.

    The mean loss is +inf if the job diverged, was stopped, or was skipped; the key of a job that was skipped is empty.
    """

    lr: float
    mean_loss: float
    status: Status
    key: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One decision of a search: segment k, steps [start, stop), chose the LR `chosen` for its end.

    Attributes:
        eps: how much worse than the best a candidate may have been, in units of the loss.
        lr_start: the LR at `start`, from which each candidate's ramp began.
        margin: by how much one candidate's mean loss would have had to differ to change the choice (+inf: none); of
            candidates trained to the end only.
        frozen_loss: mean loss of the segment's batches with frozen weights, where eps is a share of the progress made
            over that.
        notes: what the user should know about this decision.
    """

    k: int
    start: int
    stop: int
    eps: float
    lr_start: float
    candidates: tuple[Candidate, ...]
    chosen: float
    margin: float
    frozen_loss: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def winner(self) -> Candidate:
        """The candidate that was chosen."""
        return next(candidate for candidate in self.candidates if candidate.lr == self.chosen)


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A training run from the first step to the last: one entry among the results of a search.

    Attributes:
        name: of what was tried, for people, such as `wsd`.
        checkpoint: key of the job that ended it.
        train_loss: final training loss, smoothed. A loss that is not finite is NaN once read back.
        full_runs: what finding it cost, in plain training runs.
        seed: where it is not that of the recipe.
        optimizer: the name of its own, where it is not the recipe's.
        settings: of that optimizer, as the recipe's table, where they are not those of `RunSpec.optimizers`.
        given: it has the schedule that the search was given to work on.
        details: what else there is to say of it, JSON values by name.
        metrics: of its held-out data beside the losses: split -> metric -> value.
    """

    name: str
    schedule: ScheduleRecord
    checkpoint: str | None
    train_loss: float
    validation_loss: float
    test_loss: float
    full_runs: float
    seed: int | None = None
    optimizer: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    given: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse than the lowest mean loss a candidate may be and still be chosen.

    Attributes:
        eps: in units of the loss or, with `share`, as a share of what the best candidate gained over frozen weights.
    """

    eps: float
    share: bool = False

    def nats(self, best: float, frozen: float | None = None) -> float:
        """Eps in units of the loss, where `best` is the lowest mean loss and `frozen` that of the frozen weights.

        With weights whose own loss is not finite there is no progress to measure: it is 0.
        """
        if not (self.share and self.eps):
            return self.eps
        assert frozen is not None, "a share of the progress needs a job with frozen weights"
        return self.eps * max(0.0, frozen - best) if math.isfinite(frozen) else 0.0

    def limit(self, best: float, frozen: float | None = None) -> float:
        """The highest mean loss that may be chosen."""
        return best + self.nats(best, frozen)

    def bound(self, best: float, frozen: float | None = None) -> float | None:
        """What the limit never exceeds, whatever lower mean losses >= 0 are still found; None if that is not known."""
        if not 0 <= best < math.inf or (self.share and self.eps and frozen is None):
            return None
        # A lower best raises the limit where the share is above 1.
        return max(self.limit(best, frozen), self.limit(0.0, frozen))


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs that may run in parallel, in the order in which their results are wanted back.

    Attributes:
        title: what the batch decides, for people: "segment 3 of 10".
        trace: the decisions taken so far.
        keep: keys whose checkpoints a later batch will name. All other checkpoints of earlier batches that no
            job of this batch continues from are deleted.
        judge: whether jobs that went badly are marked as diverged. False where a strategy judges whole runs by how
            they end.
        tolerance: one of the jobs is chosen by its mean loss, and which may be: a job that is sure to be none of them
            is stopped. Its result has status `stopped` and mean loss +inf. None: every job is trained to its end.
        likely: the LR that a dry run, which trains nothing, is to take for the best from here on.
        beside: the jobs are no part of the search, but for comparison with what it found: their cost is told apart.
        so_far: what can be handed over if the search ends here, before the batch is answered, as a budget may have it;
            None where that is nothing yet. Called with the results of those jobs that are done, None for the others.
            Trains nothing: a checkpoint is handed over only where it is there.
    """

    title: str
    jobs: Sequence[SegmentJob]
    trace: tuple[Segment, ...] = ()
    keep: frozenset[str] = frozenset()
    judge: bool = True
    tolerance: Tolerance | None = None
    likely: float | None = None
    beside: bool = False
    so_far: Callable[[Sequence[JobResult | None]], SearchResult | None] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search returns.

    Attributes:
        schedule: for the whole run; None where none was found, as in a comparison that sums up what was recorded.
        checkpoint: key of the job that ended the run with this schedule; None where no run was trained with it.
        trace: the decisions that led to it.
        results: what was trained from the first step to the last, best first, where that is more than the one run that
            is handed over.
        reference: a plain run, trained beside the search for comparison with what it found.
        chosen_by: the loss that the choice was made by, in words.
        next: a command for the user to try.
        summary: what else there is to say, JSON values by name.
        notes: what the user should know about the answer.
        tables: what a person is shown of it.
        charts: what a report draws of it.
        data: what a report writes of it.
    """

    schedule: Schedule | AdaptiveSchedule | None
    checkpoint: str | None
    trace: tuple[Segment, ...] = ()
    results: tuple[TrainedRun, ...] = ()
    reference: TrainedRun | None = None
    chosen_by: str = ""
    next: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    data: tuple[DataFile, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenFile:
    """Marks a parameter that is a text file on the command line: the strategy is given its text."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Marks a parameter that has no say in what a search finds, but in what stands beside it: it names no method."""


def beside(params: Any) -> set[str]:
    """The parameters of a strategy that are marked so."""
    return {field.name for field in fields_of(params) if Beside() in field.marks}


@dataclass(frozen=True, slots=True)
class GivenSchedule:
    """Marks the parameter that is the schedule a strategy works on: `Annotated[str, "help", GivenSchedule()]`.

    It is the command's argument, `RUN|schedule.json`. The strategy is given the schedule as JSON text, for
    `lrctl.registry.schedules.parse_schedule`; a run's own recipe is then the default recipe.

    Attributes:
        stretch: the parameter, if any, that holds the steps that the schedule is stretched to; 0 is not at all.
    """

    stretch: str = ""


T = TypeVar("T")
Work = Generator[Batch, list[JobResult], T]
"""A part of a search, such as `Work[float]`: it asks for batches, is sent their results, and returns what it names."""

Search = Work[SearchResult]


class Strategy(Protocol):
    """A function over a frozen dataclass of parameters, which become its command's flags.

    One that ignores `run.start` can search whole runs only, and is refused where a run is under way.

    Raises:
        UsageError: the parameters do not fit the problem.
        NoValidCandidateError: every candidate of a choice diverged.
    """

    def __call__(self, params: Any, run: RunSpec, /) -> Search:
        """Start the search."""


def drive(search: Search, run_batch: Callable[[Batch], list[JobResult]]) -> SearchResult:
    """Run a search to its end: each batch it asks for is answered with one result per job, in order.

    A job that cannot be made, such as one with an optimizer that does not fit the model, is a `UsageError` at the
    `yield`: a search that catches it goes on without.
    """
    moved = advance(search)
    while isinstance(moved, Batch):
        try:
            results: list[JobResult] | UsageError = run_batch(moved)
        except UsageError as error:
            results = error
        moved = advance(search, results)
    return moved


def advance(search: Search, results: list[JobResult] | UsageError | None = None) -> Batch | SearchResult:
    """The next batch that a search asks for once it is sent these results (None: it begins), or what it found."""
    try:
        if isinstance(results, UsageError):
            return search.throw(results)
        return search.send(results)  # type: ignore[arg-type]  # a generator begins with None
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def relayed(
    search: Search, moved: Batch | SearchResult, change: Callable[[Batch], Batch] = lambda batch: batch
) -> Search:
    """A search whose last move was `moved`, from there on; each batch is changed on its way."""
    while isinstance(moved, Batch):
        try:
            results: list[JobResult] | UsageError = yield change(moved)
        except UsageError as error:
            results = error
        moved = advance(search, results)
    return moved
