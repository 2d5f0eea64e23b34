"""Telling observers what happens."""

from __future__ import annotations

import warnings
from typing import Any

from lrctl.registry.registry import PluginWarning, registry


def notify(hook: str, **arguments: Any) -> None:
    """Call a hook of all observers; one that fails is a warning, never the end of a search."""
    try:
        getattr(registry().manager.hook, hook)(**arguments)
    except Exception as error:
        warnings.warn(f"an observer of {hook} failed: {type(error).__name__}: {error}", PluginWarning, stacklevel=2)
