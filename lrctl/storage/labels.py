"""Words that a user gives to runs, to ask for them together. They decide no result."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lrctl.errors import UsageError
from lrctl.storage.store import Store

FILE = "labels.json"

LABEL = re.compile(r"\w[\w.+-]*")


def labels(place: Store, name: str) -> list[str]:
    """The labels of a run, sorted; none where nothing can be read."""
    found = (place.read_signed(f"{place.runs.folder(name)}/{FILE}") or {}).get("labels")
    return sorted(filter(LABEL.fullmatch, map(str, found))) if isinstance(found, list) else []


def label(place: Store, name: str, new: Iterable[str]) -> None:
    """Add labels to a run, unless it was taken away."""
    added = {*new} - {*(known := labels(place, name))}
    if added and name in place.runs.names():
        place.write_signed(f"{place.runs.folder(name)}/{FILE}", {"labels": sorted(added.union(known))})


def check_label(text: str) -> str:
    """The label itself.

    Raises:
        UsageError: it is none, or would be taken for something else where runs are asked for.
    """
    if not LABEL.fullmatch(text) or text == "latest" or text.endswith(".json"):
        raise UsageError(
            f"--label {text!r}: must be a word of letters, digits, '_', '.', '+' and '-', and neither 'latest' nor the "
            "name of a file"
        )
    return text
