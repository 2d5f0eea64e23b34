"""Workloads that are objects of this process: named by the file that holds them, or kept here under their digest."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.adapters.parts import Parts
from lrctl.adapters.workload import workload as workload_of
from lrctl.errors import UsageError, unknown
from lrctl.recipe.classes import class_name, written
from lrctl.recipe.schema import Choice, Recipe
from lrctl.registry.registry import registry
from lrctl.registry.values import build

if TYPE_CHECKING:
    from lrctl.adapters.from_parts import FromParts

HELD: dict[str, FromParts] = {}
"""By digest. What was asked for once is kept: a search may go on with it."""

SOURCE = """
from lrctl.adapters.held import held

workload = held("{digest}")
"""


def named(workload: Any, parts: Mapping[str, Any], arguments: Iterable[str]) -> tuple[str | None, bool]:
    """The name of what `lrctl.search` is given, and whether only this process can find it.

    Args:
        workload: as it was given.
        parts: what was given by other names than `arguments`, those that the search has.
        arguments: names that may have been meant.

    Raises:
        UsageError: a workload and parts are given, or parts of which none can be made.
    """
    known = inspect.signature(workload_of).parameters
    for name in parts.keys() - known.keys():
        raise unknown("argument", name, [*arguments, *known], "lrctl.search")
    if parts and workload is not None:
        raise UsageError(f"lrctl.search: workload: {', '.join(parts)} are given beside it; give the one or the other")
    if parts:
        workload = from_parts(parts)
    if workload is None or isinstance(workload, str):
        return workload, False
    if isinstance(workload, type):
        return class_name(workload), False
    if not isinstance(getattr(workload, "parts", None), Parts):
        raise UsageError(
            f"lrctl.search: workload: must be a name, a class or what lrctl.workload returns, got a "
            f"{type(workload).__name__}; give its class"
        )
    file = file_of(workload)
    return file or hold(workload), file is None


def from_parts(parts: Mapping[str, Any]) -> FromParts:
    try:
        inspect.signature(workload_of).bind(**parts)
    except TypeError as error:
        raise UsageError(f"lrctl.search: {error}; help(lrctl.workload) tells the parts of a workload") from error
    return workload_of(**parts)


def in_this_process(recipe: Recipe) -> Recipe:
    """A recipe whose jobs run in this process, one after another."""
    serial, *others = registry().marked("executor", "in_process")
    if recipe.executor.name in (serial, *others):
        return recipe
    warnings.warn(
        "lrctl.search: the parts are objects of this process, which no other can be given: jobs run here, one after "
        "another; they run side by side with workload = lrctl.workload(...) at the top of a module",
        stacklevel=4,  # of the caller: the search is decorated
    )
    return replace(recipe, executor=Choice(serial, build(registry().get("executor", serial).params, {}, serial)))


def file_of(workload: FromParts) -> str | None:
    """A workload as `file.py:name`, where it stands at the top of a module that is a file."""
    for module in sorted(sys.modules.values(), key=lambda module: module is sys.modules["__main__"]):  # its own first
        file = getattr(module, "__file__", None)
        if file and file.endswith(".py") and Path(file).is_file():
            for name, value in vars(module).items():
                if value is workload:
                    return f"{Path(file).resolve()}:{name}"
    return None


def hold(workload: FromParts) -> str:
    """Keep a workload in this process; returns a `file.py:workload` that finds it there.

    The file is identified by the digest of all parts, so that the same parts are the same search in another process.
    """
    from lrctl.adapters.fingerprint import fingerprint

    digest = fingerprint(workload.parts, "lrctl.workload")
    HELD[digest] = workload
    return f"{written(SOURCE.format(digest=digest))}:workload"


def held(digest: str) -> Any:
    """The workload that this process keeps under a digest."""
    if digest not in HELD:
        raise UsageError(
            "the objects that were given to lrctl.search live in the process that gave them; give them again there, or "
            "put them into a file"
        )
    return HELD[digest]
