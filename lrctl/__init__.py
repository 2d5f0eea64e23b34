"""lrctl finds a learning-rate schedule for a training run, and hands it over as something the user can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrctl._version import __version__
from lrctl.registry.hookspecs import hookimpl

if TYPE_CHECKING:
    from lrctl.api import load_schedule, load_weights, search, unpack_checkpoint

__all__ = ["__version__", "hookimpl", "load_schedule", "load_weights", "search", "unpack_checkpoint"]


def __getattr__(name: str) -> Any:
    """The Python API, imported when it is first used: `import lrctl` stays light."""
    if name in ("load_schedule", "load_weights", "search", "unpack_checkpoint"):
        from lrctl import api

        return getattr(api, name)
    raise AttributeError(f"module 'lrctl' has no attribute '{name}'")
