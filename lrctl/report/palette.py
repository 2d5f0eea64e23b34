"""Which colours stand for what on a page: a family has one, wherever it is drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lrctl.registry.registry import registry
from lrctl.report.drawing import INK, STYLES, Look, look_of

REFERENCE: Look = {"color": INK, "linestyle": "-", "linewidth": 1.2}


class Palette:
    """The looks of the methods of a comparison, the reference in ink, and of all that is called as they are."""

    def __init__(self, methods: Sequence[str] = (), reference: str = "") -> None:
        self.places: dict[str, int] = {}
        self.shown: dict[str, Look] = {}
        self.inked = family_in(reference)
        if reference:
            self.shown[reference] = REFERENCE
        for label in methods:
            if label != reference:
                self.shown[label] = self.look(family_in(label) or label)

    def looks(self, labels: Sequence[str]) -> list[Look]:
        """The look of each series: that of a method or of a family named in the label, else by its place."""
        found: list[Look] = []
        for place, label in enumerate(labels):
            family = family_in(label)
            look = self.shown.get(label) or (self.look(family) if family else look_of(place))
            again = sum(each["color"] == look["color"] for each in found)
            found.append(look | {"linestyle": STYLES[(STYLES.index(look["linestyle"]) + again) % len(STYLES)]})
        return found

    def look(self, name: str) -> Look:
        if name == self.inked:
            return REFERENCE
        return look_of(self.places.setdefault(name, len(self.places)))


def family_in(label: str) -> str:
    """The first family that a label names; empty where it names none."""
    known = registry().names("schedule")
    return next((word for word in re.split(r"[\s,:;()*]+", label) if word in known), "")
