"""lrctl finds a learning-rate schedule for a training run, and hands it over as something the user can use."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lrctl._version import __version__
from lrctl.registry.hookspecs import hookimpl

if TYPE_CHECKING:
    from lrctl.api import compare, export, load_schedule, load_weights, report, search, unpack_checkpoint, workload

__all__ = [
    "__version__",
    "compare",
    "export",
    "hookimpl",
    "load_schedule",
    "load_weights",
    "report",
    "search",
    "unpack_checkpoint",
    "workload",
]


class _Face(ModuleType):
    """This package: `lrctl.report` and `lrctl.export` are functions, though two of its rooms have these names too.

    Python would put a room there once it is imported; `import lrctl.report.page` and the like work all the same.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __getattr__(name: str) -> Any:
    """The Python API, imported when it is first used: `import lrctl` stays light."""
    if name in __all__:
        from lrctl import api

        return getattr(api, name)
    raise AttributeError(f"module 'lrctl' has no attribute '{name}'")


def __dir__() -> list[str]:
    """The API, and no room: what the rooms hold is no public interface."""
    return __all__
