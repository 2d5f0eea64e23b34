"""Contests on scripted landscapes, where each optimizer's losses at every length and LR are known."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import SGD, ByName
from lrctl.contracts.result import FORWARD, JobResult
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, drive
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.testing import SPEC, check_strategy, run_spec
from lrctl_strategies.contest.contenders import BY_ROLE, Contender, contenders
from lrctl_strategies.contest.params import Contest
from lrctl_strategies.contest.search import contest

STEPS = 200
SHORT = 16
UNTRAINED = 6.0
BEST = {"yours": 3e-3, "adamw": 2e-3, "muon": 6e-3, "schedule-free": 6e-3, "adafactor": 0.1, "sgd": 0.1}
DUEL: dict[str, Any] = {"contender": ("muon",)}


def optimizer_of(job: SegmentJob) -> str:
    return job.optimizer.name if job.optimizer else "yours"


def peak(job: SegmentJob) -> float:
    return float(job.schedule.peak_lr)  # type: ignore[union-attr]


@dataclass
class World:
    """Stands for training: what runs with each optimizer come to.

    Attributes:
        whole: the lowest loss of whole runs; +inf diverges.
        short: that of short runs.
        test: tells the test loss where it is not the loss.
        by_seed: added to all losses of an optimizer and a seed.
        seconds: that a step takes.
        curvature: what a wrong LR costs.
        reserve: how many batches are kept aside for scores.
        evaluated: forward passes that a validation loss takes.
        unfit: optimizers that cannot be made.
        rough: tells all losses, if given.
    """

    whole: dict[str, float]
    short: dict[str, float] = field(default_factory=dict)
    test: Callable[[SegmentJob], float] | None = None
    by_seed: dict[tuple[str, int], float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=lambda: dict(BEST))
    seconds: dict[str, float] = field(default_factory=dict)
    curvature: float = 0.02
    reserve: int = 1000
    evaluated: int = 30
    unfit: tuple[str, ...] = ()
    rough: Callable[[SegmentJob], float] | None = None
    batches: list[Batch] = field(default_factory=list)

    def loss(self, job: SegmentJob) -> float:
        if self.rough is not None:
            return self.rough(job)
        if not job.stop:
            return UNTRAINED
        name = optimizer_of(job)
        floors = self.whole if job.stop == STEPS else {n: loss + 1 for n, loss in self.whole.items()} | self.short
        far = math.log(peak(job) / self.best[name])
        return floors[name] + self.curvature * far**2 + self.by_seed.get((name, job.seed or 0), 0.0)

    def result(self, job: SegmentJob) -> JobResult:
        loss, name = self.loss(job), optimizer_of(job)
        metrics = {"validation": {"loss": loss}, "test": {"loss": self.test(job) if self.test else loss}}
        return JobResult(
            job.key(SPEC),
            "ok" if math.isfinite(loss) else "diverged",
            loss,
            job.steps,
            scores=(loss,) * min(job.score_batches, self.reserve),
            metrics={split: metrics[split] for split in job.evaluate},
            train_loss=loss if job.evaluate else None,
            evaluated=self.evaluated,
            seconds=self.seconds.get(name, 0.0) * job.steps,
        )

    def run_batch(self, batch: Batch) -> list[JobResult]:
        self.batches.append(batch)
        for job in batch.jobs:
            if optimizer_of(job) in self.unfit:
                raise UsageError(f"{optimizer_of(job)} does not fit")
        return [self.result(job) for job in batch.jobs]

    def play(self, *, run: RunSpec | None = None, **params: Any) -> SearchResult:
        self.batches = []
        return drive(contest(Contest(**params), run or run_spec(STEPS)), self.run_batch)

    @property
    def jobs(self) -> list[SegmentJob]:
        return [job for batch in self.batches for job in batch.jobs]

    @property
    def whole_runs(self) -> list[SegmentJob]:
        return [job for job in self.jobs if job.steps == STEPS]

    @property
    def full_runs(self) -> float:
        """The cost of what was trained and scored, as a session counts it."""
        steps = sum(job.steps for job in self.jobs)
        scored = sum(min(job.score_batches, self.reserve) for job in self.jobs)
        scored += sum(self.evaluated for job in self.jobs if job.evaluate == ("validation",))
        return (steps + FORWARD * scored) / STEPS


QUICKSTART = {"yours": 3.71, "adamw": 3.61, "muon": 3.62, "schedule-free": 3.69, "adafactor": 3.66}


def entries(found: SearchResult) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in found.summary["contenders"]}


def noted(found: SearchResult, word: str) -> str:
    return next((note for note in found.notes if word in note), "")


def test_it_is_a_sound_strategy() -> None:
    check_strategy(contest, Contest())
    check_strategy(contest, Contest(contender=("sgd momentum=0.9",), score_on="validation", budget=20), steps=300)


def test_the_best_is_found_and_handed_over_with_its_settings() -> None:
    world = World(QUICKSTART)
    found = world.play()
    assert found.summary["winner"] == "adamw-by-role"
    assert found.summary["optimizer"] == {
        "name": "adamw",
        "lr_scale": {"embedding": 8.0, "output": 8.0},
        "decay_scale": {"embedding": 0.0, "output": 0.0},
    }
    handed = found.results[0]
    assert (handed.checkpoint, handed.seed, handed.optimizer) == (found.checkpoint, 0, "adamw")
    assert handed.settings == found.summary["optimizer"]
    assert entries(found)["adamw-by-role"]["difference"]["mean"] == pytest.approx(-0.1, abs=0.02)


def test_who_wins_short_runs_and_loses_whole_ones_is_found_out() -> None:
    world = World(QUICKSTART, short={"muon": 4.0, "adamw": 4.01})
    found = world.play()
    assert {optimizer_of(job) for job in world.whole_runs} == {"muon", "adamw", "yours"}
    assert found.summary["winner"] == "adamw-by-role"


def test_yours_stays_where_the_best_of_short_runs_is_worse_in_the_end() -> None:
    found = World({"yours": 3.6, "muon": 3.7}, short={"yours": 4.2, "muon": 4.0}).play(**DUEL)
    assert found.summary["winner"] == "yours"
    assert (found.results[0].optimizer, found.results[0].name) == (None, "yours")
    assert "none of those that were tried is better" in found.notes[0]


def test_yours_stays_where_it_is_level() -> None:
    found = World({"yours": 3.6, "muon": 3.6}, curvature=0.0).play(**DUEL, budget=20)
    assert found.summary["winner"] == "yours"
    assert entries(found)["muon"]["difference"]["mean"] == 0


def test_one_that_diverges_everywhere_is_left_out() -> None:
    found = World(QUICKSTART | {"adamw": math.inf}, short={"adamw": math.inf}).play()
    assert found.summary["winner"] == "muon"
    assert entries(found)["adamw-by-role"]["test_loss"] is None
    assert "adamw-by-role" in noted(found, "ruled out")


def test_one_that_diverges_on_whole_runs_only_is_not_handed_over() -> None:
    found = World(QUICKSTART | {"adamw": math.inf}, short={"adamw": 4.0, "muon": 4.1}).play()
    assert found.summary["winner"] == "muon"


def test_one_of_the_default_ones_that_does_not_fit_the_model_is_left_out() -> None:
    found = World(QUICKSTART, unfit=("adamw",)).play()
    assert found.summary["winner"] == "muon"
    assert "adamw-by-role" not in entries(found)
    assert noted(found, "left out") == "adamw-by-role is left out: adamw does not fit"


def test_one_that_was_asked_for_and_does_not_fit_is_an_error() -> None:
    world = World(QUICKSTART, unfit=("muon",))
    with pytest.raises(UsageError, match="--contender 'muon': muon does not fit"):
        world.play(contender=("sgd", "muon"))
    assert not any(job.steps for job in world.jobs)


def test_an_error_says_so_where_none_of_the_default_ones_fits() -> None:
    with pytest.raises(UsageError, match="there is nobody beside yours; adamw-by-role is left out"):
        World(QUICKSTART, unfit=tuple(BEST)).play()


def test_where_yours_diverges_there_is_nothing_to_compare_with() -> None:
    found = World({"yours": math.inf, "muon": 3.6}).play(**DUEL)
    assert found.summary["winner"] == "muon"
    assert entries(found)["muon"]["difference"] is None
    assert "nothing to compare" in found.notes[0]


@pytest.mark.parametrize("short", [4.0, math.inf], ids=["on whole runs", "everywhere"])
def test_an_error_says_so_where_all_diverge(short: float) -> None:
    lost = {"yours": math.inf, "muon": math.inf}
    with pytest.raises(NoValidCandidateError, match="diverged; name an LR"):
        World(lost, short=dict.fromkeys(lost, short)).play(**DUEL)


def test_the_difference_is_that_of_fresh_seeds_only() -> None:
    lucky = {("muon", 0): -1.0, ("yours", 0): 1.0, ("muon", 1): 0.03, ("yours", 2): 0.02}
    world = World({"yours": 3.7, "muon": 3.6}, by_seed=lucky, best=BEST | {"muon": BEST["yours"]})
    found = world.play(**DUEL)
    difference = entries(found)["muon"]["difference"]
    assert difference["seeds"] == 2
    by_seed = {seed: [world.loss(job) for job in world.whole_runs if (job.seed or 0) == seed] for seed in (1, 2)}
    assert difference["mean"] == pytest.approx(sum(muon - yours for muon, yours in by_seed.values()) / 2)
    assert difference["interval"][0] < difference["mean"] < difference["interval"][1]


def test_both_are_trained_on_each_fresh_seed() -> None:
    world = World({"yours": 3.7, "muon": 3.6})
    world.play(**DUEL, fresh_seeds=3, budget=20)
    fresh = [(optimizer_of(job), job.seed) for job in world.whole_runs if job.seed]
    assert fresh == [(name, seed) for seed in (1, 2, 3) for name in ("muon", "yours")]


def test_yours_is_trained_with_nothing_of_its_own() -> None:
    world = World(QUICKSTART)
    world.play(run=replace(run_spec(STEPS), optimizer="sgd"))
    assert {job.seed for job in world.whole_runs if job.optimizer is None} == {1, 2}
    assert not any(job.optimizer == SGD() for job in world.jobs)


def rough(seed: int) -> Callable[[SegmentJob], float]:
    """Losses without any structure."""

    def loss(job: SegmentJob) -> float:
        word = hashlib.sha256(f"{seed} {job.key(SPEC)}".encode()).digest()
        return math.inf if word[0] < 20 else 2.0 + word[1] / 64

    return loss


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), budget=st.floats(4.5, 30), reserve=st.sampled_from([0, 20, 1000]))
def test_the_budget_holds(seed: int, budget: float, reserve: int) -> None:
    world = World({}, reserve=reserve, rough=rough(seed))
    try:
        found = world.play(budget=budget, contender=("muon", "adafactor"), fresh_seeds=1)
    except (NoValidCandidateError, UsageError):
        found = None
    assert world.full_runs <= budget + 1
    if found:
        assert found.summary["full_runs"] == pytest.approx(world.full_runs)
        assert sum(each["full_runs"] for each in found.summary["contenders"]) <= world.full_runs


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_nothing_is_chosen_by_test_loss(seed: int) -> None:
    plain, other = (World({}, rough=rough(seed), test=rough(each)) for each in (seed + 1, seed + 2))
    found = []
    for world in (plain, other):
        try:
            found.append(world.play(budget=16).summary["winner"])
        except NoValidCandidateError:
            found.append("none")
    assert found[0] == found[1]
    assert plain.jobs == other.jobs


def test_nothing_is_chosen_by_time_and_equal_time_is_told() -> None:
    plain, slow = World(QUICKSTART), World(QUICKSTART, seconds={"yours": 1.0, "adamw": 1.5, "muon": 0.1})
    assert plain.play().summary["winner"] == slow.play().summary["winner"]
    assert plain.jobs == slow.jobs
    found = slow.play()
    assert entries(found)["adamw-by-role"]["step_time"] == pytest.approx(1.5)
    gained = 1.0 / math.log(STEPS / SHORT) * math.log(1.5)
    by_role = entries(found)["adamw-by-role"]
    assert by_role["at_equal_time"] - by_role["difference"]["mean"] == pytest.approx(gained, abs=0.01)
    assert noted(found, "1.50 times as long")
    assert noted(found, "in equal time muon would be the best")
    assert not noted(plain.play(), "times as long")
    assert not noted(plain.play(), "in equal time")


def test_who_is_far_behind_on_short_runs_gets_no_whole_run() -> None:
    world = World(QUICKSTART, short={"adamw": 4.0, "muon": 4.6, "schedule-free": 4.6, "adafactor": 4.6})
    found = world.play()
    assert {optimizer_of(job) for job in world.whole_runs} == {"adamw", "yours"}
    assert "muon, schedule-free, adafactor" in noted(found, "ruled out")


def test_who_is_not_ruled_out_and_has_no_room_is_told() -> None:
    left = noted(World(QUICKSTART).play(), "do not rule out")
    assert left.endswith("rule out adafactor, schedule-free; for whole runs of them give --budget 10 --finalists 4")
    found = World(QUICKSTART).play(budget=10.1, finalists=4)
    assert not noted(found, "do not rule out")


def test_all_within_the_margin_are_given_whole_runs_where_there_is_room() -> None:
    world = World(QUICKSTART)
    found = world.play(finalists=4, budget=12)
    assert {optimizer_of(job) for job in world.whole_runs} == {"yours", *QUICKSTART}
    assert entries(found)["schedule-free"]["steps"] == STEPS


def test_the_lrs_of_both_rivals_are_tuned_on_whole_runs_where_there_is_room() -> None:
    world = World({"yours": 3.7, "muon": 3.6}, best=BEST)
    found = world.play(**DUEL, budget=16)
    tried = {
        name: [peak(job) for job in world.whole_runs if optimizer_of(job) == name and not job.seed] for name in BEST
    }
    assert min(len(tried["muon"]), len(tried["yours"])) >= 3
    assert abs(len(tried["muon"]) - len(tried["yours"])) <= 2
    assert peak(world.whole_runs[-2]) == entries(found)["muon"]["lr"]
    assert math.log(entries(found)["muon"]["lr"] / BEST["muon"]) == pytest.approx(0, abs=math.log(1.5) / 2)


def test_short_runs_go_outwards_until_the_best_lr_lies_between_others() -> None:
    found = World(QUICKSTART, best=BEST | {"yours": 1e-4, "muon": 3e-4}).play(budget=12)
    lrs = [run["lr"] for run in entries(found)["yours"]["runs"] if run["steps"] == SHORT]
    assert min(lrs) < 1e-4
    assert entries(found)["muon"]["runs"][0]["lr"] < 1e-3, "the others begin where yours is best"


def test_a_best_lr_at_the_edge_of_those_tried_is_told() -> None:
    far = World(QUICKSTART, best=BEST | {"adafactor": 1e9})
    assert "of adafactor the best LR" in noted(far.play(), "at the edge")
    assert not noted(World(QUICKSTART).play(), "at the edge")


def test_scores_are_validation_losses_where_nothing_is_in_reserve() -> None:
    found = World(QUICKSTART, reserve=0).play(budget=9)
    assert (found.chosen_by, found.summary["winner"]) == ("validation loss", "adamw-by-role")


def test_a_replay_that_stops_anywhere_goes_on_as_it_would_have() -> None:
    world = World(QUICKSTART)
    whole = world.play()
    asked = list(world.batches)
    search = contest(Contest(), run_spec(STEPS))
    batch = next(search)
    for expected in asked[:-1]:
        assert (batch.title, list(batch.jobs)) == (expected.title, list(expected.jobs))
        batch = search.send([replace(world.result(job), seconds=7.0) for job in batch.jobs])
    assert isinstance(batch, Batch)
    assert whole.checkpoint in {job.key(SPEC) for job in world.jobs}


def test_the_runs_that_may_be_handed_over_are_kept() -> None:
    world = World({"yours": 3.6, "muon": 3.7}, short={"yours": 4.2, "muon": 4.0})
    found = world.play(**DUEL)
    first = next(i for i, batch in enumerate(world.batches) if found.checkpoint in {j.key(SPEC) for j in batch.jobs})
    for batch in world.batches[first + 1 :]:
        assert found.checkpoint in batch.keep | {job.parent for job in batch.jobs}


def landscape(learns: Callable[[SegmentJob], bool]) -> World:
    """Runs of yours that do not learn end about as they began, in an order by the LR that means nothing."""
    usual = World({"yours": 3.7, "muon": 3.6, "sgd": 3.65}, best=BEST | {"yours": 0.16})

    def loss(job: SegmentJob) -> float:
        if not job.stop or learns(job):
            return usual.loss(job)
        return UNTRAINED - 0.007 * math.sin(1e4 * peak(job)) ** 2

    return World({}, rough=loss)


def short_lengths(world: World, name: str = "yours") -> list[int]:
    return sorted({job.steps for job in world.jobs if optimizer_of(job) == name} - {0, STEPS})


def test_where_yours_learns_only_at_thirty_times_the_lr_short_runs_go_up_to_it() -> None:
    world = landscape(lambda job: optimizer_of(job) != "yours" or peak(job) > 0.14)
    found = world.play(**DUEL)
    assert entries(found)["yours"]["lr"] == pytest.approx(0.16, rel=0.5)
    assert short_lengths(world) == [SHORT]
    assert peak(next(job for job in world.jobs if optimizer_of(job) == "muon" and job.steps)) < 0.01
    assert "the optimizer is worth 0.1" in found.notes[0]


def test_short_runs_in_which_yours_learns_nothing_are_made_longer() -> None:
    world = landscape(lambda job: optimizer_of(job) != "yours" or job.steps > 2 * SHORT)
    found = world.play(**DUEL, budget=12)
    assert short_lengths(world) == [SHORT, 2 * SHORT, 4 * SHORT]
    assert short_lengths(world, "muon") == [4 * SHORT], "all are judged by runs of one length"
    assert found.summary["short_runs"]["steps"] == 4 * SHORT
    assert world.full_runs <= 12


@pytest.mark.parametrize(("budget", "longest"), [(6, SHORT), (40, round(STEPS / 3))], ids=["budget", "run"])
def test_where_yours_learns_nothing_in_the_longest_short_runs_it_says_what_to_do(budget: float, longest: int) -> None:
    world = landscape(lambda job: optimizer_of(job) != "yours")
    with pytest.raises(NoValidCandidateError) as error:
        world.play(**DUEL, budget=budget)
    assert f"yours learned nothing in short runs of {longest} of 200 steps" in str(error.value)
    assert "--short-run 0.3 with a larger --budget" in str(error.value)
    assert "--contender 'yours lr=0.1'" in str(error.value)
    assert max(short_lengths(world)) == longest
    assert not world.whole_runs


def test_nobody_is_dropped_by_short_runs_in_which_it_learned_nothing() -> None:
    world = landscape(lambda job: optimizer_of(job) != "muon" or job.steps == STEPS)
    found = world.play(contender=("yours lr=0.1", "muon", "sgd"), budget=12)
    assert "muon" in {optimizer_of(job) for job in world.whole_runs}
    assert not noted(found, "ruled out")
    assert noted(found, "learned nothing").startswith(f"muon learned nothing in short runs of {SHORT} steps")


@pytest.mark.parametrize("lost", ["yours", "muon"])
def test_a_whole_run_that_learned_nothing_is_told_first(lost: str) -> None:
    world = landscape(lambda job: (lost != "muon" and optimizer_of(job) != "yours") or job.steps < STEPS)
    found = world.play(contender=("yours lr=0.1", "muon"))
    assert found.notes[0].startswith(f"{found.summary['winner'] if lost == 'muon' else lost} learned nothing at 200")
    assert not noted(found, "the optimizer is worth")


@pytest.mark.parametrize("reserve", [1000, 0], ids=["training", "validation"])
def test_a_slight_gain_is_none(reserve: int) -> None:
    world = landscape(lambda job: job.steps > STEPS)
    world.reserve = reserve
    with pytest.raises(NoValidCandidateError, match="yours learned nothing"):
        world.play(**DUEL, budget=12)


def test_yours_begins_at_the_lr_that_is_told() -> None:
    world = World(QUICKSTART)
    found = world.play(contender=("yours lr=0.02",))
    assert [run["lr"] for run in entries(found)["yours"]["runs"]][1] == 0.02
    assert len(entries(found)) == 5, "the usual ones take part"
    assert "adamw-by-role" not in entries(World(QUICKSTART, unfit=("adamw",)).play(contender=("yours lr=0.02",)))
    with pytest.raises(UsageError, match="two are named yours"):
        world.play(contender=("yours lr=1", "yours lr=2"))


def parsed(text: str, run: RunSpec | None = None) -> Contender:
    (_, contender) = contenders(Contest(contender=(text,)), run or run_spec(STEPS))
    return contender


def test_a_contender_is_an_optimizer_and_what_is_not_its_default() -> None:
    assert parsed(BY_ROLE).name == "adamw-by-role"
    made = parsed("adamw betas=0.9,0.95 embedding=4 mine.lr=2 embedding.decay=0 lr=0.01 family=cosine:end=0.1")
    assert made.settings is not None
    assert made.settings.betas == (0.9, 0.95)  # type: ignore[attr-defined]
    assert (made.settings.lr_scale, made.settings.decay_scale) == ({"embedding": 4.0, "mine": 2.0}, {"embedding": 0.0})
    assert (made.lr, made.family) == (0.01, "cosine:end=0.1")
    assert parsed("schedule-free").family == "constant-with-warmup:warmup=0.25"
    assert parsed("torch.optim.NAdam embedding=2 momentum_decay=0.1").settings == ByName(
        name="torch.optim.NAdam", lr_scale={"embedding": 2.0}, options={"momentum_decay": 0.1}
    )


def test_gradients_are_clipped_as_yours_are() -> None:
    run = run_spec(STEPS)
    adamw = replace(run.optimizers["adamw"], clip_norm=1.0)
    run = replace(run, optimizers={**run.optimizers, "adamw": adamw}, optimizer="adamw")
    clips = [
        each.settings.clip_norm
        for each in contenders(Contest(contender=("muon", "sgd clip_norm=0")), run)
        if each.settings
    ]
    assert clips == [1.0, 1.0, 0.0]


def test_one_that_is_yours_is_not_trained_twice() -> None:
    run = replace(run_spec(STEPS), optimizer="muon")
    assert [each.name for each in contenders(Contest(contender=("muon", "adamw")), run)] == ["yours", "adamw"]


@pytest.mark.parametrize(
    ("contender", "told"),
    [
        ("moun", "--contender 'moun': unknown optimizer; did you mean 'muon'"),
        ("adamw embeding=8", "unknown setting; did you mean"),
        ("adamw embedding", "embedding: must be a setting and its value"),
        ("adamw embedding=much", "embedding: must be a number"),
        *(
            (f"adamw lr={lr}", f"--contender 'adamw lr={lr}': lr: must be an LR greater than 0 and at most 3.4e+38")
            for lr in ("-1", "0", "inf", "nan", "1e300", "1e39", "true", "fast", "0.1,0.2")
        ),
        ("yours lr=1e300", "lr: must be an LR greater than 0"),
        ("sgd momentum=2", "momentum: must be in"),
        ("muon family=greedy", "it cannot be tuned"),
        ("muon family=wsd:decoy=1", "unknown setting"),
        ("evil:Class", "runs no code but torch's"),
        ("", "--contender '': unknown optimizer"),
        ("yours: muon", "takes lr= only"),
        ("mine: yours", "takes lr= only"),
        ("yours momentum=0.5", "takes lr= only"),
    ],
)
def test_a_contender_that_is_none_is_refused(contender: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        World(QUICKSTART).play(contender=(contender,))
    assert told in str(error.value)


def test_a_budget_with_no_room_says_what_it_would_take() -> None:
    world = World(QUICKSTART)
    with pytest.raises(UsageError, match=r"--budget 4: 5 contenders, yours among them, take at least 6.7 full runs"):
        world.play(budget=4)
    assert not world.batches


def test_a_budget_that_validation_losses_use_up_is_refused_before_anything_is_trained() -> None:
    world = World(QUICKSTART, reserve=0, evaluated=300)
    with pytest.raises(UsageError, match="take at least 1"):
        world.play()
    assert not any(job.steps for job in world.jobs)


def test_a_family_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="it cannot be tuned"):
        World(QUICKSTART).play(family="greedy", contender=("muon family=cosine",))


def test_a_run_of_no_length_is_refused() -> None:
    with pytest.raises(UsageError, match="too few for a contest"):
        World(QUICKSTART).play(run=run_spec(1), budget=99)


@pytest.mark.parametrize(
    "wrong",
    [{"budget": 0}, {"margin": -1}, {"ratio": 1}, {"short_run": 1}, {"finalists": 0}, {"fresh_seeds": 0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Contest(**wrong)


def test_it_is_drawn_and_told_as_tables() -> None:
    found = World(QUICKSTART).play()
    worth, fresh, recipe = found.tables
    assert worth.rows[0][0] == "adamw-by-role *"
    assert [row[0] for row in fresh.rows] == ["1", "2"]
    assert ("lr_scale = {embedding = 8.0, output = 8.0}",) in recipe.rows
    assert f"It holds for runs of {STEPS} steps" in worth.notes[0]
    assert [chart.name for chart in found.charts] == ["contest", "contest-lrs"]
