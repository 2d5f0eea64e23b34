"""What a contest answers with: the winner's run and settings, and what each contender was worth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lrctl.contracts.canonical import finite
from lrctl.contracts.strategy import SearchResult, TrainedRun
from lrctl.contracts.table import signed
from lrctl.registry.schedules import recorded
from lrctl_strategies.contest.contenders import Contender
from lrctl_strategies.contest.outcome import Outcome
from lrctl_strategies.contest.stages import beyond
from lrctl_strategies.contest.tables import charts, settings_table, table, told_of_fresh, worth
from lrctl_strategies.contest.trials import Ended

NEXT = (
    "lrctl lookahead with the [optimizer] table of the winner, for its schedule; lrctl export RUN for your own project"
)

ELSEWHERE = (
    "schedules of one optimizer were measured to differ by 0.001 to 0.02 elsewhere (lrctl guide which-optimizer)"
)

SLOWER = 1.1
"""Steps that take no more than so many times as long as yours are not called slower: times are noisy."""


def answer(found: Outcome) -> SearchResult:
    handed = found.handed
    assert handed
    trials, winner = found.trials, handed.trial.contender
    return SearchResult(
        winner.schedule(trials.steps, handed.trial.lr),
        handed.key,
        results=results(found, handed),
        chosen_by="training batches kept aside" if trials.reserve else "validation loss",
        next=NEXT,
        summary={
            "winner": winner.name,
            "optimizer": table(winner.settings) if winner.settings else None,
            "contenders": [document(found, each) for each in order(found)],
            "short_runs": {"steps": found.short, "untrained": finite(trials.untrained.mean)},
            "fresh_seeds": list(found.seeds),
            "full_runs": trials.spent,
        },
        notes=tuple(notes(found)),
        tables=(worth(found, order(found)), *told_of_fresh(found), *settings_table(winner)),
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
        "optimizer": table(contender.settings) if contender.settings else None,
        "family": contender.family,
        "lr": run.trial.lr if run else None,
        "steps": run.trial.steps if run else found.short,
        "score": finite(run.score.mean) if run else None,
        "test_loss": None if loss is None else finite(loss),
        "difference": asdict(difference) if difference else None,
        "full_runs": found.full_runs(contender),
        "step_time": found.step_time(contender),
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
        settings=table(contender.settings) if contender.settings and not contender.yours else {},
    )


def notes(found: Outcome) -> Iterator[str]:
    yield worth_in_words(found)
    yield from at_equal_time(found)
    yield from found.left_out
    if left := [each.name for each in found.able if each not in found.finalists]:
        room = found.trials.spent + len(left) * found.trials.cost(found.trials.steps)
        more = f" --finalists {len(found.able)}" if len(found.able) > found.p.finalists else ""
        yield (
            f"short runs do not rule out {', '.join(left)}; for whole runs of them give --budget "
            f"{math.ceil(room)}{more}"
        )
    if dropped := [each.name for each in found.field[1:] if each not in found.able]:
        yield (
            f"short runs of {found.short} steps ruled out {', '.join(dropped)}: diverged, or worse than the best by "
            f"more than {100 * found.p.margin:g} % of what that had learned (--margin)"
        )
    if edges := [each.name for each in found.field if beyond(found.trials.of(each, found.short)) is not None]:
        yield (
            f"of {', '.join(edges)} the best LR of short runs is at the edge of those tried: give it an lr=, or a "
            "larger --budget"
        )
    for each in found.rivals:
        if len(tried := found.trials.of(each, found.trials.steps)) < 2:
            on = "one LR was tried on whole runs" if tried else "whole runs had the LR that short ones chose"
            yield f"{each.name}: {on}; a larger --budget tunes it there"


def worth_in_words(found: Outcome) -> str:
    winner, length = found.winner, f"at {found.trials.steps} steps"
    assert winner
    if winner.yours:
        return f"none of those that were tried is better than your optimizer as it is {length}"
    difference = found.difference(winner)
    if difference is None or not math.isfinite(difference.mean):
        return f"{winner.name} is the best {length}; yours diverged, so there is nothing to compare it with"
    sure = difference.interval is not None and difference.interval[1] < 0
    told = "" if sure else " (not sure: the interval holds 0)" if difference.interval else " (one seed, no interval)"
    return f"the optimizer is worth {-difference.mean:.4f}{told} {length}: {winner.name} against yours; {ELSEWHERE}"


def at_equal_time(found: Outcome) -> Iterator[str]:
    """What is left of the winner's lead where yours takes as many more steps as its steps are faster."""
    winner = found.winner
    assert winner
    times, difference = found.step_time(winner), found.difference(winner)
    if times and difference and times > SLOWER:
        gain = found.slope * math.log(times)
        yield (
            f"a step of {winner.name} took {times:.2f} times as long as one of yours (noisy): in its time yours would "
            f"gain about {gain:.4f}, were it to gain as it did from short runs to whole ones, so that at equal time "
            f"the difference would be about {signed(difference.mean + gain)}"
        )
