"""What the user should know of a contest's answer, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lrctl.contracts.table import signed
from lrctl_strategies.contest.contenders import Contender
from lrctl_strategies.contest.learning import flat, gain, untrained
from lrctl_strategies.contest.outcome import Outcome
from lrctl_strategies.contest.short_runs import beyond

ELSEWHERE = (
    "schedules of one optimizer were measured to differ by 0.001 to 0.02 elsewhere (lrctl guide which-optimizer)"
)

SLOWER = 1.1
"""Steps that take no more than so many times as long as yours are not called slower: times are noisy."""


def notes(found: Outcome) -> Iterator[str]:
    yield from list(no_better_than_untrained(found)) or [worth_in_words(found)]
    yield from at_equal_time(found)
    yield from found.left_out
    yield from in_place_of_others(found)
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
    of = {each.name: found.trials.of(each, found.short) for each in found.field}
    level = [name for name, tried in of.items() if flat(found.trials, tried)]
    if level:
        yield (
            f"{', '.join(level)} learned nothing in short runs of {found.short} steps, which tell neither LR nor "
            "worth: give it an lr=, or a longer --short-run and a larger --budget"
        )
    if edges := [name for name in of if name not in level and beyond(found.trials, of[name]) is not None]:
        yield (
            f"of {', '.join(edges)} the best LR of short runs is at the edge of those tried: give it an lr=, or a "
            "larger --budget"
        )
    for each in found.rivals:
        if len(tried := found.trials.of(each, found.trials.steps)) < 2:
            on = "one LR was tried on whole runs" if tried else "whole runs had the LR that short ones chose"
            yield f"{each.name}: {on}; a larger --budget tunes it there"


def in_place_of_others(found: Outcome) -> Iterator[str]:
    """Who was given a whole run before others that were better on short ones."""
    before = found.able[: len(found.finalists)]
    if late := [each.name for each in found.finalists if each not in before]:
        passed = ", ".join(each.name for each in before if each not in found.finalists)
        yield (
            f"{late[0]} had a whole run before {passed}, which short runs rank higher: on runs of thousands of steps "
            "it was seen to gain late (lrctl guide which-optimizer)"
        )


def no_better_than_untrained(found: Outcome) -> Iterator[str]:
    """Of the answer and of yours, who learned nothing in a whole run."""
    for each in dict.fromkeys((found.winner, found.yours)):
        run = found.trials.handed(each) if each else None
        if each and run and gain(found.trials, run) <= 0:
            yield (
                f"{each.name} learned nothing at {found.trials.steps} steps: a score of {run.score.mean:.4f}, where "
                f"the untrained model has {untrained(found.trials, run).mean:.4f}, is no gain beyond the noise, so a "
                f"difference to it is not what an optimizer is worth; name the LR that it begins with, {told_lr(each)}"
            )


def told_lr(contender: Contender) -> str:
    return f"as in --contender '{contender.name} lr=0.1'" if contender.yours else "by lr= in its --contender"


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
    """Who would be the best where yours took as many more steps as its steps are faster, if that is another."""
    winner = found.winner
    assert winner
    lead = {each: left for each in found.field if (left := found.at_equal_time(each)) is not None}
    times = found.step_time(winner)
    if times and times > SLOWER and winner in lead:
        yield (
            f"a step of {winner.name} took {times:.2f} times as long as one of yours (noisy): were yours to gain in "
            "the time that is left as it did from short runs to whole ones, the difference would be "
            f"{signed(lead[winner])}"
        )
    order = {found.yours: 0.0} | lead
    first = min(order, key=lambda each: order[each])
    if lead and first != winner:
        yield f"in equal time {first.name} would be the best, by the same reckoning; nothing was decided by that"
