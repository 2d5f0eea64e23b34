"""The charts of a search for the best shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lrctl.analysis.statistics import LEVEL
from lrctl.contracts.canonical import finite
from lrctl.contracts.chart import Chart, Series, stem
from lrctl_strategies.shape.result import SettingResult
from lrctl_strategies.shape.tables import Document, named

POINTS = 200
"""At how many points of the run a shape is drawn."""

MAPPED = 16
"""How many shapes the heat map shows, the best ones."""


def of_search(searched: SettingResult, document: Document) -> tuple[Chart, ...]:
    best = [(each.space.name, each.shape) for each in searched.ranked]
    drawn = (families(document), overlaid("shapes", "The best shapes", best), ecdf(document), heat(searched))
    return (*drawn, sweeps(document)) if document["sweeps"] else drawn


def of_settings(results: Sequence[SettingResult], documents: Sequence[Document]) -> tuple[Chart, ...]:
    best = [(f"{each.setting.label}: {each.best.space.name}", each.best.shape) for each in results]
    drawn = [losses(documents), overlaid("shapes", "The best shape in each setting", best)]
    for name in dict.fromkeys(each.best.space.name for each in results):
        own = [(each.setting.label, one.shape) for each in results for one in each.ranked if one.space.name == name]
        drawn.append(overlaid(stem(f"shapes-{name}"), f"The best shape of {name} in each setting", own))
    return tuple(drawn)


def overlaid(name: str, title: str, labelled: Sequence[tuple[str, Any]]) -> Chart:
    series = []
    for label, shape in labelled:
        # An update's LR is that of the step's beginning; the value at the end of the run belongs to none.
        at = [i / POINTS * (shape.steps - 1) for i in range(POINTS + 1)]
        series.append(Series(label, tuple(step / shape.steps for step in at), tuple(map(shape, at))))
    told = "The LR over the run as a share of the base LR, which each shape was tuned with."
    return Chart(name, title, "lines", "share of the run", "LR / base LR", told, tuple(series))


def families(document: Document) -> Chart:
    each = document["families"]
    told = "The median over fresh seeds with its 95 % bootstrap interval, best first. Tuned: on the family's own grid."
    series = (with_intervals("fresh seeds", each),)
    ticks = tuple(family["name"] for family in each)
    return Chart("families", "Families, best first", "points", "", "loss", told, series, ticks=ticks)


def with_intervals(name: str, families: Sequence[Document]) -> Series:
    place = tuple(map(float, range(len(families))))
    low, high = (tuple(each["interval"][i] if each["interval"] else None for each in families) for i in (0, 1))
    return Series(name, place, tuple(finite(each["loss"]) for each in families), low, high)


def ecdf(document: Document) -> Chart:
    series = []
    for name in dict.fromkeys(each["family"] for each in document["shapes"]):
        scores = [each["score"] for each in document["shapes"] if each["family"] == name]
        good = sorted(score for score in scores if math.isfinite(score))
        share = [(i + 1) / len(scores) for i in range(len(good))]
        half = band(len(scores))
        low, high = tuple(max(0.0, y - half) for y in share), tuple(min(1.0, y + half) for y in share)
        if name in document["references"]:
            low = high = ()  # a grid is no random sample
        if good:
            series.append(Series(name, tuple(good), tuple(share), low, high))
    told = (
        "The share of the shapes of a family whose score, at their best base LR, is at most so much. Further left is "
        "better. The 95 % bands of Dvoretzky, Kiefer, Wolfowitz and Massart are in charts.csv."
    )
    title = "Scores of all shapes"
    return Chart("ecdf", title, "steps", "score", "share of shapes", told, tuple(series))


def heat(searched: SettingResult) -> Chart:
    trials, seeds = searched.trials, searched.seeds
    scored = [(trials.rated(shape, seeds), name, shape) for name, each in searched.shapes.items() for shape in each]
    best = sorted((each for each in scored if math.isfinite(each[0].loss)), key=lambda each: each[0].loss)[:MAPPED]
    lrs = sorted({lr for _, _, shape in best for lr, of in trials.losses[shape].items() if of.keys() & set(seeds)})
    cells = tuple(tuple(trials.median_at(shape, lr, seeds) for lr in lrs) for _, _, shape in best)
    rows = tuple(f"{place}. {name}" for place, (_, name, _) in enumerate(best, 1))
    told = f"The median loss of the {len(best)} best shapes at each base LR; blank where it diverged or was not tried."
    columns = tuple(f"{lr:.3g}" for lr in lrs)
    return Chart("heat", "Base LR and shape", "heat", "base LR", "", told, cells=cells, rows=rows, columns=columns)


def sweeps(document: Document) -> Chart:
    series = []
    for each in document["sweeps"]:
        at = sorted((point["value"], finite(point["loss"])) for point in [*each["points"], each])
        series.append(Series(each["parameter"], tuple(x for x, _ in at), tuple(y for _, y in at)))
    told = "The median loss with fresh seeds as one parameter of the best shape varies, with the base LR tuned anew."
    x = series[0].label if len(series) == 1 else "value of the parameter"
    return Chart("sweeps", "One parameter at a time", "lines", x, "loss", told, tuple(series))


def losses(documents: Sequence[Document]) -> Chart:
    best = [each["best"] for each in documents]
    tuned = {name: [named(each, name) for each in documents] for name in documents[0]["references"]}
    series = tuple(with_intervals(name, in_each) for name, in_each in {"best shape": best, **tuned}.items())
    told = "The median over fresh seeds with its 95 % bootstrap interval, in each setting."
    ticks = tuple(each["setting"] for each in documents)
    return Chart("settings", "Loss in each setting", "lines", "", "loss", told, series, ticks=ticks)


def band(n: int) -> float:
    """Half the height of the 95 % band around an empirical distribution function of n values.

    sqrt(ln(2 / alpha) / (2 n)), by the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant.

    >>> round(band(100), 4)
    0.1358
    """
    return math.sqrt(math.log(2 / LEVEL) / (2 * n))
