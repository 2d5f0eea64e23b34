"""Transfers that train: their document, how they go on, what they share, and what is made of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl.contracts.strategy import Batch
from lrctl.engine import session
from lrctl_workloads.regression.linear import LinearRegression
from searches import search, settled, smoke

RECIPE: dict[str, Any] = {
    "training__steps": 800,
    "strategy__transfer__grid": (0.1, 0.2, 0.4),
    "strategy__transfer__score_batches": 8,
    "workload__noise": 0.5,
}
FLAGS = ["--recipe", "smoke", "--executor", "serial", "--steps", "800", "--grid", "0.1,0.2,0.4", "--quiet"]


def transfer(store: Path, **overrides: Any) -> dict[str, Any]:
    return search(store, smoke(**RECIPE | overrides), "transfer")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store with a finished search, and its document."""
    store = tmp_path_factory.mktemp("transfer") / "store"
    return store, transfer(store)


def test_the_document_has_the_peak_the_interval_and_the_rungs(done: tuple[Path, dict[str, Any]]) -> None:
    _, document = done
    low, high = document["interval"]
    assert low < document["peak_lr"] < high
    assert [rung["steps"] for rung in document["rungs"]] == [100, 200]
    assert document["schedule"]["family"] == "wsd"
    assert document["schedule"]["params"]["peak_lr"] == document["peak_lr"]
    assert (document["checkpoint"], document["test_loss"]) == (None, None)
    assert document["full_runs"] == pytest.approx(document["cost"]["full_runs"])


def test_a_search_that_was_stopped_goes_on_to_the_same_result(
    done: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_batch, asked = session.Session.run_batch, 0

    def stopping(self: session.Session, batch: Batch) -> Any:
        nonlocal asked
        asked += 1
        if asked == 5:
            raise KeyboardInterrupt
        return run_batch(self, batch)

    with monkeypatch.context() as patched:
        patched.setattr(session.Session, "run_batch", stopping)
        with pytest.raises(KeyboardInterrupt):
            transfer(tmp_path / "store")
    assert settled(transfer(tmp_path / "store")) == settled(done[1])


def test_training_it_takes_the_rungs_that_are_there(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    store, document = done
    copy = shutil.copytree(store, tmp_path / "store")
    trained = transfer(copy, strategy__transfer__train=True)
    same = ("peak_lr", "interval", "rungs", "schedule")
    assert [trained[name] for name in same] == [document[name] for name in same]
    assert trained["cost"]["jobs_reused"] == document["cost"]["jobs"]
    assert trained["cost"]["steps_trained"] == 800
    assert trained["test_loss"] > 0


def test_more_budget_goes_on_from_what_was_trained(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    copy = shutil.copytree(done[0], tmp_path / "store")
    less = transfer(copy, strategy__transfer__budget=0.5)
    assert less["rungs"] == done[1]["rungs"][:1]
    assert less["interval"][1] > done[1]["interval"][1]


def test_validation_loss_scores_the_rungs_where_that_is_asked_for(tmp_path: Path) -> None:
    document = transfer(tmp_path / "store", strategy__transfer__score_on="validation")
    assert document["chosen_by"] == "validation loss"
    assert document["peak_lr"] > 0


# On the command line


def test_a_person_is_told_the_peak_its_interval_and_the_rungs(lrctl: Lrctl) -> None:
    shown = lrctl("transfer", *FLAGS)
    assert shown.code == 0
    assert "Every run of the rungs" in shown.out
    assert "The peak of wsd over 800 steps:" in shown.out
    assert "next: the same with --train" in shown.out
    run = lrctl("transfer", *FLAGS, "--json").document["run"]
    exported = json.loads(lrctl("export", run, "--to", "json").out)
    assert exported["steps"] == len(exported["lr"]) == 800
    assert "def watch(self, step, loss):" in lrctl("export", run, "--to", "torch").out
    report = lrctl("report", run, "--json").document
    assert {name for name in report["files"] if "rung" in name}, report["files"]


def test_a_dry_run_tells_what_the_rungs_take(lrctl: Lrctl) -> None:
    document = lrctl("transfer", *FLAGS, "--dry-run", "--json").document
    # Three runs of 100 steps and two of 200, a cooldown of 25, and 7 scores of 15 batches.
    assert document["steps"] == 3 * 100 + 2 * 200 + 25
    assert document["full_runs"] == pytest.approx((725 + 7 * 15 / 3) / 800)


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--steps", "700"], 2, "an eighth of 700 is 87"),
        (["--grid", "1e-6,2e-6"], 3, "the best is the outermost"),
        (["--budget", "0.1"], 2, "budget: must be at least 0.375"),
    ],
    ids=["short", "outermost", "budget"],
)
def test_a_refusal_is_one_sentence_with_its_exit_code(flags: list[str], code: int, words: str, lrctl: Lrctl) -> None:
    done = lrctl("transfer", *FLAGS, *flags)
    assert done.code == code
    assert words in done.err
    assert done.err.count("error:") == 1


def test_a_workload_that_tells_its_epoch_is_warned_of_repeated_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LinearRegression, "steps_per_epoch", lambda _: 200.0, raising=False)
    document = transfer(tmp_path / "store", strategy__transfer__budget=0.5)
    assert "goes through its data 4.0 times and the longest rung 0.5 times" in document["notes"][0]
