"""Tuning eps as the paper does (section 3.2.1): double and halve a first guess until the result regresses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult, Work, advance, relayed
from lrctl.contracts.table import Table, number
from lrctl.errors import NoValidCandidateError
from lrctl_strategies.reference import beside_plain_run
from lrctl_strategies.semilocal.params import SemiLocal
from lrctl_strategies.semilocal.search import semilocal


@dataclass(slots=True)
class TriedEps:
    """What each (eps, decay) gave: its validation loss and the search's answer. `failed` is the last failure."""

    run: RunSpec
    answers: dict[tuple[float, bool], tuple[float, SearchResult]] = field(default_factory=dict)
    failed: NoValidCandidateError | None = None

    def best(self) -> tuple[float, bool]:
        if self.failed and not self.answers:
            raise self.failed
        return min(self.answers, key=lambda tried: self.answers[tried][0])

    def loss(self, p: SemiLocal) -> Work[float]:
        """The validation loss after semi-local search with these parameters; +inf if the search failed."""
        if (p.eps, p.decay) not in self.answers:
            title = f"eps {p.eps:g} {policy(p.decay)}"
            try:
                found = yield from self.retitled(semilocal(p, self.run), title)
            except NoValidCandidateError as error:
                self.failed = error
                return math.inf
            assert found.schedule is not None
            # No step is left to train: the job evaluates its parent's weights.
            last, split = self.run.steps, ("validation",)
            end = SegmentJob(last, last, found.schedule, found.checkpoint, evaluate=split, checkpoint=False)
            (result,) = yield Batch(f"{title}: validation loss", [end], found.trace, self.kept(), so_far=self.so_far)
            self.answers[p.eps, p.decay] = result.metrics["validation"]["loss"], found
        return self.answers[p.eps, p.decay][0]

    def kept(self) -> frozenset[str]:
        """The trained answer so far, whose checkpoint is part of what the search hands over."""
        best = self.so_far()
        return frozenset({best.checkpoint} if best and best.checkpoint else {})

    def so_far(self, _: object = None) -> SearchResult | None:
        """The best answer so far."""
        return self.answers[self.best()][1] if self.answers else None

    def retitled(self, search: Search, title: str) -> Search:
        """A search as it is, with batches that say which one they belong to and that keep what was found before."""
        keep, before = self.kept(), self.so_far if self.answers else None

        def change(batch: Batch) -> Batch:
            so_far = before or batch.so_far
            return replace(batch, title=f"{title}: {batch.title}", keep=batch.keep | keep, so_far=so_far)

        return relayed(search, advance(search), change)


def semilocal_strategy(p: SemiLocal, run: RunSpec) -> Search:
    found = yield from (tune_eps if p.tune_eps else semilocal)(p, run)
    return (yield from beside_plain_run(p, found, found.trace[0].chosen, run))


def tune_eps(p: SemiLocal, run: RunSpec) -> Search:
    """Semi-local search with constant and decaying eps, each doubled and halved from `p.eps` while that helps.

    Choices are made by validation loss. Work that two values of eps share is done once.
    """
    tried = TriedEps(run)
    for decay in (False, True):
        guess = replace(p, decay=decay)
        yield from climb(tried, guess, lambda eps: 2 * eps)
        yield from climb(tried, guess, lambda eps: eps / 2)
    eps, decay = tried.best()
    table = [{"eps": e, "decay": d, "validation_loss": loss} for (e, d), (loss, _) in tried.answers.items()]
    found = tried.answers[eps, decay][1]
    summary = {**found.summary, "eps": eps, "decay": decay, "tried": table}
    rows = [(f"{e:g}", policy(d), number(loss)) for (e, d), (loss, _) in tried.answers.items()]
    told = (f"Found eps {eps:g} {policy(decay)}, chosen by validation loss.",)
    shown = Table("Every eps tried", ("eps", "policy", "validation loss"), tuple(rows), told)
    return replace(found, chosen_by="validation loss", summary=summary, tables=(shown,))


def policy(decay: bool) -> str:
    return "decaying" if decay else "constant"


def climb(tried: TriedEps, p: SemiLocal, move: Callable[[float], float]) -> Work[None]:
    loss = yield from tried.loss(p)
    while True:
        p = replace(p, eps=move(p.eps))
        further = yield from tried.loss(p)
        if not further < loss:
            return
        loss = further
