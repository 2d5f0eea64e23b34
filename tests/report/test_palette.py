"""One colour for a family on the whole page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lrctl.report import figures
from lrctl.report.drawing import COLOURS, INK
from lrctl.report.palette import Palette


def colours(palette: Palette, *labels: str) -> list[str]:
    return [look["color"] for look in palette.looks(labels)]


def test_a_family_has_the_colour_of_its_method_in_every_chart() -> None:
    palette = Palette(["wsd", "semilocal eps=0.5", "cosine", "linear"], "wsd")
    of_methods = colours(palette, "wsd", "semilocal eps=0.5", "cosine", "linear")
    assert of_methods == [INK, *COLOURS[:3]]
    assert colours(palette, "linear", "tuned cosine", "wsd (baseline)") == [COLOURS[2], COLOURS[1], INK]
    assert colours(palette, "rex") == colours(palette, "rex", "step")[:1] == [COLOURS[3]]


def test_methods_of_one_family_are_told_apart_by_their_lines() -> None:
    looks = Palette(["cosine (baseline)", "cosine (shape)", "wsd"], "wsd").looks(
        ["cosine (baseline)", "cosine (shape)"]
    )
    assert looks[0]["color"] == looks[1]["color"]
    assert looks[0]["linestyle"] != looks[1]["linestyle"]


def test_series_that_name_no_family_have_looks_by_their_places() -> None:
    assert colours(Palette(), "seed 0", "seed 1") == list(COLOURS[:2])


def axes_of(*schedules: list[float]) -> Axes:
    """The panel of the LRs of methods with one seed each."""
    methods: list[Any] = []
    for lrs in schedules:
        history = np.array([(0.0, lr) for lr in lrs], dtype=[("loss", "f4"), ("lr", "f8")])
        methods.append(SimpleNamespace(label=str(len(methods)), curves=[SimpleNamespace(history=history)]))
    axes = Figure().subplots()
    looks = Palette().looks([str(i) for i in range(len(schedules))])
    figures.paint_lrs(axes, cast("Any", SimpleNamespace(methods=methods)), looks)
    return axes


def test_lrs_that_span_decades_stand_on_a_logarithmic_axis() -> None:
    ramp = [0.1 * (1 - step / 50) for step in range(51)]
    assert axes_of(ramp).get_yscale() == "linear"
    far = axes_of(ramp, [lr / 1000 for lr in ramp])
    assert far.get_yscale() == "log"
    assert far.get_ylim()[0] > 0
    assert np.isnan(np.asarray(far.lines[0].get_ydata())[-1]), "an LR of 0 is a gap"
