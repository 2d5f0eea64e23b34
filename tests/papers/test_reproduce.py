from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrctl.errors import UsageError
from lrctl.papers import experiments
from lrctl.papers.experiments import Cell, Experiment, Smaller
from lrctl.papers.reproduce import Reproduced, Reproduction
from lrctl.papers.side_by_side import kendall, side_by_side_chart, side_by_side_table
from lrctl.recipe import files as recipe_file
from lrctl.recipe import parse as recipes
from lrctl.storage.run_result import RunResult

PAPERS = ("semi-local", "near-optimal", "greedylr")


@pytest.fixture
def two_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recipes of a paper, the second of which is given what the first found."""
    (tmp_path / "search.toml").write_text(
        'extends = "smoke"\n[training]\nsteps = 20\n[paper]\nname = "ours"\ntable = "Table 1"\ncommand = "semilocal"\n'
        'cells = [{label = "a", set = {"strategy.semilocal.eps" = 0.1}, printed = {train = 1.5, eval = 2.5}},'
        '{label = "b", set = {"strategy.semilocal.eps" = 0.2}, printed = {train = 1.25}},'
        '{label = "local", command = "local", printed = {train = 3.0}}]\n'
        'tiny = {recipe = "smoke", set = {"training.steps" = 16}}\n'
    )
    (tmp_path / "stretched.toml").write_text(
        'extends = "smoke"\n[training]\nsteps = 40\n[paper]\nname = "ours"\ntable = "Table 2"\n'
        'command = "fit-closed-form"\nscales = ["paper"]\n'
        'cells = [{label = "c", given = "search#a", set = {"strategy.fit-closed-form.grid" = [0.1, 0.2], '
        '"strategy.fit-closed-form.family" = ["triangle"]}}]\n'
    )
    found = {path.stem: path for path in tmp_path.glob("*.toml")} | recipe_file.bundled()
    monkeypatch.setattr(recipe_file, "bundled", lambda: found)
    return tmp_path


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("scale", ["tiny", "paper"])
def test_every_experiment_of_a_paper_can_be_read(paper: str, scale: experiments.Scale) -> None:
    found = experiments.experiments(paper, scale)
    assert found
    for each in found:
        assert each.cells, each.recipe
        for cell in each.cells:
            recipe = experiments.recipe_of(each, cell, scale, {})
            if not cell.given:
                recipe.params(cell.command or each.command)
            assert set(cell.printed) <= set(each.columns), (each.recipe, cell.label)


def test_at_scale_tiny_another_model_is_trained_with_the_same_strategy() -> None:
    (wanted,) = [e for e in experiments.experiments("semi-local", "tiny") if e.recipe.endswith("table-5-4-segments")]
    cell = wanted.cells[1]
    paper, tiny = (experiments.recipe_of(wanted, cell, scale, {}) for scale in ("paper", "tiny"))
    quickstart = recipes.read("quickstart")
    assert paper.workload.params.d_model == 768
    assert tiny.workload == quickstart.workload
    assert tiny.training == quickstart.training
    assert tiny.params("semilocal").segments == paper.params("semilocal").segments == 4
    assert tiny.params("semilocal").eps == paper.params("semilocal").eps == 0.06
    assert (paper.params("semilocal").eps_unit, tiny.params("semilocal").eps_unit) == ("nats", "progress")


def test_cells_are_run_and_laid_beside_what_is_printed(two_recipes: Path) -> None:
    (wanted,) = experiments.experiments("ours", "tiny")
    done = Reproduction("tiny", two_recipes / "store", {"executor.name": "serial"}).run(wanted)
    assert [each.result.steps for each in done if each.result] == [16, 16, 16]
    table = side_by_side_table([wanted], done, "tiny")
    assert table.columns == (" ", "train, printed", "train, ours", "eval, printed", "eval, ours")
    assert [row[:2] for row in table.rows] == [("a", "1.5"), ("b", "1.25"), ("local", "3")]
    assert [row[2] for row in table.rows] == [f"{each.at('train_loss'):.4g}" for each in done]
    assert [row[3] for row in table.rows] == ["2.5", "", ""]
    assert "Kendall" in table.notes[-1]
    assert "only the order" in table.notes[1]
    (chart,) = side_by_side_chart(wanted, done)
    assert [series.label for series in chart.series] == ["train, printed", "train, ours", "eval, printed", "eval, ours"]


def test_a_cell_is_given_what_another_found_stretched_to_its_own_length(two_recipes: Path) -> None:
    wanted = next(each for each in experiments.experiments("ours", "paper") if each.recipe == "stretched")
    (done,) = Reproduction("paper", two_recipes / "store", {"executor.name": "serial"}).run(wanted)
    assert done.result
    assert done.result.schedule
    assert done.result.steps == 40
    assert done.result.schedule.family == "piecewise-linear"
    assert done.result.schedule.params["knots"][-1][0] == 40


def test_a_cell_that_diverges_says_so_and_the_others_go_on(two_recipes: Path) -> None:
    settings = {"strategy.baseline.family": ["linear"], "strategy.baseline.axis": ["warmup=0"]}
    lrs = {"bad": 1e30, "good": 0.1}
    cells = tuple(Cell(name, {}, {**settings, "strategy.baseline.grid": [lr]}, "baseline") for name, lr in lrs.items())
    wanted = Experiment("ours", "t", cells, recipe="smoke", tiny=Smaller("smoke"))
    first, second = Reproduction("tiny", two_recipes / "store", {"executor.name": "serial"}).run(wanted)
    assert (first.failure, first.result) == ("diverged", None)
    assert second.result
    assert side_by_side_table([wanted], [first, second], "tiny").rows[0][2] == "diverged"


def test_an_unknown_paper_is_told() -> None:
    with pytest.raises(UsageError, match=r"unknown paper.*did you mean 'semi-local'"):
        experiments.experiments("semilocal", "tiny")


def test_a_wrong_key_names_the_cell(two_recipes: Path) -> None:
    text = (two_recipes / "search.toml").read_text().replace("printed = {train = 1.25}", "print = {}")
    (two_recipes / "search.toml").write_text(text)
    with pytest.raises(UsageError, match=r"search: paper.cells\[1\].print: unknown key"):
        experiments.experiments("ours", "tiny")


@pytest.mark.parametrize(
    ("path", "found"),
    [("a", 1), ("b.0.c", 2), ("b.1.c", None), ("b.x", None), ("a.b", None), ("none", None), ("train_loss", 0.5)],
)
def test_ours_is_found_by_its_path(path: str, found: Any) -> None:
    summary = {"a": 1, "b": [{"c": 2}]}
    result = RunResult(
        command="local", run="r", workload="w", seed=0, steps=1, schedule=None, summary=summary, train_loss=0.5
    )
    assert Reproduced(Cell(""), result).at(path) == found


def test_kendalls_tau_tells_whether_orders_agree() -> None:
    assert kendall([1, 2, 3], [10, 20, 30]) == 1
    assert kendall([1, 2, 3], [3, 2, 1]) == -1
    assert kendall([1, 2, 3], [5, 5, 5]) == 0
