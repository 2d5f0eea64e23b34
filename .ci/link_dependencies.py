"""Link what a distribution needs, and nothing else, from this environment into another one's site-packages.

    python .ci/link_dependencies.py lrctl /elsewhere/venv

What is not declared as a dependency is missing there, as it is for a user.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def required(name: str) -> Iterator[Distribution]:
    """The distributions that one needs, directly or through another, each once for each set of extras."""
    todo, known = [Requirement(name)], set()
    while todo:
        wanted = todo.pop()
        key = (wanted.name.lower(), frozenset(wanted.extras))
        if key in known:
            continue
        known.add(key)
        found = distribution(wanted.name)
        yield found
        needs = map(Requirement, found.requires or ())
        extras = wanted.extras or {""}
        todo += [x for x in needs if not x.marker or any(x.marker.evaluate({"extra": extra}) for extra in extras)]


def main(name: str, target: str) -> None:
    """Link the top-level files and folders of all that `name` needs; `name` itself is left out."""
    site = Path(sysconfig.get_path("purelib", vars={"base": target, "platbase": target}))
    _, *others = required(name)
    for each in others:
        for top in {file.parts[0] for file in each.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(str(each.locate_file(top)))


main(*sys.argv[1:])
