"""Tuning eps: double and halve until the result regresses."""

from __future__ import annotations

import itertools
import math

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch, SearchResult
from lrctl.errors import NoValidCandidateError
from lrctl.testing import SPEC, check_strategy, play
from lrctl_strategies.semilocal.params import SemiLocal
from lrctl_strategies.semilocal.search import semilocal
from lrctl_strategies.semilocal.tune_eps import semilocal_strategy


def tune(best: float, eps: float = 0.06) -> tuple[SearchResult, list[Batch], dict[tuple[float, bool], float]]:
    """Tune on a landscape in which the validation loss tells how far the search's eps was from `best`.

    The training losses let every eps take a different path, so that the end of the run tells which eps it was.
    """
    peaks: dict[str, float] = {}

    def loss(job: SegmentJob) -> float:
        key = job.key(SPEC)
        lr = (job.lrs or [0.0])[-1]
        peaks[key] = max(peaks.get(job.parent or "", 0.0), lr)
        if job.evaluate:
            return abs(math.log2(peaks[job.parent or ""] / best))
        return 1.0 + lr if job.start else abs(math.log10(lr + 1e-9) + 3)

    found, batches = play(semilocal_strategy, SemiLocal(eps, "nats", tune_eps=True, reference=False), 600, loss)
    table = dict(found.summary)["tried"]
    return found, batches, {(row["eps"], row["decay"]): row["validation_loss"] for row in table}


@pytest.mark.parametrize("best", [0.002, 0.02, 0.5], ids=str)
def test_eps_moves_while_the_validation_loss_falls_and_one_step_further(best: float) -> None:
    _, _, tried = tune(best)
    for decay in (False, True):
        values = sorted(eps for eps, policy in tried if policy == decay)
        assert {0.03, 0.06, 0.12} <= set(values)
        assert all(later == 2 * earlier for earlier, later in itertools.pairwise(values))
        for low, mid, high in zip(values, values[1:], values[2:], strict=False):
            if high > 0.12:
                assert tried[mid, decay] < tried[low, decay], "went on doubling although it did not help"
            if low < 0.03:
                assert tried[mid, decay] < tried[high, decay], "went on halving although it did not help"


def test_the_best_eps_and_policy_are_handed_over_and_named() -> None:
    found, _, tried = tune(0.02)
    summary = dict(found.summary)
    assert tried[summary["eps"], summary["decay"]] == min(tried.values())
    assert found.chosen_by == "validation loss"


def test_a_person_is_shown_every_eps_and_the_one_found() -> None:
    found, _, tried = tune(0.02)
    (table,) = found.tables
    assert table.columns == ("eps", "policy", "validation loss")
    assert [(float(eps), policy == "decaying", loss) for eps, policy, loss in table.rows] == [
        (eps, decay, f"{loss:.4f}") for (eps, decay), loss in tried.items()
    ]
    summary = dict(found.summary)
    policy = "decaying" if summary["decay"] else "constant"
    assert table.notes == (f"Found eps {summary['eps']:g} {policy}, chosen by validation loss.",)


def test_both_policies_are_tried() -> None:
    _, _, tried = tune(0.02)
    assert {decay for _, decay in tried} == {False, True}


def test_the_first_segment_is_asked_for_with_the_same_jobs_by_every_eps() -> None:
    _, batches, tried = tune(0.02)
    firsts = [batch.jobs for batch in batches if "segment 1 of 10" in batch.title]
    assert len(firsts) == len(tried)
    assert all(jobs == firsts[0] for jobs in firsts)


def test_the_best_answers_checkpoint_is_kept_while_others_are_tried() -> None:
    found, batches, _ = tune(0.02)
    evaluated = [batch.jobs[0].parent for batch in batches if batch.jobs[0].evaluate]
    last = max(i for i, batch in enumerate(batches) if batch.jobs[0].parent == found.checkpoint)
    assert found.checkpoint in evaluated
    assert all(found.checkpoint in batch.keep for batch in batches[last + 1 :])


def test_an_eps_whose_search_fails_counts_as_a_regress() -> None:
    def loss(job: SegmentJob) -> float:
        lr = (job.lrs or [0.0])[-1]
        if job.evaluate:
            return -float(job.schedule(60))  # type: ignore[call-arg]
        return math.inf if (job.lrs or [0.0])[0] > 4e-3 else 1.0 + lr if job.start else abs(math.log10(lr + 1e-9) + 3)

    found, _ = play(semilocal_strategy, SemiLocal(0.001, "nats", tune_eps=True, reference=False), 600, loss)
    assert math.isfinite(min(row["validation_loss"] for row in dict(found.summary)["tried"]))


def test_it_fails_when_every_eps_fails() -> None:
    with pytest.raises(NoValidCandidateError):
        play(
            semilocal_strategy,
            SemiLocal(0.1, "nats", tune_eps=True, reference=False),
            600,
            lambda job: math.inf if job.start else 1.0,
        )


def test_it_keeps_the_contract() -> None:
    check_strategy(semilocal_strategy, SemiLocal(0.4, "nats", tune_eps=True))


def test_without_tune_eps_it_is_a_plain_search() -> None:
    p = SemiLocal(0.3, "nats", decay=True, reference=False)
    assert play(semilocal_strategy, p, 600, lambda job: float(job.stop)) == play(
        semilocal, p, 600, lambda job: float(job.stop)
    )
