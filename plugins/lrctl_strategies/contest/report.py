"""What a contest answers with: the winner's run and settings, and what each contender was worth."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from lrctl.contracts.canonical import finite
from lrctl.contracts.optimizers import recipe_table
from lrctl.contracts.strategy import SearchResult, TrainedRun
from lrctl.registry.schedules import recorded
from lrctl_strategies.contest.contenders import Contender
from lrctl_strategies.contest.notes import notes
from lrctl_strategies.contest.outcome import Outcome
from lrctl_strategies.contest.tables import charts, told_of_fresh, worth
from lrctl_strategies.contest.trials import Ended
from lrctl_strategies.optimizer_table import optimizer_table

NEXT = (
    "lrctl lookahead with the [optimizer] table of the winner, for its schedule; lrctl export RUN for your own project"
)


def answer(found: Outcome) -> SearchResult:
    handed = found.handed
    assert handed
    trials, winner = found.trials, handed.trial.contender
    title = f"The recipe's table for {winner.name}"
    settings = [optimizer_table(title, winner.settings)] if winner.settings else []
    return SearchResult(
        winner.schedule(trials.steps, handed.trial.lr),
        handed.key,
        results=results(found, handed),
        chosen_by=trials.scoring(trials.steps).by,
        next=NEXT,
        summary={
            "winner": winner.name,
            "contenders": [document(found, each) for each in order(found)],
            "short_runs": {"steps": found.short, "untrained": finite(trials.untrained.mean)},
            "fresh_seeds": list(found.seeds),
            "full_runs": trials.spent,
        },
        notes=tuple(notes(found)),
        tables=(worth(found, order(found)), *told_of_fresh(found), *settings),
        charts=charts(found, order(found)),
    )


def order(found: Outcome) -> list[Contender]:
    """The winner, the other rival, the other finalists, and then those of short runs, each best first."""

    def place(each: Contender) -> tuple[Any, ...]:
        run = found.longest(each)
        return (
            each != found.winner,
            each not in found.rivals,
            -run.trial.steps if run else 0,
            run.score.mean if run else math.inf,
        )

    return sorted(found.field, key=place)


def document(found: Outcome, contender: Contender) -> dict[str, Any]:
    difference, run, loss = found.difference(contender), found.longest(contender), found.test_loss(contender)
    return {
        "name": contender.name,
        "optimizer": recipe_table(contender.settings) if contender.settings else None,
        "family": contender.family,
        "lr": run.trial.lr if run else None,
        "steps": run.trial.steps if run else found.short,
        "score": finite(run.score.mean) if run else None,
        "test_loss": None if loss is None else finite(loss),
        "difference": asdict(difference) if difference else None,
        "full_runs": found.full_runs(contender),
        "step_time": found.step_time(contender),
        "at_equal_time": found.at_equal_time(contender),
        "runs": [tried(each) for each in found.trials.ended.values() if each.trial.contender == contender],
    }


def tried(run: Ended) -> dict[str, Any]:
    told = {"steps": run.trial.steps, "seed": run.trial.seed, "lr": run.trial.lr, "score": finite(run.score.mean)}
    return told | ({"test_loss": finite(run.test_loss), "key": run.key} if run.losses else {})


def results(found: Outcome, handed: Ended) -> tuple[TrainedRun, ...]:
    """The whole runs, the one that is handed over first: the best with the recipe's seed, and those with fresh ones."""
    trials = found.trials
    whole = [run for each in found.field if (run := trials.best(each, trials.steps))]
    whole += [run for each in found.rivals for run in found.fresh(each) if math.isfinite(run.score.mean)]
    return tuple(entry(found, run) for run in sorted(whole, key=lambda run: run is not handed))


def entry(found: Outcome, run: Ended) -> TrainedRun:
    contender, (train_loss, validation_loss, test_loss) = run.trial.contender, run.losses
    schedule = recorded(contender.schedule(run.trial.steps, run.trial.lr))
    return TrainedRun(
        contender.name,
        schedule,
        run.key,
        train_loss,
        validation_loss,
        test_loss,
        full_runs=found.full_runs(contender),
        seed=run.trial.seed,
        optimizer=None if contender.yours else contender.optimizer,
        settings=recipe_table(contender.settings) if contender.settings and not contender.yours else {},
    )
