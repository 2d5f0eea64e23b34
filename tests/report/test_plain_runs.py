"""The plain runs that searches train beside themselves, in reports: drawn and listed, and no methods of their own."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from comparisons import result_of
from lrctl.engine import run
from lrctl.report.compare import compare
from lrctl.report.figures import caption
from lrctl.report.files import write
from lrctl.report.panels import panels
from lrctl.storage.store import Store
from searches import small

BESIDE = "plain wsd beside "


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Searches that have a plain run beside them, of which two have the same one, and one that has none."""
    place = tmp_path_factory.mktemp("runs") / "store"
    beside = {"strategy__local__reference": True, "strategy__semilocal__reference": True}
    for seed in (0, 1):
        run.search("local", small(training__seed=seed, **beside), store=place, name=f"local-{seed}")
    run.search("semilocal", small(strategy__semilocal__eps=0.0, **beside), store=place, name="same")
    run.search("semilocal", small(strategy__semilocal__eps=0.05), store=place, name="alone")
    return place


def short(label: str) -> str:
    """A label without the settings of the search."""
    return re.split(r" \w+=", label)[0]


DRAWN = {
    "one search": (["local-0"], ["local", f"{BESIDE}local"]),
    "over seeds": (["local-0", "local-1"], ["local", f"{BESIDE}local"]),
    "without one": (["alone"], ["semilocal"]),
    "the same one beside two searches": (["local-0", "same"], ["local", "semilocal", f"{BESIDE}local"]),
}


@pytest.mark.parametrize(("runs", "expected"), DRAWN.values(), ids=DRAWN)
def test_plain_runs_are_drawn_once_behind_the_methods(store: Path, runs: list[str], expected: list[str]) -> None:
    found = compare(store, runs)
    (panel,) = panels(found)
    assert [short(method.label) for method in panel.methods] == expected
    assert panel.methods == (*found.methods, *found.plain)
    assert ("trained beside a search" in caption(found)) == bool(found.plain)
    assert all(len(method.curves) == len(found.methods[0].curves) for method in found.plain)


def test_a_run_that_is_a_method_already_is_not_drawn_as_the_plain_one_too(store: Path) -> None:
    """`baseline` trains the same run where the LR is in its grid."""
    plain = result_of(store, "local-0").reference
    assert plain is not None
    tuned = {"family": ["wsd"], "grid": [plain.schedule.params["peak_lr"]], "axis": ["warmup=0.1", "decay=0.1"]}
    recipe = small(**{f"strategy__baseline__{name}": value for name, value in tuned.items()})
    run.search("baseline", recipe, store=store, name="tuned")
    assert result_of(store, "tuned").results[0].checkpoint == plain.checkpoint
    (panel,) = panels(compare(store, ["local-0", "tuned"]))
    assert [short(method.label) for method in panel.methods] == ["local", "wsd"]


def test_every_file_of_a_report_holds_the_plain_run(store: Path, tmp_path: Path) -> None:
    write(compare(store, ["local-0"]), tmp_path)
    for name in ("figure.svg", "report.html"):
        assert f"{BESIDE}local" in (tmp_path / name).read_text()
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"].startswith(BESIDE)]
    plain = result_of(store, "local-0").reference
    assert plain is not None
    assert plain.checkpoint is not None
    history = Store(store).history(plain.checkpoint)
    assert [float(row["loss"]) for row in rows] == pytest.approx(history["loss"].tolist(), rel=1e-6)
    assert [float(row["lr"]) for row in rows] == history["lr"].tolist()
    assert any(float(row["difference"]) for row in rows)
