"""`lrctl list` and `lrctl recipes`."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.contracts.optimizers import OPTIMIZERS
from lrctl.export.export import TARGETS
from lrctl.papers.experiments import papers
from lrctl.recipe.files import bundled


def test_list_names_whatever_can_be_named(lrctl: Lrctl) -> None:
    parts = lrctl("list", "--json").document["parts"]

    def of(kind: str) -> set[str]:
        return {part["name"] for part in parts if part["kind"] == kind}

    assert of("optimizer") == set(OPTIMIZERS)
    assert of("export target") == set(TARGETS)
    assert of("paper") == set(papers())
    assert of("recipe") == {name for name in bundled() if "/" not in name}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("semilocal", ["strategy semilocal: ", "eps ", "0.48", "grid ", "0.1, 0.0333, 0.01, "]),
        ("adamw", ["optimizer adamw: ", "betas ", "0.9, 0.999", "--set optimizer.name=adamw"]),
        ("gpt", ["workload gpt: ", "tokenizer ", "bpe:1024"]),
        ("cosine", ["schedule cosine: ", "peak_lr ", "required"]),
        ("serial", ["executor serial: "]),
        ("torch", ["export target torch: ", "lrctl export RUN --to torch"]),
        ("greedy", ["strategy greedy: ", "schedule greedy: "]),
        ("smoke", ["recipe smoke: ", "lrctl recipes show smoke"]),
    ],
)
def test_list_tells_what_one_part_takes(name: str, shown: list[str], lrctl: Lrctl) -> None:
    done = lrctl("list", name)
    assert (done.code, done.err) == (0, "")
    assert all(text in done.out for text in shown)
    parts = lrctl("list", name, "--json").document["parts"]
    assert {part["name"] for part in parts} == {name}
    assert all(part["parameters"] or part["kind"] not in ("strategy", "schedule") for part in parts)


def test_a_part_that_is_not_there_names_the_nearest(lrctl: Lrctl) -> None:
    done = lrctl("list", "cosin")
    assert (done.code, done.error) == (2, "error: lrctl list cosin: unknown part; did you mean 'cosine'?")


def test_recipes_are_listed_with_what_they_train(lrctl: Lrctl) -> None:
    lines = lrctl("recipes").out.splitlines()
    assert next(line.split() for line in lines if line.startswith("smoke "))[:4] == [
        "smoke", "linear-regression", "40", "What",
    ]  # fmt: skip
    folders = [line.split()[:2] for line in lines if "/..." in line]
    assert folders == [["greedylr/...", "85"], ["semi-local/...", "20"]]
    every = lrctl("recipes", "--all").out
    assert all(f"{name} " in every for name in bundled())
    rows = lrctl("recipes", "--json").document["recipes"]
    assert [row["name"] for row in rows] == list(bundled())
    assert all(row["workload"] and row["steps"] and row["command"].startswith("lrctl ") for row in rows)


def test_a_recipe_is_printed_as_it_is(lrctl: Lrctl) -> None:
    done = lrctl("recipes", "show", "smoke")
    assert done.out == bundled()["smoke"].read_text().rstrip("\n") + "\n"
    Path("mine.toml").write_text(done.out)
    assert lrctl("recipes", "show", "mine.toml").out == done.out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smok", "unknown recipe; did you mean 'smoke'?"),
        ("./no.toml", "there is no such file"),
        ("f.toml", "f.toml: cannot be read: "),
    ],
)
def test_a_recipe_that_cannot_be_printed_is_one_sentence(name: str, said: str, lrctl: Lrctl) -> None:
    Path("f.toml").mkdir()
    done = lrctl("recipes", "show", name)
    assert (done.code, done.out) == (2, "")
    assert said in done.error
