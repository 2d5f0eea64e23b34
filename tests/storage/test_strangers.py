"""A store that a stranger made, with digests that hold, leads no command out of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl.contracts.result import JobRecord
from lrctl.contracts.table import OWN_FILES, DataFile
from lrctl.errors import StoreError
from lrctl.report.files import write_files
from lrctl.storage.store import Store
from storages import beside, few_elsewhere, raw

AWAY = "../../../victim"
"""From a folder of the store to the folder beside it."""

Document = dict[str, Any]


def data_file(document: Document) -> None:
    document["data"] = [{"name": f"../{AWAY}", "columns": ["a"], "rows": [["1"]]}]


def own_file(document: Document) -> None:
    document["data"] = [{"name": "curves", "columns": ["a"], "rows": [["1"]]}]


def chart(document: Document) -> None:
    document["charts"] = [{"name": f"../{AWAY}", "title": "", "kind": "lines", "x": "", "y": ""}]


def run(document: Document) -> None:
    document["run"] = AWAY


def checkpoint(document: Document) -> None:
    document["checkpoint"] = AWAY


def no_text(document: Document) -> None:
    document["checkpoint"] = "\ud800"


def result(document: Document) -> None:
    losses = dict.fromkeys(("train_loss", "validation_loss", "test_loss", "full_runs"), 1.0)
    document["results"] = [{"name": "a", "schedule": document["schedule"], "checkpoint": AWAY, **losses}]


CRAFTED = [data_file, own_file, chart, run, checkpoint, no_text, result]
COMMANDS = ["report mine", "runs", "gc"]


@few_elsewhere("craft", CRAFTED, [checkpoint])
def test_a_result_whose_names_lead_elsewhere_is_damaged(
    craft: Callable[[Document], None], lrctl: Lrctl, searched: Path | str, tmp_path: Path
) -> None:
    victim = raw(beside(searched, "victim.safetensors"))
    victim.write_text("precious")
    store = Store(searched)
    document = store.read_signed("runs/mine/result.json")
    assert document
    craft(document)
    store.write_signed("runs/mine/result.json", document)
    assert store.runs.result("mine") is None
    (tmp_path / "cache").mkdir(exist_ok=True)
    before = sorted(tmp_path.iterdir())
    for command in COMMANDS:
        done = lrctl(*command.split())
        assert done.code in (0, 2), command
        assert "fault in lrctl" not in done.err, command
    assert (victim.read_text(), sorted(tmp_path.iterdir())) == ("precious", before)


def test_no_key_leads_out_of_a_store(place: Path | str) -> None:
    store, victim = Store(place), raw(beside(place, "victim"))
    victim.write_text("precious")
    asked: list[Callable[[str], Any]] = [
        store.record,
        store.stopped,
        store.losses,
        store.checkpoint,
        store.load_checkpoint,
        store.runs.is_handed_over,
        store.log,
        store.forget_stopped,
        lambda key: store.put_record(JobRecord(key, "ok")),
    ]
    for ask in asked:
        with pytest.raises(StoreError, match=r"'\.\./\.\./victim' is no key of a job, so the store is damaged"):
            ask("../../victim")
    assert victim.read_text() == "precious"


def test_a_job_whose_parent_leads_elsewhere_is_not_known(place: Path | str) -> None:
    store = Store(place)
    store.put_record(JobRecord("a" * 64, "ok", parent=AWAY))
    assert store.record("a" * 64) is None


@pytest.mark.parametrize("name", [*OWN_FILES, "", "a/b", "..", "Rows", "a.b", "a\n", "a" + chr(0)])
def test_a_data_file_has_the_name_of_a_file_that_reports_do_not_write(name: str) -> None:
    with pytest.raises(ValueError, match="must be lower-case letters, digits and hyphens, and not page or curves or"):
        DataFile(name, ("a",), (("1",),))


@pytest.mark.parametrize("name", ["../pwned.csv", "/pwned.csv", "a/b.csv", "..", "", ".hidden"])
def test_a_report_writes_into_its_own_folder_only(name: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no name of a file in it, so no report is written"):
        write_files(tmp_path / "report", "", [], {"data": (name, b"")})
    assert not (tmp_path / "report").exists()
