"""What a search for the best shape says: its document, tables and charts; and the search through the real engine."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl.contracts.canonical import finite
from lrctl.contracts.result import JobRecord
from lrctl.contracts.strategy import SearchResult
from lrctl.engine.job_runner import JobRunner
from lrctl.planning.estimate import estimate
from lrctl.storage.runs import finished
from lrctl_strategies.shape.charts import band
from lrctl_strategies.shape.result import of_median
from searches import facts, found, search, settled, smoke
from strategies.shape_landscapes import bowl, off_lr, searched, setting, summary, with_adamw

EVERYTHING: dict[str, dict[str, Any]] = {
    "plain": {},
    "compared, swept": {"against": ("wsd",), "sweep": 3},
    "halved": {"halving": True, "shapes": 9},
    "settings": {"vary": ("optimizer.beta2=0.9,0.99",), "against": ("cosine",), "sweep": 2},
    "two variants in settings": {"vary": ("steps=20,40",), "family": ("cosine:end=?", "rex")},
    "of no own length": {"vary": ("steps=10",)},
    "one seed": {"score_seeds": 1, "fresh_seeds": 1, "top": 4, "against": ("cosine",), "sweep": 2},
}


def diverging_at_times(schedule: Any, seed: int) -> float:
    """Whole base LRs diverge, and some shapes with some seeds."""
    lost = schedule.peak_lr > 0.05 or (seed + int(1000 * schedule.warmup)) % 5 == 4
    return math.inf if lost else bowl()(schedule, seed) + 0.01 * seed


@pytest.mark.parametrize("params", EVERYTHING.values(), ids=EVERYTHING)
@pytest.mark.parametrize("loss", [bowl(), diverging_at_times], ids=["sound", "diverging"])
def test_all_it_says_is_strict_json_and_can_be_drawn(params: dict[str, Any], loss: Any) -> None:
    said, _ = searched(loss, with_adamw(), **params)
    document = json.loads(json.dumps(finite(summary(said)), allow_nan=False))
    assert document["settings"]
    for table in said.tables:
        assert table.rows
        assert all(len(row) == len(table.columns) for row in table.rows), table.caption
        text = " ".join(cell for row in table.rows for cell in row)
        assert not re.search(r"\b(nan|inf)\b", text), table.caption
    names = [chart.name for chart in said.charts]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)
    json.dumps(finite([asdict(chart) for chart in said.charts]), allow_nan=False)
    for chart in said.charts:
        assert chart.series or chart.cells
        assert all((chart.title, chart.caption))
        for series in chart.series:
            assert len(series.x) == len(series.y) > 0
            assert list(series.x) == sorted(series.x)
            assert all(y is None or math.isfinite(y) for y in (*series.y, *series.low, *series.high))


def chart(said: SearchResult, name: str) -> Any:
    (drawn,) = (each for each in said.charts if each.name == name)
    return drawn


def test_the_ecdf_counts_the_shapes_that_score_at_most_so_much() -> None:
    said, _ = searched(bowl(b=0.5), shapes=12)
    (series,) = chart(said, "ecdf").series
    scores = [each["score"] for each in setting(said)["shapes"]]
    assert series.x == tuple(sorted(scores))
    assert series.y == tuple(sum(score <= x for score in scores) / 12 for x in series.x)
    assert series.low == tuple(max(0.0, y - band(12)) for y in series.y)
    assert series.high == tuple(min(1.0, y + band(12)) for y in series.y)


def test_shapes_that_diverge_stay_in_the_ecdf_s_whole() -> None:
    said, _ = searched(lambda s, seed: math.inf if s.b > 0.5 else bowl(b=0.5)(s, seed), shapes=12)
    (series,) = chart(said, "ecdf").series
    good = sum(math.isfinite(each["score"]) for each in setting(said)["shapes"])
    assert 0 < good < 12
    assert (len(series.x), series.y[-1]) == (good, good / 12)


def test_the_heat_map_has_the_medians_of_the_best_shapes_best_first() -> None:
    said, _ = searched(lambda s, seed: math.inf if s.peak_lr > 0.05 else bowl(b=0.5)(s, seed) + seed)
    heat = chart(said, "heat")
    scores = sorted(each["score"] for each in setting(said)["shapes"])
    assert [min(cell for cell in row if cell is not None) for row in heat.cells] == scores
    assert heat.columns == ("0.001", "0.01", "0.1")
    assert [row[2] for row in heat.cells] == [None] * 4


def test_a_family_s_interval_is_the_bootstrap_one_of_its_fresh_losses() -> None:
    said, _ = searched(lambda s, seed: bowl()(s, seed) + math.sin(seed), fresh_seeds=5)
    (family,) = setting(said)["families"]
    assert family["interval"] == of_median(family["losses"])
    assert (chart(said, "families").series[0].low, chart(said, "families").series[0].high) == tuple(
        (end,) for end in family["interval"]
    )


def test_the_best_shape_is_tested_against_the_tuned_ones_on_the_same_seeds() -> None:
    said, _ = searched(
        lambda s, seed: (
            1 + off_lr(s) + 0.3 * math.sin(seed) + (type(s).__name__ == "Cosine") * (0.1 + 0.01 * (seed % 2))
        ),
        against=("cosine",),
        fresh_seeds=6,
    )
    (against,) = setting(said)["against"]
    assert against["difference"] == pytest.approx(-0.105)
    assert against["interval"][1] < 0
    assert against["verdict"] == "better"


# Through the engine

TINY = {
    "training__steps": 8,
    "workload__dim": 4,
    "strategy__shape__family": ["rex"],
    "strategy__shape__against": ["cosine:warmup=0.25"],
    "strategy__shape__shapes": 2,
    "strategy__shape__grid": [0.3, 0.1],
    "strategy__shape__score_seeds": 2,
    "strategy__shape__fresh_seeds": 2,
    "strategy__shape__top": 1,
    "strategy__shape__sweep": 2,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the finished run `shape`."""
    folder = tmp_path_factory.mktemp("shape")
    search(folder, smoke(**TINY), "shape", name="shape")
    return folder


def test_what_is_handed_over_is_a_run_that_was_chosen(store: Path) -> None:
    run = finished(store, "shape")
    document, best = run.result.to_json(), run.result.to_json()["results"][0]
    assert document["checkpoint"] == best["checkpoint"]
    assert document["seed"] == best["seed"] == 2
    for loss in ("train_loss", "validation_loss", "test_loss"):
        assert document[loss] == pytest.approx(best[loss])
    assert document["schedule"] == best["schedule"]
    assert store.joinpath("checkpoints", f"{document['checkpoint']}.safetensors").exists()
    assert len(list(store.joinpath("checkpoints").glob("*.safetensors"))) == 1


def test_an_interrupted_search_asks_for_the_same_jobs_again(store: Path, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    whole, trained = JobRunner.take, []

    def stopping(self: JobRunner, record: JobRecord) -> None:
        whole(self, record)
        trained.append(record.key)
        if len(trained) == 7:
            raise StoppedError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(JobRunner, "take", stopping)
        with pytest.raises(StoppedError):
            search(tmp_path, smoke(**TINY), "shape", name="shape")
    begun = facts(tmp_path)
    document = search(tmp_path, smoke(**TINY), "shape", name="shape")
    assert found(document) == found(finished(store, "shape").result.to_json())
    assert facts(tmp_path).keys() == facts(store).keys()
    assert all(facts(tmp_path)[name] == fact for name, fact in begun.items())
    assert settled(search(tmp_path, smoke(**TINY), "shape", name="shape")) == settled(document)


def test_a_dry_run_says_what_it_takes_before_anything_is_trained(store: Path, tmp_path: Path) -> None:
    estimated = estimate("shape", smoke(**TINY), store=tmp_path)
    took = finished(store, "shape").result.cost
    # The rehearsal's best base LR is far below this grid, which it therefore extends.
    assert estimated["jobs"] >= took.jobs
    assert estimated["steps"] == 8 * (estimated["jobs"] + 1)
    assert estimated["jobs_known"] == 0


def test_compare_takes_its_families_as_methods(store: Path, lrctl: Lrctl) -> None:
    done = lrctl("compare", "shape", "--store", store, "--json")
    assert (done.code, done.err) == (0, done.err)
    assert {method["label"] for method in done.document["methods"]} == {"rex", "tuned cosine:warmup=0.25"}
    assert {run["seed"] for method in done.document["methods"] for run in method["runs"]} == {2, 3}


def test_report_draws_its_charts(store: Path, lrctl: Lrctl, tmp_path: Path) -> None:
    done = lrctl("report", "shape", "--store", store, "--out", tmp_path / "report")
    assert done.code == 0, done.err
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"report.html", "ecdf.svg", "heat.svg", "families.svg", "shapes.svg", "sweeps.svg"} <= names
    page = (tmp_path / "report/report.html").read_text()
    assert "The best shape of each family" in page
    assert "nan" not in re.findall(r">([^<>]*)<", page)


def test_settings_of_the_optimizer_and_the_length_reach_the_training(tmp_path: Path) -> None:
    recipe = smoke(
        **TINY
        | {
            "optimizer__name": "adamw",
            "strategy__shape__vary": ["optimizer.weight_decay=0,0.5", "steps=4,8"],
            "strategy__shape__against": [],
            "strategy__shape__sweep": 0,
            "strategy__shape__weight_decay": "independent",
        }
    )
    document = search(tmp_path, recipe, "shape")
    assert [each["steps"] for each in document["settings"]] == [4, 8, 4, 8]
    losses = [each["families"][0]["losses"] for each in document["settings"]]
    assert len({tuple(each) for each in losses}) == 4
    assert document["schedule"]["params"]["steps"] == 8
    assert document["validation_loss"] == pytest.approx(document["results"][0]["validation_loss"])


def test_without_a_run_of_the_recipe_s_own_length_there_is_no_schedule(tmp_path: Path, lrctl: Lrctl) -> None:
    overrides = TINY | {"strategy__shape__vary": ["steps=4"], "strategy__shape__sweep": 0}
    document = search(tmp_path, smoke(**overrides), "shape", name="other")
    assert (document["schedule"], document["checkpoint"]) == (None, None)
    assert "results" not in document
    assert lrctl("runs", "show", "other", "--store", tmp_path).code == 0
    done = lrctl("report", "other", "--store", tmp_path, "--out", tmp_path / "report")
    assert done.code == 0, done.err
