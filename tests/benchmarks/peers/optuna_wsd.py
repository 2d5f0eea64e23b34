"""Optuna: TPE over base LR, warmup and decay of WSD, with a median pruner on the validation loss along the way."""

from __future__ import annotations

import optuna

from benchmarks.peers.contest import Contest, Outcome
from benchmarks.peers.loop import Run
from lrctl.registry.registry import registry

STAGES = 4
"""The validation loss is reported so often in a run, the last time at its end."""

STARTUP = 4
"""Trials at random before TPE, and whole before the pruner, begins: few, as there are few in all."""

LRS = (1e-4, 1e-1)
LONGEST = 0.5
"""The longest warmup, as a share of the run; the decay may take all the rest."""

FIRST = ({"peak_lr": 3.33e-3, "warmup": 0.1, "decay": 0.1}, {"peak_lr": 1e-2, "warmup": 0.1, "decay": 0.1})
"""The trials that a practitioner would begin with: WSD at its usual settings."""


class Search:
    """The objective, with the best run so far and what all took."""

    def __init__(self, contest: Contest) -> None:
        self.contest = contest
        self.family = registry().get("schedule", "wsd").target
        self.best: tuple[float, Run] | None = None
        self.steps_trained = self.evaluations = 0

    def __call__(self, trial: optuna.Trial) -> float:
        """Train a run; its last validation loss."""
        peak_lr, warmup = trial.suggest_float("peak_lr", *LRS, log=True), trial.suggest_float("warmup", 0.0, LONGEST)
        decay = min(trial.suggest_float("decay", 0.0, 1.0), 1.0 - warmup)
        schedule = self.family(steps=self.contest.steps, peak_lr=peak_lr, warmup=warmup, decay=decay)
        run = Run(self.contest)
        for stage in range(1, STAGES + 1):
            stop = self.contest.steps * stage // STAGES
            self.steps_trained += stop - run.step
            run.train(stop, schedule)
            loss = run.loss("validation")
            self.evaluations += 1
            trial.report(loss, stop)
            if stage < STAGES and trial.should_prune():
                raise optuna.TrialPruned
        if self.best is None or loss < self.best[0]:
            self.best = loss, run
        return loss


def run(contest: Contest) -> Outcome:
    """Begin trials as long as the budget is not used up."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=contest.seed, n_startup_trials=STARTUP),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP),
    )
    for trial in FIRST:
        study.enqueue_trial(trial)
    search = Search(contest)
    while search.steps_trained < contest.budget:
        study.optimize(search, n_trials=1)
    assert search.best is not None
    pruned = study.get_trials(states=[optuna.trial.TrialState.PRUNED])
    return Outcome(
        test_loss=search.best[1].loss("test"),
        validation_loss=search.best[0],
        steps_trained=search.steps_trained,
        forwards=round(search.evaluations * contest.passes),
        checkpoint_bytes=0,
        chosen={**study.best_params, "trials": len(study.trials), "pruned": len(pruned)},
    )
