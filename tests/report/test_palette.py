"""One colour for a family on the whole page."""

from __future__ import annotations

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
