"""The code of third-party plugins, as part of what decides a result. lrctl's own stands for itself by `NUMERICS`."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType

from lrctl.contracts.schedule import AdaptiveSchedule, family_of
from lrctl.errors import UsageError
from lrctl.recipe.sources import source_of
from lrctl.registry.parts import Part
from lrctl.registry.registry import registry


def code_of(part: Part) -> str:
    """The package that a part comes from, its version, and a digest of the part's source; empty for lrctl's own."""
    package = registry().package(part)
    if package is None:
        return ""
    module = sys.modules.get(getattr(part.target, "__module__", ""))
    if (
        module is None or getattr(module, "__file__", None) is None
    ):  # a part need not be a function or class of Python's
        module = sys.modules[part.plugin]
    return " ".join(filter(None, [package, f"source {source_digest(module)[:16]}"]))


@cache
def source_digest(module: ModuleType) -> str:
    """Digest of a module as it was when it was first asked for: what this process runs."""
    return source_of({module.__name__: Path(str(module.__file__))}, {}).digest


def family_code() -> dict[str, str]:
    """The code of third-party families whose schedules see the run: it decides their LRs, which no key can hold."""
    found: dict[str, str] = {}
    for part in [each for each in registry().load("schedule").values() if registry().package(each) is not None]:
        with suppress(UsageError):  # a broken plugin is set aside
            family: type = registry().get("schedule", part.name).target
            if issubclass(family, AdaptiveSchedule):
                found[family_of(family)] = code_of(part)
    return found
