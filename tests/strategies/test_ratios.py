"""Lookahead's search for LRs by role, on scripted landscapes of the LR and of each role's ratio."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import AdamW, OptimizerSettings
from lrctl.contracts.result import FORWARD, JobResult
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, drive
from lrctl.errors import UsageError
from lrctl.testing import SPEC, Scripted, run_spec
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.ratios import scaled
from lrctl_strategies.lookahead.search import lookahead
from searches import search, smoke

STEPS = 200
BEST_LR = 3e-3


def peak(found: SearchResult) -> float:
    return max(float(lr) for _, lr in found.schedule.knots)  # type: ignore[union-attr]


def ratio(optimizer: OptimizerSettings | None, role: str) -> float:
    return optimizer.lr_scale.get(role, 1.0) if optimizer else 1.0


@dataclass
class World:
    """Stands for training, where each length of run has its best ratios.

    Attributes:
        short: the best ratio of roles on short runs; of others it is 1.
        whole: on whole runs; as on short ones unless told.
        missing: roles that the model has no parameters of.
        worth: what a ratio that is off by a factor of 2 costs.
    """

    short: Mapping[str, float]
    whole: Mapping[str, float] | None = None
    missing: tuple[str, ...] = ()
    worth: float = 0.05
    jobs: list[SegmentJob] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    def loss(self, job: SegmentJob) -> float:
        if not job.steps:
            return 6.0
        best = self.short if self.whole is None or job.stop < STEPS else self.whole
        off = sum(math.log2(ratio(job.optimizer, role) / best.get(role, 1.0)) ** 2 for role in ("embedding", "output"))
        top = max(lr for _, lr in job.schedule.knots)  # type: ignore[union-attr]
        return 3.0 + self.worth * off + math.log10(top / BEST_LR) ** 2

    def run_batch(self, batch: Batch) -> list[JobResult]:
        self.jobs += batch.jobs
        self.batches.append(batch)
        for job in batch.jobs:
            if role := next((role for role in self.missing if job.optimizer and role in job.optimizer.lr_scale), None):
                raise UsageError(f"no {role}")
        return Scripted(self.loss).run_batch(batch)

    def play(self, run: RunSpec | None = None, **params: Any) -> SearchResult:
        self.jobs = []
        given = Lookahead(ratios=True, reference=False, **params)
        return drive(lookahead(given, run or replace(run_spec(STEPS), optimizer="adamw")), self.run_batch)

    def optimizer(self, found: SearchResult) -> OptimizerSettings | None:
        """What the run that is handed over was trained with."""
        return next(job.optimizer for job in self.jobs if job.key(SPEC) == found.checkpoint)

    @property
    def whole_runs(self) -> list[OptimizerSettings | None]:
        return [job.optimizer for job in self.jobs if job.stop == STEPS]


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ({"embedding": 8.0}, {"embedding": 8.0}),
        ({"embedding": 4.0, "output": 0.5}, {"embedding": 4.0, "output": 0.5}),
        ({"output": 16.0}, {"output": 8.0}),
    ],
    ids=["one role", "both", "beyond what is tried"],
)
def test_ratios_that_are_better_on_short_runs_and_on_a_whole_one_are_found(
    best: dict[str, float], expected: dict[str, float]
) -> None:
    world = World(best)
    found = world.play()
    optimizer = world.optimizer(found)
    assert optimizer is not None
    assert optimizer.lr_scale == expected
    assert world.whole_runs[0] is None
    assert set(map(str, world.whole_runs[1:])) == {str(optimizer)}
    assert abs(math.log(peak(found) / BEST_LR)) < math.log(1.3)
    assert [table.caption for table in found.tables][1:] == ["LRs by role", "The recipe's table with them"]


def test_where_no_ratio_is_better_on_short_runs_no_whole_run_is_trained_for_them() -> None:
    world = World({})
    found = world.play()
    plain = drive(lookahead(Lookahead(reference=False), run_spec(STEPS)), World({}).run_batch)
    assert found.schedule == plain.schedule
    assert set(world.whole_runs) == {None}
    assert [each["what"] for each in found.summary["ratios"]] == [
        "embedding x 4",
        "embedding x 0.5",
        "output x 4",
        "output x 0.5",
    ]


def test_ratios_that_a_whole_run_is_worse_for_are_dropped() -> None:
    world = World({"embedding": 8.0}, whole={})
    found = world.play()
    assert world.optimizer(found) is None
    assert sum(each is not None for each in world.whole_runs) == 1
    without, by_role = found.summary["ratios"][-2:]
    assert (without["what"], without["taken"]) == ("as in the recipe", True)
    assert (by_role["what"], by_role["taken"]) == ("embedding x 8", False)
    assert [table.caption for table in found.tables][1:] == ["LRs by role"]
    assert abs(math.log(peak(found) / BEST_LR)) < math.log(1.3)


def test_ratios_times_those_of_the_recipe_are_tried() -> None:
    world = World({"embedding": 8.0})
    own = AdamW(lr_scale={"embedding": 2.0, "output": 1.0}, decay_scale={"embedding": 0.5})
    run = replace(run_spec(STEPS), optimizer="adamw", optimizers={"adamw": own})
    optimizer = world.optimizer(world.play(run))
    assert optimizer is not None
    assert (optimizer.lr_scale["embedding"], optimizer.decay_scale) == (8.0, {"embedding": 0.5})


def test_a_role_that_the_model_has_not_is_left_out() -> None:
    world = World({"output": 4.0}, missing=("embedding",))
    found = world.play()
    optimizer = world.optimizer(found)
    assert optimizer is not None
    assert optimizer.lr_scale == {"output": 4.0}
    assert "--ratios: embedding is left out: no embedding" in found.notes


def test_what_is_raised_is_without_weight_decay() -> None:
    raised, lowered = (scaled(AdamW(), "output", by) for by in (4.0, 0.5))
    assert (raised.decay_scale, lowered.decay_scale) == ({"output": 0.0}, {})
    assert not scaled(AdamW(weight_decay=0.0), "output", 4.0).decay_scale


def test_the_cost_is_told_and_the_checkpoints_of_both_whole_runs_stay() -> None:
    world = World({"embedding": 8.0})
    found = world.play()
    scored = sum(job.score_batches for job in world.jobs)
    steps = sum(job.steps for job in world.jobs)
    assert found.summary["full_runs"] == pytest.approx((steps + FORWARD * scored) / STEPS)
    last = next(n for n, batch in enumerate(world.batches) if any(job.optimizer for job in batch.jobs if job.parent))
    plain = {job.key(SPEC) for batch in world.batches[:last] for job in batch.jobs if job.stop == STEPS}
    assert plain <= world.batches[last].keep


@pytest.mark.parametrize(
    ("run", "told"),
    [(run_spec(STEPS), "name one, as in --set optimizer.name=adamw"), (run_spec(STEPS, 50, 1e-3), "is under way")],
    ids=["its own optimizer", "under way"],
)
def test_an_optimizer_that_cannot_be_told_ratios_is_refused(run: RunSpec, told: str) -> None:
    world = World({})
    with pytest.raises(UsageError, match=f"^--ratios: .*{told}"):
        world.play(run)
    assert not world.jobs


def test_a_search_that_trains_tells_what_it_tried(tmp_path: Path) -> None:
    given = smoke(optimizer__name="adamw", strategy__lookahead__ratios=True, strategy__lookahead__budget=4.0)
    document = search(tmp_path, given, "lookahead")
    assert any(note.startswith("--ratios: embedding is left out: ") for note in document["notes"])
    assert {each["what"] for each in document["ratios"]} > {"output x 4"}
