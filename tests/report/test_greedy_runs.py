"""Reports on runs that train several optimizers and seeds by themselves, as `lrctl greedy` does."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from comparisons import document, made_by_hand
from lrctl.engine import run
from lrctl.report.compare import compare
from lrctl.report.files import write
from lrctl.storage.store import Store
from searches import small

SCHEDULES = ("greedy", "linear", "cosine")
METHODS = [f"{optimizer} {schedule}" for optimizer in ("adamw", "sgd") for schedule in SCHEDULES]
FILES = ["report.html", "figure.svg", "figure.png", "histogram.svg", "histogram.png"]
FILES += ["curves.csv", "charts.csv", "rows.csv"]


def trained(store: Path, name: str, **params: Any) -> None:
    """A comparison of GreedyLR on a short run."""
    given = {"optimizer": ["adamw", "sgd"], "against": ["linear", "cosine"], "seeds": [0, 1], "initial_lr": ["0.1"]}
    recipe = small(**{f"strategy__greedy__{key}": value for key, value in (given | params).items()})
    run.search("greedy", recipe, store=store, name=name)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Comparisons of two optimizers on two seeds, and other runs of the same recipe."""
    place = tmp_path_factory.mktemp("runs") / "store"
    trained(place, "both")
    trained(place, "third", seeds=[2], optimizer=["adamw"], against=["linear"])
    trained(place, "lower", seeds=[0], optimizer=["adamw"], initial_lr=["0.01"])
    run.search("local", small(), store=place, name="local")
    few = {"strategy__baseline__family": ["wsd", "linear"], "strategy__baseline__grid": [0.3, 0.1]}
    run.search("baseline", small(**few), store=place, name="baseline")
    return place


@pytest.fixture(scope="module")
def report(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report on `both`."""
    folder = tmp_path_factory.mktemp("report")
    write(compare(store, ["both"]), folder)
    return folder


def compared(lrctl: Lrctl, store: Path, *arguments: str) -> Any:
    done = lrctl("compare", *arguments, "--store", store, "--json")
    assert (done.code, done.err) == (0, "")
    return done.document


def handing_over(store: Path, name: str, place: int) -> str:
    """A copy of the run `both` that hands over another entry of its results, which then stands first."""
    results = document(store, "both")["results"]
    ours = [entry for entry in results if entry["name"].endswith("greedy")]
    ordered = sorted(results, key=lambda entry: entry is not ours[place])
    return made_by_hand(store, "both", name, results=ordered, checkpoint=ours[place]["checkpoint"])


def test_each_optimizer_and_schedule_is_a_method_with_the_seeds_of_its_own(lrctl: Lrctl, store: Path) -> None:
    found = compared(lrctl, store, "both")
    assert [method["label"] for method in found["methods"]] == METHODS
    losses = {(e["name"], e["seed"]): e["test_loss"] for e in document(store, "both")["results"]}
    for method in found["methods"]:
        assert [run["seed"] for run in method["runs"]] == [0, 1]
        passes = 1024 / 8  # of batches through the validation data, each a third of a step
        assert [run["full_runs"] for run in method["runs"]] == pytest.approx([1 + passes / 3 / 24] * 2)
        assert [run["test_loss"] for run in method["runs"]] == [losses[method["label"], seed] for seed in (0, 1)]
    for each in found["differences"]:
        expected = [losses[each["label"], seed] - losses["adamw greedy", seed] for seed in (0, 1)]
        assert each["values"] == pytest.approx(expected)


@pytest.mark.parametrize("place", range(4))
def test_the_reference_is_greedylr_with_the_first_optimizer_whatever_is_handed_over(
    place: int, lrctl: Lrctl, store: Path
) -> None:
    name = handing_over(store, f"other-{place}", place)
    found = compared(lrctl, store, name)
    assert (found["reference"], [method["label"] for method in found["methods"]]) == (METHODS[0], METHODS)


def test_a_run_as_the_reference_stands_for_what_it_handed_over(lrctl: Lrctl, store: Path) -> None:
    given = document(store, "both")
    handed = next(entry for entry in given["results"] if entry["checkpoint"] == given["checkpoint"])
    assert compared(lrctl, store, "both", "--against", "both")["reference"] == handed["name"]
    of = next(e["name"] for e in document(store, handing_over(store, "last", 3))["results"])
    assert compared(lrctl, store, "last", "--against", "last")["reference"] == of


def test_seeds_of_another_run_are_of_the_same_method(lrctl: Lrctl, store: Path) -> None:
    found = {m["label"]: m["runs"] for m in compared(lrctl, store, "both", "third")["methods"]}
    assert list(found) == METHODS
    seeds = {label: [run["seed"] for run in runs] for label, runs in found.items()}
    assert seeds["adamw greedy"] == seeds["adamw linear"] == [0, 1, 2]
    assert seeds["adamw cosine"] == seeds["sgd greedy"] == [0, 1]


def test_another_initial_lr_is_another_method(lrctl: Lrctl, store: Path) -> None:
    labels = [method["label"] for method in compared(lrctl, store, "third", "lower")["methods"]]
    assert {"adamw greedy (greedy initial_lr=0.1)", "adamw greedy (greedy initial_lr=0.01)"} <= set(labels)
    assert {"adamw linear (greedy peak_lr=0.1)", "adamw linear (greedy peak_lr=0.01)", "adamw cosine"} <= set(labels)


@pytest.mark.parametrize(
    ("other", "reference", "more"), [("baseline", "wsd", ["linear", "wsd"]), ("local", "adamw greedy", ["local"])]
)
def test_it_is_compared_with_other_searches_of_the_recipe(
    other: str, reference: str, more: list[str], lrctl: Lrctl, store: Path
) -> None:
    found = compared(lrctl, store, "both", other)
    assert found["reference"] == reference
    labels = [method["label"] for method in found["methods"]]
    assert labels[: len(METHODS)] == METHODS
    assert sorted(label.partition(" ")[0] for label in labels[len(METHODS) :]) == more
    assert {tuple(each["seeds"]) for each in found["differences"]} <= {(0,), (0, 1)}


def test_settings_of_the_recipe_s_optimizer_say_nothing_of_others(lrctl: Lrctl, store: Path) -> None:
    made_by_hand(store, "both", "decayed", {"optimizer": {"name": "adamw", "weight_decay": 0.5}})
    labels = [method["label"] for method in compared(lrctl, store, "decayed", "local")["methods"]]
    assert labels[:3] == [f"{label} name=adamw weight_decay=0.5" for label in METHODS[:3]]
    assert labels[3:6] == METHODS[3:]


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(path.read_text().splitlines()))


def texts(path: Path) -> set[str | None]:
    return {text.text for text in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")}


def test_a_report_has_a_row_of_panels_for_each_optimizer_and_the_histogram(
    lrctl: Lrctl, store: Path, tmp_path: Path
) -> None:
    done = lrctl("report", "both", "--store", store, "--out", tmp_path)
    assert (done.code, done.err.splitlines()) == (0, [f"wrote {tmp_path / name}" for name in FILES])
    drawn = texts(tmp_path / "figure.svg")
    for optimizer in ("adamw", "sgd"):
        assert {f"Train loss minus that of {optimizer} greedy", f"Learning rate, {optimizer}"} <= drawn
        assert {f"{optimizer} greedy (reference)", f"{optimizer} linear", f"{optimizer} cosine"} <= drawn
    assert {"Final deltas", "delta", "comparisons"} <= texts(tmp_path / "histogram.svg")
    bars = document(store, "both")["summary"]["histogram"]
    rows = read(tmp_path / "charts.csv")
    assert [float(row["x"]) for row in rows] == bars["edges"]
    assert [float(row["y"]) for row in rows[:-1]] == bars["counts"]
    page = (tmp_path / "report.html").read_text()
    for caption in ("GreedyLR against", "In percent", "Final deltas"):
        assert f"<caption>{caption}</caption>" in page
    assert 'id="histogram-title"' in page
    assert "greedy, seeds 0, 1: " in page


def test_the_curves_are_told_from_those_of_their_own_row(report: Path) -> None:
    rows = read(report / "curves.csv")
    assert {(row["label"], row["seed"]) for row in rows} == {(label, seed) for label in METHODS for seed in "01"}
    for label in METHODS:
        zero = {float(row["difference"]) for row in rows if row["label"] == label} == {0.0}
        assert zero == label.endswith("greedy")


def test_one_optimizer_is_one_row(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    assert lrctl("report", "third", "--store", store, "--out", tmp_path).code == 0
    assert "Learning rate" in texts(tmp_path / "figure.svg")


def test_the_same_runs_give_the_same_bytes(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        assert lrctl("report", "both", "lower", "--store", store, "--out", tmp_path / folder).code == 0
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert {"Final deltas of both", "Final deltas of lower"} <= texts(tmp_path / "a" / "histogram.svg")


def from_rows(lrctl: Lrctl, store: Path, rows: Path, name: str = "summed-up") -> Any:
    return lrctl(
        *("greedy", "--from-csv", rows, "--recipe", "smoke", "--name", name, "--fresh"), "--store", store, "--json"
    ).document


def test_the_rows_are_summed_up_again_as_they_were(lrctl: Lrctl, store: Path, report: Path) -> None:
    rows = read(report / "rows.csv")
    columns = ["optimizer", "scheduler", "seed", "initial_lr", "delta10", "delta50", "delta100"]
    assert list(rows[0]) == columns
    assert {(r["optimizer"], r["scheduler"], r["seed"], r["initial_lr"]) for r in rows} == {
        (o, s, seed, "0.1") for o in ("adamw", "sgd") for s in ("linear", "cosine") for seed in "01"
    }
    assert from_rows(lrctl, store, report / "rows.csv")["summary"] == document(store, "both")["summary"]


def test_a_row_that_did_not_finish_is_empty_there_and_summed_up_as_such(
    lrctl: Lrctl, store: Path, tmp_path: Path
) -> None:
    (data,) = document(store, "both")["data"]
    first, *others = data["rows"]
    made_by_hand(store, "both", "lost", data=[data | {"rows": [[*first[:-1], ""], *others]}])
    lrctl("report", "lost", "both", "--store", store, "--out", tmp_path)
    rows = read(tmp_path / "rows.csv")
    assert [rows[0][name] == "" for name in ("delta10", "delta50", "delta100")] == [False, False, True]
    assert len(rows) == len(others) + 2, "what two runs have alike is there once"
    assert from_rows(lrctl, store, tmp_path / "rows.csv")["summary"]["did_not_finish"] == 1


@pytest.fixture
def summed_up(lrctl: Lrctl, store: Path, report: Path) -> str:
    """A run that summed up recorded rows and trained nothing."""
    return str(from_rows(lrctl, store, report / "rows.csv")["run"])


def test_a_run_that_trained_nothing_is_reported_by_what_it_sums_up(
    lrctl: Lrctl, store: Path, tmp_path: Path, summed_up: str
) -> None:
    done = lrctl("report", summed_up, "--store", store, "--out", tmp_path / "report")
    assert (done.code, {path.name for path in (tmp_path / "report").iterdir()}) == (
        0,
        {"report.html", "histogram.svg", "histogram.png", "charts.csv"},
    )
    assert "In percent" in done.out
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Nothing was trained." in page
    assert "<caption>In percent</caption>" in page
    assert f"lrctl report {summed_up}" in page
    told = lrctl("report", summed_up, "--store", store, "--out", tmp_path / "report", "--json").document
    assert (told["runs"], set(told["files"])) == ([summed_up], {"page", "histogram_svg", "histogram_png", "charts"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("compare", "summed-up"),
            "nothing was trained to the end in it, so it has no losses to compare; leave the run out",
        ),
        (
            ("report", "summed-up", "both"),
            "nothing was trained to the end in it, so it has no losses to compare; leave the run",
        ),
        (("export", "summed-up", "--to", "csv"), "schedule"),
    ],
    ids=["compare", "report beside others", "export"],
)
def test_what_a_run_without_a_schedule_cannot_do_is_one_sentence(
    arguments: tuple[str, ...], said: str, lrctl: Lrctl, store: Path, summed_up: str
) -> None:
    done = lrctl(*arguments, "--store", store)
    assert (done.code, done.out) == (2, "")
    assert f"run {summed_up}: " in done.error
    assert said in done.error


def test_it_is_shown_among_the_runs(lrctl: Lrctl, store: Path, summed_up: str) -> None:
    shown = lrctl("runs", "show", "both", "--store", store)
    assert shown.out.splitlines()[0] == "greedy on linear-regression, seeds 0, 1, 24 steps"
    assert "GreedyLR against" in shown.out
    shown = lrctl("runs", "show", summed_up, "--store", store)
    assert shown.out.splitlines()[0] == "greedy: no schedule, 40 steps"
    assert ("In percent" in shown.out, "checkpoint:" in shown.out, "schedule:" in shown.out) == (True, False, False)
    assert lrctl("runs", "--store", store).code == 0


@pytest.mark.parametrize("place", range(4))
def test_the_lrs_that_were_used_are_exported_whatever_optimizer_and_seed_used_them(
    place: int, lrctl: Lrctl, store: Path
) -> None:
    name = handing_over(store, f"exported-{place}", place)
    done = lrctl("export", name, "--to", "json", "--store", store)
    history = Store(store).history(document(store, name)["checkpoint"])
    assert json.loads(done.out)["lr"] == history["lr"].tolist()


def test_a_comparison_in_which_every_greedylr_diverged_is_compared(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    lost = {f"{which}_loss": None for which in ("train", "validation", "test")}
    results = [e | lost if e["name"].endswith("greedy") else e for e in document(store, "both")["results"]]
    name = made_by_hand(store, "both", "diverged", results=results, schedule=None, checkpoint=None, **lost)
    assert compared(lrctl, store, name)["reference"] == "adamw greedy"
    assert lrctl("report", name, "--against", name, "--store", store, "--out", tmp_path).code == 0
    assert lrctl("runs", "show", name, "--store", store).code == 0
