"""Ray Tune's population based training (Jaderberg et al. 2017): runs side by side, of which the bad copy the good.

Every member trains with one LR up to the next perturbation; the LRs of the member that ends best are its schedule.
"""

from __future__ import annotations

import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported

import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining
from ray.tune.search.basic_variant import BasicVariantGenerator

from benchmarks.peers.contest import Contest, Outcome
from benchmarks.peers.disk import watched
from benchmarks.peers.loop import Run
from lrctl.storage import checkpoint
from lrctl.training.quiet import quiet_torch

INTERVALS = 10
"""Perturbations come after each tenth of the run: as many choices as semi-local search makes."""

LRS = (1e-4, 1e-1)
FACTORS = (2.0, 0.5)
"""Ray's own 1.2 and 0.8 could lower the LR to no less than a tenth in so few perturbations."""

FILE = "state.safetensors"


class Member(tune.Trainable):
    """A member of the population."""

    def setup(self, config: dict[str, Any], contest: Contest) -> None:
        self.contest = contest
        self.reset_config(config)

    def reset_config(self, config: dict[str, Any]) -> bool:
        """Become another member, from its start unless a checkpoint is loaded next."""
        self.lr = config["lr"]
        self.run = Run(self.contest)
        return True

    def step(self) -> dict[str, float]:
        """Train to the next perturbation."""
        with quiet_torch(self.contest.spec.threads, self.contest.spec.device):
            self.run.train(following(self.run.step, self.contest.steps), lambda _: self.lr)
            return {"loss": self.run.loss("validation")}

    def save_checkpoint(self, folder: str) -> None:
        checkpoint.save(Path(folder) / FILE, self.run.state())

    def load_checkpoint(self, folder: str) -> None:
        self.run.resume(checkpoint.load(Path(folder) / FILE))


def following(step: int, steps: int) -> int:
    """The step at which an interval ends that begins at `step`."""
    return next(end for i in range(1, INTERVALS + 1) if (end := steps * i // INTERVALS) > step)


class Count(tune.Callback):
    """Counts what the members train."""

    intervals = 0

    def on_trial_result(self, **_: object) -> None:
        self.intervals += 1


def run(contest: Contest) -> Outcome:
    """Train a population of as many members as the budget has whole runs."""
    with tempfile.TemporaryDirectory() as folder:
        ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=f"{folder}/ray")
        try:
            return trained(contest, Path(folder) / "storage")
        finally:
            ray.shutdown()


def trained(contest: Contest, storage: Path) -> Outcome:
    """Train the population with its checkpoints in `storage`, and evaluate the member that ended best."""
    count = Count()
    with watched(storage, f"**/checkpoint_*/{FILE}") as peak:
        best = tuner(contest, storage, count).fit().get_best_result(scope="last")
    final = Run(contest)
    with best.checkpoint.as_directory() as folder:
        final.resume(checkpoint.load(Path(folder) / FILE))
    return Outcome(
        test_loss=final.loss("test"),
        validation_loss=best.metrics["loss"],
        steps_trained=count.intervals * contest.steps // INTERVALS,
        forwards=round(count.intervals * contest.passes),
        checkpoint_bytes=peak.bytes,
        chosen={"last lr": best.config["lr"], "population": contest.runs},
    )


def tuner(contest: Contest, storage: Path, count: Count) -> tune.Tuner:
    """Ray's experiment: synchronous, so that it comes out alike each time."""
    random.seed(contest.seed)
    np.random.seed(contest.seed)
    lr = tune.loguniform(*LRS)
    return tune.Tuner(
        tune.with_parameters(Member, contest=replace(contest)),  # without the data that it holds by now
        param_space={"lr": lr},
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            num_samples=contest.runs,
            search_alg=BasicVariantGenerator(random_state=contest.seed),
            scheduler=PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=1,
                hyperparam_mutations={"lr": lr},
                perturbation_factors=FACTORS,
                synch=True,
            ),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=str(storage),
            stop={"training_iteration": INTERVALS},
            checkpoint_config=tune.CheckpointConfig(num_to_keep=4, checkpoint_at_end=True),
            callbacks=[count],
            verbose=0,
        ),
    )
