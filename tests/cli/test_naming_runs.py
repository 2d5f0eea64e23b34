"""How a run is asked for, wherever one is, and what `compare` and `report` take where none is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import comparisons
from command_line import Lrctl
from comparisons import ALL, made_by_hand
from lrctl.errors import UsageError
from lrctl.storage.labels import label, labels
from lrctl.storage.named import all_runs, one_run, runs_named
from lrctl.storage.store import Store


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine runs, in the order of `ALL`; the searches have the label `mine`."""
    path = comparisons.fill(tmp_path_factory.mktemp("runs") / "store")
    for age, name in enumerate(reversed(ALL)):
        os.utime(path / "runs" / name / "result.json", times=(1e9 - age, 1e9 - age))
    for name in comparisons.SEARCHES:
        label(Store(path), name, ["mine"])
    return path


NAMED = {
    "a name": ("local-1", ["local-1"]),
    "its beginning": ("base", None),
    "the beginning of one": ("local-2", ["local-2"]),
    "latest": ("latest", ["baseline-2"]),
    "a glob": ("*-1", ["baseline-1", "local-1", "semilocal-1"]),
    "a set": ("local-[01]", ["local-0", "local-1"]),
    "a label": ("mine", comparisons.SEARCHES),
    "nothing": ("locl-1", None),
    "a glob of none": ("x*", None),
    "no word": ("", None),
}


@pytest.mark.parametrize(("text", "expected"), NAMED.values(), ids=NAMED)
def test_a_run_is_asked_for_by_name_beginning_latest_glob_or_label(
    text: str, expected: list[str] | None, filled: Path
) -> None:
    if expected is None:
        with pytest.raises(UsageError, match=r"unknown run|begin with that: baseline-0, .*'base\*'"):
            runs_named(Store(filled), text)
    else:
        assert runs_named(Store(filled), text) == expected


def test_a_name_wins_over_all_else_it_could_be(tmp_path: Path, filled: Path) -> None:
    place = Store(tmp_path / "store")
    for name in ("latest", "a", "ab"):
        (place.path / "runs" / name).mkdir()
    assert [one_run(place, name) for name in ("latest", "a")] == ["latest", "a"]
    assert all_runs(Store(filled), ["local-1", "local*", "mine"])[:3] == ["local-1", "local-0", "local-2"]


def test_one_run_is_not_several(filled: Path) -> None:
    with pytest.raises(UsageError, match="mine: 3 runs are called that, and one is needed: semilocal-0, "):
        one_run(Store(filled), "mine")


ASKED = {
    "runs show": ("runs show local-2 --json", lambda d: d["run"], "local-2"),
    "compare, by glob": ("compare local-* --json", lambda d: d["runs"], ["local-0", "local-1", "local-2"]),
    "compare, by label": ("compare mine --json", lambda d: d["runs"], comparisons.SEARCHES),
    "against a beginning": (
        "compare mine --against baseline-0 --json",
        lambda d: d["runs"],
        [*comparisons.SEARCHES, "baseline-0"],
    ),
    "against latest": ("compare mine --against latest --json", lambda d: d["runs"][-1], "baseline-2"),
    "compare all": ("compare --json", lambda d: d["runs"], sorted(ALL)),
    "report all": ("report --json --out page", lambda d: d["runs"], sorted(ALL)),
    "fit-closed-form": ("fit-closed-form latest --dry-run --json", lambda d: d["steps"], 0),
}


@pytest.mark.parametrize(("command", "read", "expected"), ASKED.values(), ids=ASKED)
def test_every_command_takes_the_same_words(command: str, read: Any, expected: Any, filled: Path, lrctl: Lrctl) -> None:
    done = lrctl(*command.split(), "--store", filled)
    assert done.code == 0, done.err
    assert read(done.document) == expected


def test_export_names_the_run_that_a_word_stood_for(filled: Path, lrctl: Lrctl) -> None:
    assert "from run baseline-2." in lrctl("export", "latest", "--to", "torch", "--store", filled).out


def test_a_label_of_a_method_wins_over_the_beginning_of_a_run(filled: Path, lrctl: Lrctl) -> None:
    found = lrctl("compare", "mine", "local*", "--against", "local", "--store", filled, "--json").document
    assert found["reference"] == "local"


def test_all_of_a_store_leaves_out_what_cannot_be_compared(tmp_path: Path, filled: Path, lrctl: Lrctl) -> None:
    store = shutil.copytree(filled, tmp_path / "store")
    made_by_hand(store, "local-0", "longer", {"training": {"steps": 30}})
    os.utime(store / "runs/longer/result.json", times=(1, 1))
    comparisons.untrained(store)
    (store / "runs" / "local-2" / "result.json").unlink()
    done = lrctl("compare", "--store", store, "--json")
    assert done.document["runs"] == sorted({*ALL} - {"local-2"})
    assert done.error.startswith("warning: left out: local-2 (not finished), ")
    assert "longer (another workload, data or steps)" in done.error
    assert "fitted (nothing was trained)" in done.error


def test_an_empty_store_has_nothing_to_compare(tmp_path: Path, lrctl: Lrctl) -> None:
    Store(tmp_path / "store")
    for command in ("compare", "report"):
        done = lrctl(command, "--store", "store")
        assert (done.code, done.out) == (2, "")
        assert "there is no finished run to compare; `lrctl runs` lists what is there" in done.error


# `lrctl runs`

LISTED = {
    "by date": ("", ALL),
    "the newest first": ("--reverse", ALL[::-1]),
    "by name": ("--sort name", sorted(ALL)),
    "of a command": ("--command local --sort NAME --reverse", ["local-2", "local-1", "local-0"]),
    "with a label": ("--label mine --sort name", comparisons.SEARCHES),
    "of a recipe": ("--recipe smoke", []),
}


@pytest.mark.parametrize(("flags", "expected"), LISTED.values(), ids=LISTED)
def test_runs_are_sorted_and_filtered(flags: str, expected: list[str], filled: Path, lrctl: Lrctl) -> None:
    done = lrctl("runs", "--store", filled, "--json", *flags.split())
    assert [row["run"] for row in done.document["runs"]] == expected


def test_runs_of_a_recipe_trained_its_workload_for_its_steps(filled: Path, lrctl: Lrctl) -> None:
    text = (filled / "runs" / "local-0" / "recipe.toml").read_text()
    Path("same.toml").write_text(text)
    Path("longer.toml").write_text(text.replace("steps = 24", "steps = 25"))
    for name, count in (("same.toml", 9), ("longer.toml", 0)):
        assert len(lrctl("runs", "--store", filled, "--json", "--recipe", name).document["runs"]) == count


def test_runs_sorted_by_a_loss_have_those_without_one_last(tmp_path: Path, filled: Path, lrctl: Lrctl) -> None:
    store = shutil.copytree(filled, tmp_path / "store")
    comparisons.untrained(store, "a")
    for flag in ([], ["--reverse"]):
        rows = lrctl("runs", "--store", store, "--sort", "test-loss", "--json", *flag).document["runs"]
        assert rows[-1]["test_loss"] is None
        losses = [row["test_loss"] for row in rows[:-1]]
        assert losses == sorted(losses, reverse=bool(flag))


# Labels


def test_a_label_is_shown_and_asks_for_its_runs(lrctl: Lrctl) -> None:
    search = ("semilocal", "--recipe", "smoke", "--executor", "serial", "--segments", "1", "--quiet", "--name", "r")
    assert lrctl(*search, "--label", "night", "--label", "b2").code == 0
    assert lrctl(*search, "--label", "later").code == 0
    assert "b2,later,night" in lrctl("runs").out
    assert lrctl("runs", "show", "night", "--json").document["run"] == "r"
    assert labels(Store(".lrctl"), "r") == ["b2", "later", "night"]
    lrctl("runs", "remove", "night", "--yes")
    assert Store(".lrctl").runs.names() == []


@pytest.mark.parametrize("text", ["", "latest", "a*", "a b", "s.json", "a/b", "-x"])
def test_what_would_be_taken_for_something_else_is_no_label(text: str, lrctl: Lrctl) -> None:
    done = lrctl("semilocal", "--recipe", "smoke", f"--label={text}")
    assert done.code == 2
    assert done.error.startswith(f"error: --label {text!r}: must be a word")
    assert not Path(".lrctl").exists()


# What a shell offers

COMPLETED = {
    "runs": ("lrctl runs show ba", ["baseline-2", "baseline-1", "baseline-0"]),
    "labels of runs": ("lrctl compare m", ["mine"]),
    "latest": ("lrctl export la", ["latest"]),
    "a schedule to work on": ("lrctl fit-closed-form semilocal-0", ["semilocal-0"]),
    "labels": ("lrctl semilocal --label m", ["mine"]),
    "recipes": ("lrctl semilocal --recipe smo", ["smoke"]),
    "workloads": ("lrctl semilocal --workload lin", ["linear-regression"]),
    "executors": ("lrctl semilocal --executor a", ["auto"]),
    "families": ("lrctl baseline --family cos", ["cosine", "cosine-with-restarts"]),
    "optimizers": ("lrctl greedy --optimizer adam", ["adamw", "adam"]),
    "targets": ("lrctl export x --to t", ["torch", "transformers"]),
    "parts": ("lrctl list ls", []),
    "commands": ("lrctl runs --command semi", ["semilocal"]),
}


@pytest.mark.parametrize(("words", "expected"), COMPLETED.values(), ids=COMPLETED)
def test_a_shell_completes_names(
    words: str, expected: list[str], filled: Path, lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_LRCTL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    monkeypatch.setenv("LRCTL_STORE", str(filled))
    done = lrctl()
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == expected


def test_without_a_store_a_shell_offers_no_runs(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LRCTL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "lrctl runs show b")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert (lrctl().out.strip(), list(Path().iterdir())) == ("", [])
