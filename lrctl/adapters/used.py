"""What a function of the user's uses besides what it is given: names of its module, and what its body imports."""

from __future__ import annotations

import dis
from collections.abc import Iterator, Mapping
from itertools import islice
from types import CodeType, ModuleType
from typing import Any

from lrctl.recipe.sources import LRCTL, full_name, installed

GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")


def used(code: CodeType, names: Mapping[str, Any]) -> dict[str, Any]:
    """The values that it takes from its module, by name, and from modules of the user's, as `module.name`."""
    found: dict[str, Any] = {}
    for inner in bodies(code):
        for at, each in enumerate(inner):
            if each.opname in GLOBAL and each.argval in names:
                name, value = each.argval, names[each.argval]
                found[name] = value
                for after in islice(inner, at + 1, None):
                    if after.opname not in ATTRIBUTE or not is_own(value) or after.argval not in vars(value):
                        break
                    name, value = f"{name}.{after.argval}", vars(value)[after.argval]
                    found[name] = value
    return dict(sorted(found.items()))


def imported(code: CodeType, package: str) -> list[str]:
    """Full names of what it imports when it runs; what is taken from a module has a name like a submodule's."""
    found = set()
    for inner in bodies(code):
        base = ""
        for at, each in enumerate(inner):
            if each.opname == "IMPORT_NAME":  # after its level and the names that are taken from it
                base = full_name(each.argval, inner[at - 2].argval, package)
                found.add(base)
            elif each.opname == "IMPORT_FROM":
                found.add(f"{base}.{each.argval}")
    return sorted(found)


def bodies(code: CodeType) -> Iterator[list[dis.Instruction]]:
    """The instructions of a function, and of each function within it."""
    yield [each for each in dis.get_instructions(code) if each.opname != "EXTENDED_ARG"]
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from bodies(inner)


def is_own(value: Any) -> bool:
    """Whether it is a module of the user's: neither installed, nor of lrctl."""
    if not isinstance(value, ModuleType) or value.__name__.partition(".")[0] == LRCTL:
        return False
    place = getattr(value, "__file__", None) or next(iter(getattr(value, "__path__", ())), None)
    return place is not None and not installed(place)
