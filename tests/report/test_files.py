"""`lrctl report`: the files, and the numbers in them."""

from __future__ import annotations

import csv
import html
import io
import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from jinja2 import UndefinedError
from PIL import Image
from scipy.ndimage import gaussian_filter1d

import comparisons
from command_line import Lrctl
from comparisons import ALL, BASELINES, LOCALS, SEARCHES, document, made_by_hand
from lrctl.contracts.table import Table
from lrctl.report.page import page, template
from lrctl.storage.store import Store
from searches import forkserver

FILES = {"report.html", "figure.svg", "figure.png", "curves.csv"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return comparisons.fill(tmp_path_factory.mktemp("runs") / "store")


def curves(folder: Path) -> dict[tuple[str, int], list[dict[str, str]]]:
    """The rows of a report's CSV by label and seed."""
    found: dict[tuple[str, int], list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO((folder / "curves.csv").read_text())):
        found.setdefault((row["label"], int(row["seed"])), []).append(row)
    return found


def series(rows: list[dict[str, str]], name: str) -> Any:
    return np.array([float(row[name]) for row in rows])


def test_the_files_lie_beside_the_first_run_and_are_named_on_stderr(lrctl: Lrctl, store: Path) -> None:
    done = lrctl("report", *ALL, "--store", store)
    folder = store / "runs" / ALL[0] / "report"
    assert done.code == 0
    assert {path.name for path in folder.iterdir()} == FILES
    assert done.err.splitlines() == [
        f"wrote {folder / name}" for name in ("report.html", "figure.svg", "figure.png", "curves.csv")
    ]
    assert done.out == lrctl("compare", *ALL, "--store", store).out


def test_out_says_where_the_files_go_and_json_names_them(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    found = lrctl("report", *LOCALS, "--store", store, "--out", folder, "--json").document
    assert {Path(path).relative_to(folder).name for path in found.pop("files").values()} == FILES
    assert found == lrctl("compare", *LOCALS, "--store", store, "--json").document


def test_the_same_runs_give_the_same_bytes(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        assert lrctl("report", *ALL, "--store", store, "--out", tmp_path / folder).code == 0
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_figures_are_whole(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    lrctl("report", *ALL, "--store", store, "--out", tmp_path)
    with Image.open(tmp_path / "figure.png") as image:
        image.load()
        assert image.size[0] == 2000
        assert image.size[1] >= 840
        assert len(image.convert("RGB").getcolors(10**6) or []) > 50
    svg = ET.parse(tmp_path / "figure.svg").getroot()
    texts = {text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Train loss minus that of wsd", "Learning rate", "wsd (reference)", "local", "linear"} <= texts
    assert svg[0].tag.endswith("title")
    assert "wsd" in (svg[1].text or "")
    assert b"<dc:date>" not in (tmp_path / "figure.svg").read_bytes()


def test_the_curves_are_the_stored_ones_smoothed_and_subtracted_as_scipy_does_it(
    lrctl: Lrctl, store: Path, tmp_path: Path
) -> None:
    lrctl("report", *ALL, "--store", store, "--out", tmp_path)
    found = curves(tmp_path)
    assert {seed for _, seed in found} == {0, 1, 2}
    assert {len(rows) for rows in found.values()} == {24}
    for seed in (0, 1, 2):
        whole = document(store, f"local-{seed}")
        history = Store(store).history(whole["checkpoint"])
        rows = found["local", seed]
        assert series(rows, "step").tolist() == list(range(24))
        assert series(rows, "loss").astype("f4").tolist() == history["loss"].tolist()
        assert series(rows, "lr").tolist() == history["lr"].tolist()
        assert series(rows, "smoothed") == pytest.approx(gaussian_filter1d(history["loss"].astype("f8"), 10), rel=1e-6)
        assert series(rows, "smoothed")[-1] == pytest.approx(whole["train_loss"], rel=1e-6)
        apart = series(rows, "loss") - series(found["wsd", seed], "loss")
        assert series(rows, "difference") == pytest.approx(gaussian_filter1d(apart, 10), abs=1e-6)
        assert set(series(found["wsd", seed], "difference")) == {0.0}


def test_without_a_reference_on_the_seed_there_is_no_difference(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    lrctl("report", LOCALS[0], *SEARCHES[:2], "--store", store, "--out", tmp_path)
    found = curves(tmp_path)
    (label,) = {label for label, _ in found} - {"local"}
    assert {row["difference"] for row in found[label, 1]} == {""}
    assert all(row["difference"] for row in found[label, 0])


def test_a_run_alone_is_shown_with_its_loss(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    assert lrctl("report", LOCALS[0], "--store", store, "--out", tmp_path).code == 0
    svg = (tmp_path / "figure.svg").read_text()
    assert ">Train loss<" in svg
    assert "minus" not in svg.partition("</desc>")[2]
    assert "reference" not in svg


def test_no_shared_seed_at_all_still_gives_a_report(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    assert lrctl("report", LOCALS[0], SEARCHES[1], "--store", store, "--out", tmp_path).code == 0


def test_losses_that_are_not_finite_leave_a_gap(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    lost = comparisons.diverged(store, "local-1", "lost", at=12)
    done = lrctl("report", *SEARCHES, "local-0", lost, "--store", store, "--out", tmp_path)
    assert (done.code, "not finite" in done.out, "warning" in done.err) == (0, True, False)
    rows = curves(tmp_path)["local", 1]
    for name in ("loss", "smoothed", "difference"):
        assert np.isfinite(series(rows, name)).tolist() == [True] * 12 + [False] * 12
    assert "not finite" in (tmp_path / "report.html").read_text()


def test_text_that_the_font_lacks_or_that_looks_like_a_formula_is_kept(
    lrctl: Lrctl, store: Path, tmp_path: Path
) -> None:
    entry = document(store, "baseline-0")["results"][0]
    name = made_by_hand(
        store, "baseline-0", "odd", results=[entry | {"name": text} for text in ("wsd", "_学習_$x^2$", "a&<b>")]
    )
    done = lrctl("report", LOCALS[0], name, "--store", store, "--out", tmp_path)
    assert (done.code, "warning" in done.err) == (0, False)
    texts = {e.text for e in ET.parse(tmp_path / "figure.svg").iter("{http://www.w3.org/2000/svg}text")}
    assert {"_学習_$x^2$", "a&<b>"} <= texts


def test_the_commands_on_the_page_make_it_again(
    lrctl: Lrctl, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrctl_executors.processes.get_context", forkserver)
    few = ["--tune", "--family", "rex", "--top", "1", "--grid", "0.3,0.1", "--baseline", "", "--quiet"]
    assert lrctl("fit-closed-form", SEARCHES[0], *few, "--name", "fitted", "--store", store).code == 0
    names = [LOCALS[0], BASELINES[0], "fitted"]
    lrctl("report", *names, "--store", store, "--out", tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    commands = html.unescape(re.findall(r"<pre[^>]*><code>(.*?)</code>", page, re.DOTALL)[-1]).splitlines()
    saved = re.findall(r'<a download="(.*?)" href="data:application/toml;charset=utf-8,(.*?)">', page)
    assert [file for file, _ in saved] == [f"{name}.toml" for name in names]
    for file, recipe in saved:
        (tmp_path / file).write_text(unquote(recipe))
    for command in commands:
        assert lrctl(*shlex.split(command)[1:]).code == 0, command
    (again,) = (tmp_path / ".lrctl").glob("runs/*/report")
    for name in FILES - {"report.html"}:  # it has the time that the searches took
        assert (again / name).read_bytes() == (tmp_path / "report" / name).read_bytes(), name


def test_html_in_titles_tables_and_notes_comes_out_escaped() -> None:
    odd = "<img src=x onerror=alert(1)>&\"'"
    text = page(odd, "", [Table(odd, (odd,), ((odd,),), (odd,))])
    assert "<img" not in text
    assert html.unescape(text).count(odd) == 7, "title, heading, label, caption, column, row, note"


def test_a_page_that_lacks_something_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        template().render(title="alone")


def test_a_report_that_is_there_is_replaced(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    (tmp_path / "curves.csv").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    assert lrctl("report", LOCALS[0], "--store", store, "--out", tmp_path).code == 0
    assert curves(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not list(tmp_path.glob(".lrctl-*"))


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = lrctl("report", LOCALS[0], "--store", store, "--out", tmp_path / "file" / "below")
    assert done.code == 1
    assert f"cannot write {tmp_path / 'file' / 'below'}: Not a directory" in done.error


def test_losses_that_are_gone_are_said_in_one_sentence(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    name = made_by_hand(store, "local-0", "gone", checkpoint="e" * 64)
    done = lrctl("report", name, "--store", store, "--out", tmp_path)
    assert done.code == 1
    assert "job eeeeeeeeeeee is missing or damaged; run the search again" in done.err.splitlines()[-1]
