"""GreedyLR against other schedules, on scripted losses and on the smoke recipe's workload."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from cases import each_of
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import OPTIMIZERS
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, SearchResult
from lrctl.errors import UsageError
from lrctl.storage.runs import finished
from lrctl.testing import play, run_spec
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.hypergradient import Hypergradient
from lrctl_strategies.families import contender
from lrctl_strategies.greedy.params import GreedyComparison
from lrctl_strategies.greedy.search import greedy
from schedules.agreement import P, assert_agrees, lrs
from searches import search, smoke

STEPS = 40
DEFAULT = ("linear", "cosine", "polynomial", "constant-with-warmup")


def compared(loss: Any, **params: Any) -> tuple[SearchResult, list[Batch]]:
    """A comparison in which `loss` scripts the loss of each job."""
    return play(greedy, GreedyComparison(**params), STEPS, loss)


def summary(found: SearchResult) -> dict[str, Any]:
    return dict(found.summary)


def optimizer_of(job: SegmentJob) -> str:
    return job.optimizer.name if job.optimizer else "recipe"


def first_lr(schedule: Any) -> float:
    return float(schedule(0, schedule.init()) if isinstance(schedule, Greedy) else schedule(0))


def ahead_by(lead: float) -> Any:
    """GreedyLR ends so much below the others."""
    return lambda job: 1.0 if isinstance(job.schedule, Greedy) else 1.0 + lead


def test_it_is_a_full_cross_of_optimizers_schedules_and_seeds() -> None:
    _, batches = compared(ahead_by(0.5), optimizer=("adamw", "sgd"), seeds=(0, 5))
    assert [batch.title for batch in batches] == ["seed 0", "seed 5"]
    for batch, seed in zip(batches, (None, 5), strict=True):
        assert [optimizer_of(job) for job in batch.jobs] == ["adamw"] * 5 + ["sgd"] * 5
        assert {job.seed for job in batch.jobs} == {seed}
        assert [type(job.schedule).__name__ for job in batch.jobs[:5]] == [
            *("Greedy", "Linear", "Cosine", "Polynomial", "ConstantWithWarmup")
        ]
        assert all((job.start, job.stop, job.stages) == (0, STEPS, (4, 20, 40)) for job in batch.jobs)


def test_the_recipes_own_optimizer_and_seed_are_the_default() -> None:
    _, (batch,) = compared(ahead_by(0.5))
    assert {(job.seed, job.optimizer) for job in batch.jobs} == {(None, None)}


def test_all_begin_with_the_same_lr_which_an_optimizer_may_have_of_its_own() -> None:
    _, (batch,) = compared(ahead_by(0.5), optimizer=("adamw", "sgd"), initial_lr=("0.002", "sgd=0.5"))
    assert {(optimizer_of(job), first_lr(job.schedule)) for job in batch.jobs} == {("adamw", 0.002), ("sgd", 0.5)}


def test_a_row_tells_the_losses_at_each_stage_and_who_is_ahead() -> None:
    found, _ = compared(ahead_by(0.5), against=("cosine",), optimizer=("adamw",), seeds=(3,))
    assert summary(found)["rows"] == [
        {
            "optimizer": "adamw",
            "scheduler": "cosine",
            "seed": 3,
            "initial_lr": 0.001,
            "greedy_losses": [1.0] * 3,
            "losses": [1.5] * 3,
            "beats": ["yes"] * 3,
            "delta": 0.5,
            "forwards_per_step": 1.0,
        }
    ]


@pytest.mark.parametrize(("lead", "beats"), [(0.05, "yes*"), (-0.05, "no*"), (-0.5, "no"), (0.0, "no*")])
def test_a_small_difference_is_starred(lead: float, beats: str) -> None:
    found, _ = compared(ahead_by(lead), against=("cosine",))
    assert summary(found)["rows"][0]["beats"] == [beats] * 3


def test_a_margin_of_ones_own_decides_what_is_small() -> None:
    found, _ = compared(ahead_by(0.05), against=("cosine",), margin=0.01)
    assert summary(found)["rows"][0]["beats"] == ["yes"] * 3


def by_seed(leads: dict[int, float]) -> Any:
    return lambda job: 1.0 if isinstance(job.schedule, Greedy) else 1.0 + leads[job.seed or 0]


@pytest.mark.parametrize(
    ("leads", "verdict"),
    [
        ({0: 0.5, 1: 0.52, 2: 0.51}, "better"),
        ({0: -0.5, 1: -0.52, 2: -0.51}, "worse"),
        ({0: 0.5, 1: -0.4, 2: 0.1}, "no difference shown"),
        ({0: 0.5}, "one seed: no statement"),
        ({0: 0.5, 1: math.inf}, "not finite: no statement"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_verdict_comes_from_the_seeds(leads: dict[int, float], verdict: str) -> None:
    found, _ = compared(by_seed(leads), against=("cosine",), seeds=tuple(leads))
    (pair,) = summary(found)["pairs"]
    assert pair["verdict"] == verdict
    assert pair["seeds"] == list(leads)


@pytest.mark.parametrize(("others", "verdict"), [(1, "better"), (2, "no difference shown")])
def test_p_is_corrected_for_the_number_of_comparisons(others: int, verdict: str) -> None:
    found, _ = compared(by_seed({0: 0.35, 1: 0.5, 2: 0.65}), against=("cosine", "linear")[:others], seeds=(0, 1, 2))
    for pair in summary(found)["pairs"]:
        assert pair["p"] == pytest.approx(0.0287, abs=1e-4)
        assert (pair["p_holm"], pair["verdict"]) == (pytest.approx(others * pair["p"]), verdict)


def test_a_run_of_another_schedule_that_diverges_is_not_counted_against_it() -> None:
    found, _ = compared(
        lambda job: math.inf if "Linear" in type(job.schedule).__name__ else 1.0, against=("linear", "cosine")
    )
    assert summary(found)["summary"]["did_not_finish"] == 1
    assert summary(found)["summary"]["counts"]["sum"] == 3
    assert summary(found)["runs_diverged"] == {"greedy": 0, "others": 1}
    assert found.notes[0] == "did not finish: recipe linear (seed 0); a lower --initial-lr may help"


def test_another_greedylr_can_be_compared_with() -> None:
    found, (batch,) = compared(ahead_by(0.5), against=("greedy:patience=3",), greedy=("patience=5",))
    assert [getattr(job.schedule, "patience", None) for job in batch.jobs] == [5, 3]
    assert [row["scheduler"] for row in summary(found)["rows"]] == ["greedy:patience=3"]
    assert found.schedule == batch.jobs[0].schedule


def test_a_warmup_is_in_whole_steps_as_in_transformers() -> None:
    import transformers

    theirs = lrs(lambda o: transformers.get_scheduler("linear", o, round(0.05 * 333), 333), 333)
    assert_agrees(contender("linear", "--against", P, 333, 0.05), theirs)


def test_the_best_run_of_greedylr_is_handed_over() -> None:
    found, batches = compared(
        lambda job: (
            {("sgd", 4): 0.5}.get((optimizer_of(job), job.seed or 0), 1.0)
            - (0.0 if isinstance(job.schedule, Greedy) else 0.4)
        ),
        optimizer=("adamw", "sgd"),
        seeds=(0, 4),
    )
    best = next(j for j in batches[1].jobs if isinstance(j.schedule, Greedy) and optimizer_of(j) == "sgd")
    assert found.schedule == best.schedule
    assert found.results[0].checkpoint == found.checkpoint
    assert (found.results[0].optimizer, found.results[0].seed) == ("sgd", 4)


def test_nothing_is_handed_over_where_every_run_of_greedylr_diverged() -> None:
    found, _ = compared(lambda job: math.inf if isinstance(job.schedule, Greedy) else 1.0)
    assert (found.schedule, found.checkpoint) == (None, None)
    assert "every run of GreedyLR diverged" in found.notes[-1]


# Naming schedules


def test_a_schedule_can_be_given_settings() -> None:
    made = contender("hypergradient:scope=group,beta=1e-5,min_lr=none", "--against", 0.01, STEPS)
    assert made == Hypergradient(0.01, beta=1e-5, scope="group", min_lr=None)


def test_so_can_greedylr() -> None:
    _, (batch,) = compared(ahead_by(0.1), greedy=("patience=3", "smooth=false", "relative_max_lr=2"))
    assert batch.jobs[0].schedule == Greedy(0.001, patience=3, smooth=False, relative_max_lr=2.0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"against": ("cosin",)}, "--against cosin: unknown schedule; did you mean 'cosine'?"),
        ({"against": ("piecewise-linear",)}, "its family has neither a field peak_lr nor initial_lr"),
        ({"against": ("wsd:dekay=0.1",)}, "unknown setting; did you mean 'decay'?"),
        ({"against": ("wsd:decay",)}, "decay: must be given a value, as in decay=1"),
        ({"against": ("wsd:decay=much",)}, "decay: must be a number"),
        ({"against": ("wsd:decay=2",)}, "--against wsd:decay=2: "),
        ({"greedy": ("patiense=3",)}, "unknown setting; did you mean 'patience'?"),
        (
            {"against": ("wsd:peak_lr=1",)},
            "--against wsd:peak_lr=1: peak_lr: all begin with --initial-lr and run",
        ),
        ({"against": ("cosine:steps=10",)}, "steps: all begin with --initial-lr and run for --steps"),
        ({"greedy": ("initial_lr=0.5",)}, "initial_lr: all begin with --initial-lr"),
        ({"greedy": ("factor=1.5",)}, "factor: must be greater than 0 and less than 1"),
        ({"optimizer": ("adamm",)}, "--optimizer: unknown optimizer 'adamm'; did you mean 'adam'?"),
        (
            {"optimizer": ("sgd",), "initial_lr": ("adam=1",)},
            "--initial-lr adam=...: adam is not compared; add --optimizer adam",
        ),
        (
            {"optimizer": ("adamw",), "against": ("line-search",)},
            "nothing is left to compare with: line-search is left",
        ),
        ({"optimizer": ("sgd", "adam"), "initial_lr": ("adam=1",)}, "--initial-lr: sgd has none"),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        compared(ahead_by(0.1), **params)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"warmup": 1.0}, "warmup: must be at least 0 and less than 1, the whole run"),
        ({"warmup": -0.1}, "warmup: must be at least 0"),
        ({"against": ()}, "against: at least one schedule is needed"),
        (
            {"against": ("cosine", "greedy")},
            "against: greedy is compared with the others",
        ),
        ({"seeds": (0, -1)}, "seeds: must be at least 0"),
        ({"initial_lr": ("0.1", "0.2")}, "initial_lr: one for all and one for each optimizer at most"),
        ({"initial_lr": ("sgd=0.1", "sgd=0.2")}, "initial_lr: one for all and one for each optimizer at most"),
        ({"margin": 0.0}, "margin: must be greater than 0"),
        ({"initial_lr": ("0",)}, "initial_lr: must be an LR greater than 0"),
        ({"initial_lr": ("sgd=fast",)}, "initial_lr: must be an LR greater than 0"),
    ],
    ids=str,
)
def test_parameters_out_of_range_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GreedyComparison(**params)


@pytest.mark.parametrize("name", DEFAULT)
@each_of(("steps", "warmup"), [(1, 0), (2, 1), (10, 0), (10, 1), (10, 9), (1000, 0), (1000, 100)])
def test_the_default_schedules_are_those_of_transformers(name: str, steps: int, warmup: int) -> None:
    import transformers

    kind = name.replace("constant-with-warmup", "constant_with_warmup")
    ours = contender(name, "--against", P, steps, warmup / steps)
    assert_agrees(ours, lrs(lambda o: transformers.get_scheduler(kind, o, warmup, steps), steps))


# The command


def on_smoke(store: Path, **params: Any) -> dict[str, Any]:
    params = {"against": ["linear"], "optimizer": ["adamw"], "initial_lr": ["0.01"]} | params
    return search(store, smoke(**{f"strategy__greedy__{name}": value for name, value in params.items()}), "greedy")


def test_the_same_optimizer_seed_and_lr_give_the_losses_of_a_plain_run(tmp_path: Path) -> None:
    """GreedyLR that may not move, against a constant LR: the same run."""
    document = on_smoke(
        tmp_path, against=["constant"], greedy=["relative_min_lr=1", "relative_max_lr=1"], optimizer=["sgd"]
    )
    (row,) = document["rows"]
    assert (row["delta"], row["greedy_losses"]) == (0.0, row["losses"])


def test_another_seed_and_optimizer_are_those_of_a_recipe_that_names_them(tmp_path: Path) -> None:
    crossed = on_smoke(tmp_path / "a", seeds=[0, 7], optimizer=["adamw", "adagrad"])
    alone = search(
        tmp_path / "b",
        smoke(
            training__seed=7,
            optimizer__name="adagrad",
            strategy__greedy__against=["linear"],
            strategy__greedy__initial_lr=["0.01"],
        ),
        "greedy",
    )
    losses = {(r["optimizer"], r["seed"]): r["losses"] for r in crossed["rows"]}
    assert len(losses) == 4
    assert losses["adagrad", 7] == alone["rows"][0]["losses"]
    keys = {entry["checkpoint"] for entry in crossed["results"]}
    assert {entry["checkpoint"] for entry in alone["results"]} <= keys


def test_what_is_handed_over_is_the_run_that_was_chosen(tmp_path: Path) -> None:
    document = on_smoke(tmp_path, seeds=[3, 4], optimizer=["sgd", "adamw"])
    best = document["results"][0]
    assert document["checkpoint"] == best["checkpoint"]
    assert (document["validation_loss"], document["test_loss"]) == (best["validation_loss"], best["test_loss"])
    assert (document["train_loss"], document["seed"]) == (best["train_loss"], best["seed"])
    replayed = finished(tmp_path, document["run"]).schedule
    assert isinstance(replayed, PiecewiseLinear)
    assert replayed(0) == 0.01


def test_what_does_not_fit_an_optimizer_is_left_out_of_it_with_a_note() -> None:
    found, (batch,) = compared(
        ahead_by(0.5), optimizer=("adamw", "sgd", "adagrad"), against=("line-search", "hypergradient")
    )
    trained = [(optimizer_of(job), type(job.schedule).__name__) for job in batch.jobs]
    assert trained == [
        *(("adamw", name) for name in ("Greedy", "Hypergradient")),
        *(("sgd", name) for name in ("Greedy", "LineSearch", "Hypergradient")),
    ]
    assert found.notes[0].startswith("line-search is left out with adamw: it tries gradient steps")
    assert len([note for note in found.notes if "left out with" in note]) == 3


def test_an_empty_file_of_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the columns must hold"):
        on_smoke(tmp_path, from_csv="")


def test_line_search_tells_the_cost_of_its_trials(tmp_path: Path) -> None:
    document = on_smoke(tmp_path, against=["line-search", "linear"], optimizer=["sgd"])
    search, linear = document["rows"]
    assert search["forwards_per_step"] >= 2
    assert linear["forwards_per_step"] == 1
    assert document["cost"]["extra_forwards"] == round((search["forwards_per_step"] - 1) * 40)


def test_recorded_rows_are_summed_up_without_training(tmp_path: Path) -> None:
    document = on_smoke(tmp_path, from_csv="beat10,beat50,beat100,delta\nyes,no,no*,-0.01\n")
    assert document["summary"]["counts"] == {"yes": 1, "yes*": 0, "no": 1, "no*": 1, "sum": 3}
    assert (document["schedule"], document["checkpoint"], document["cost"]["jobs"]) == (None, None, 0)
    assert document["files"]["schedule"] is None


def test_a_problem_for_tests_has_every_optimizer() -> None:
    assert run_spec(STEPS).optimizers == {name: kind() for name, kind in OPTIMIZERS.items()}
