"""A contest: which optimizer is worth what, each with its LR tuned, within a budget of full runs.

Short runs that learn something find each contender's LR, and drop those that are far behind. Whole runs decide, since
short ones rank LRs well and optimizers badly. The best is then compared with the recipe's own optimizer on fresh seeds.

No paper's method: what it was measured to give stands in `lrctl guide which-optimizer`.
"""

from __future__ import annotations

from lrctl.contracts.strategy import RunSpec, Search, Work
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl_strategies.contest.contenders import Contender, contenders, rivals_named
from lrctl_strategies.contest.outcome import Outcome
from lrctl_strategies.contest.params import Contest
from lrctl_strategies.contest.report import answer
from lrctl_strategies.contest.short_runs import LRS, brackets
from lrctl_strategies.contest.stages import fresh, promising, ranked, refine, whole_runs
from lrctl_strategies.contest.trials import Trials
from lrctl_strategies.lookahead.scoring import batches


def contest(p: Contest, run: RunSpec) -> Search:
    asked, short = contenders(p, run), max(1, round(p.short_run * run.steps))
    reserve = batches(p.score_batches, run.steps) if p.score_on == "training" else 0
    trials = Trials(run.steps, run.seed, p.budget, p.score_batches, reserve)
    check(p, trials, asked, short)
    left_out = yield from unfit(trials, asked, named=bool(rivals_named(p)))
    field = [each for each in asked if each not in left_out]
    yield from trials.look()
    check(p, trials, field, short)  # now it is known what a validation loss takes
    short = yield from brackets(trials, field, short, 1 + 2 * p.fresh_seeds)
    if not (alive := ranked(trials, field, short)):
        raise NoValidCandidateError(lost(field, "short"))
    yours, *others = field
    able = [each for each in promising(trials, alive, short, p.margin) if each in others]
    finalists = yield from whole_runs(trials, able, short, p.finalists, 2 * p.fresh_seeds)
    rivals = [*ranked(trials, finalists, run.steps)[:1], *([yours] if yours in alive else [])]
    seeds = [run.seed + n for n in range(1, 1 + p.fresh_seeds)] if len(rivals) == 2 else []
    yield from refine(trials, rivals, short, p.ratio, 2 * len(seeds))
    yield from fresh(trials, rivals, short, seeds)
    outcome = Outcome(p, trials, field, short, able, finalists, rivals, seeds, tuple(left_out.values()))
    if outcome.handed is None:
        raise NoValidCandidateError(lost(rivals or field, "whole"))
    return answer(outcome)


def unfit(trials: Trials, field: list[Contender], *, named: bool) -> Work[dict[Contender, str]]:
    """Those whose optimizer cannot be made for this model, and why. One that the user named is an error."""
    found = {}
    for each in field[1:]:
        try:
            yield from trials.make(each)
        except UsageError as error:
            if named:
                raise UsageError(f"--contender {each.name!r}: {error}") from error
            found[each] = f"{each.name} is left out: {error}"
    if len(found) == len(field) - 1:
        raise UsageError(f"--contender: there is nobody beside yours; {next(iter(found.values()))}")
    return found


def check(p: Contest, trials: Trials, field: list[Contender], short: int) -> None:
    """Refuse a run that is too short, and a budget that has no room for one contender beside yours on fresh seeds."""
    if short >= trials.steps:
        raise UsageError(f"steps: {trials.steps} are too few for a contest; raise --steps")
    first, whole = LRS * len(field) * trials.cost(short), 1 + 2 * p.fresh_seeds
    needed = first + whole * trials.cost(trials.steps)
    if needed > p.budget:
        raise UsageError(
            f"--budget {p.budget:g}: {len(field)} contenders, yours among them, take at least {needed:.1f} full runs: "
            f"{LRS * len(field)} short ones ({first:.1f}), a whole one, and {p.fresh_seeds} fresh seeds of the best "
            "and yours; raise it, name fewer by --contender, or lower --fresh-seeds or --short-run"
        )


def lost(field: list[Contender], length: str) -> str:
    names = ", ".join(each.name for each in field)
    return (
        f"every {length} run of {names} diverged; name an LR to begin with, as in --contender 'adamw lr=1e-5', and "
        "check the model and its data"
    )
