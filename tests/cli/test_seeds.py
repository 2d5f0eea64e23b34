"""`--seeds`: a search for each, compared at the end."""

from __future__ import annotations

import re

import pytest

from command_line import Lrctl

SEARCH = ("local", "--recipe", "smoke", "--executor", "serial", "--segments", "1", "--grid", "0.1,0.01")


def test_a_search_is_run_for_each_seed_and_compared(lrctl: Lrctl) -> None:
    done = lrctl(*SEARCH, "--seeds", "1,0,1", "--name", "r", "--label", "s", "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    document = done.document
    assert document["format"] == "lrctl-seeds/1"
    assert [(run["run"], run["seed"]) for run in document["runs"]] == [("r-seed1", 1), ("r-seed0", 0)]
    assert lrctl("compare", "r-seed1", "r-seed0", "--json").document == document["comparison"]
    assert lrctl("compare", "s", "--json").document["runs"] == ["r-seed0", "r-seed1"]


def test_the_comparison_is_the_one_that_compare_prints(lrctl: Lrctl) -> None:
    done = lrctl(*SEARCH, "--seeds", "0,1", "--quiet")
    assert done.code == 0
    names = re.findall(r"^(local-\w+): .*result\.json$", done.out, re.MULTILINE)
    assert done.out.startswith(lrctl("compare", *names).out.rstrip())


def test_one_seed_alone_is_an_ordinary_search(lrctl: Lrctl) -> None:
    several = lrctl(*SEARCH, "--seeds", "3", "--json", "--quiet").document
    assert several == lrctl(*SEARCH, "--seed", "3", "--json", "--quiet").document


def test_a_dry_run_adds_the_seeds_up(lrctl: Lrctl) -> None:
    one = lrctl(*SEARCH, "--dry-run", "--json").document
    three = lrctl(*SEARCH, "--seeds", "0,1,2", "--dry-run", "--json").document
    assert [three[name] / one[name] for name in ("jobs", "steps", "full_runs")] == [3, 3, 3]
    assert three["seeds"] == [0, 1, 2]
    assert three["seconds"] > 0
    assert "seeds 0, 1, 2 together" in lrctl(*SEARCH, "--seeds", "0,1,2", "--dry-run").out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--seeds 0,x", "--seeds 0,x: must be whole numbers with commas between them"),
        ("--seeds ,", "--seeds ,: must be whole numbers of at least 0"),
        ("--seeds 0,-1", "--seeds 0,-1: must be whole numbers of at least 0"),
        ("--seeds 0,1 --seed 2", "--seeds 0,1: --seed is given too; leave one of them out"),
    ],
    ids=lambda value: value if value.startswith("--seeds") else "",
)
def test_what_are_no_seeds_is_one_sentence(flags: str, said: str, lrctl: Lrctl) -> None:
    done = lrctl(*SEARCH, *flags.split())
    assert (done.code, done.out) == (2, "")
    assert said in done.error


def test_a_strategy_with_seeds_of_its_own_runs_them_itself(lrctl: Lrctl) -> None:
    flags = ("greedy", *SEARCH[1:5], "--against", "linear", "--seeds", "0,1", "--json", "--quiet")
    document = lrctl(*flags).document
    assert sorted({entry.get("seed", 0) for entry in document["results"]}) == [0, 1]
    assert document["format"] == "lrctl-result/1"
