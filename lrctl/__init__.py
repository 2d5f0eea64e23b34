"""lrctl finds a learning-rate schedule for a training run, and hands it over as something the user can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrctl.hookspecs import hookimpl

if TYPE_CHECKING:
    from lrctl.api import load_schedule, load_weights, search

__version__ = "0.1.0"
__all__ = ["__version__", "hookimpl", "load_schedule", "load_weights", "search"]


def __getattr__(name: str) -> Any:
    """The Python API, imported when it is first used: `import lrctl` stays light."""
    if name in ("load_schedule", "load_weights", "search"):
        from lrctl import api

        return getattr(api, name)
    raise AttributeError(f"module 'lrctl' has no attribute '{name}'")
