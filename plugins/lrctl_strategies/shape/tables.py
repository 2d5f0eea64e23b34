"""The tables of a search for the best shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from lrctl.analysis.statistics import LEVEL
from lrctl.contracts.table import Table, interval, number, probability, signed

Document = Mapping[str, Any]


def of_setting(document: Document) -> list[Table]:
    of = f", {document['setting']}" if document["setting"] else ""
    shown = [ranked(document, of)]
    if document["against"]:
        shown.append(compared(document, of))
    if document["sweeps"]:
        shown.append(sweeps(document, of))
    return shown


def ranked(document: Document, of: str) -> Table:
    rows = tuple(
        (
            each["name"],
            settings(each["searched"]),
            f"{each['base_lr']:.3g}" + "!" * each["edge"],
            number(each["score"]),
            number(each["loss"]),
            interval(each["interval"], number),
            number(fmean(each["test_losses"])),
            str(each["shapes"]),
        )
        for each in document["families"]
    )
    lost = f", {n} of which diverged and count as +inf." if (n := document["runs_diverged"]) else "."
    columns = ("family", "best shape", "base LR", "score", "fresh seeds", "95 %", "test loss", "shapes")
    told = [
        f"Score: the median over the seeds of the search, which picked the shapes; {document['runs']} runs{lost}",
        "Fresh seeds: the median over seeds that had no part in that, which ranks the families; bootstrap interval.",
        "Tuned: shapes on the family's grid, at the same base LRs, with the same seeds and chosen alike.",
    ]
    if any(each["edge"] for each in document["families"]):
        told.append("!: at the edge of the base LRs that were tried.")
    return Table(f"The best shape of each family{of}", columns, rows, tuple(told))


def compared(document: Document, of: str) -> Table:
    rows = tuple(
        (
            each["against"],
            signed(each["difference"]),
            interval(each["interval"], number),
            probability(each["p"]),
            each["verdict"],
        )
        for each in document["against"]
    )
    best = document["against"][0]["best"]
    told = (
        f"Test loss of {best} minus the other's, paired by seeds that neither picked nor ranked any of them; below 0",
        "it is ahead. p by Holm's correction.",
    )
    columns = ("against", "difference", "95 %", "p", "verdict")
    return Table(f"{best} against tuned schedules{of}", columns, rows, told)


def sweeps(document: Document, of: str) -> Table:
    rows = []
    for each in document["sweeps"]:
        best = min(each["points"], key=lambda point: point["difference"])
        values = ", ".join(f"{point['value']:.3g}" for point in each["points"])
        told, error = "better" if best["better"] else "not better", interval(best["interval"], number)
        own, other = f"{each['value']:.3g}", f"{best['value']:.3g}"
        rows.append((each["parameter"], own, values, other, signed(best["difference"]), error, told))
    columns = ("parameter", "best shape has", "also tried", "best of these", "difference", "95 %", "verdict")
    hidden = f"one by less than {unseen(document):.2g} would not show"
    ending = {
        True: f"No change of one parameter was shown to be better; {hidden}.",
        False: "A change of one parameter is better beyond the error: the search has not found the best shape.",
        None: "The error is not known, so nothing can be said: that takes two or more fresh seeds that do not diverge.",
    }[document["near_optimal"]]
    notes = (
        f"The base LR was tuned anew for each value. Better: p at most {LEVEL:g} by Holm's correction over all values.",
        "The seeds are those that ranked the families, which favours the best shape a little.",
    )
    return Table(f"One parameter at a time{of}", columns, tuple(rows), (*notes, ending))


def unseen(document: Document) -> float:
    """How large a difference must be to stand out: half the width of the 95 % intervals, their median."""
    halves = [
        (point["interval"][1] - point["interval"][0]) / 2
        for sweep in document["sweeps"]
        for point in sweep["points"]
        if point["interval"]
    ]
    return median(halves) if halves else 0.0


def of_settings(documents: Sequence[Document]) -> Table:
    tuned = documents[0]["references"]
    rows = tuple(
        (
            document["setting"],
            best["name"],
            settings(best["searched"]),
            f"{best['base_lr']:.3g}",
            number(best["loss"]),
            number(fmean(best["test_losses"])),
            *(number(named(document, name)["loss"]) for name in tuned),
        )
        for document in documents
        for best in [document["best"]]
    )
    columns = ("setting", "best family", "best shape", "base LR", "fresh seeds", "test loss", *tuned)
    return Table("How the best shape moves", columns, rows, ("Tuned: their loss with fresh seeds.",))


def named(document: Document, name: str) -> Document:
    found: Document = next(each for each in document["families"] if each["name"] == name)
    return found


def settings(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.3g}" for name, value in values.items())
