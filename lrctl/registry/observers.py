"""Telling observers what happens."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from lrctl.registry.registry import PluginWarning, registry


def notify(hook: str, **arguments: Any) -> None:
    """Call a hook of each observer with copies of its own; one that fails is a warning, never the end of a search."""
    manager = registry().manager
    plugins = manager.list_name_plugin()
    observers = {seen.plugin_name: seen.plugin for seen in getattr(manager.hook, hook).get_hookimpls()}
    for name, observer in observers.items():
        others = [plugin for _, plugin in plugins if plugin is not observer]
        try:
            manager.subset_hook_caller(hook, others)(**copied(arguments))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            message = f"plugin {name}: its observer {hook} failed: {type(error).__name__}: {error}"
            warnings.warn(message, PluginWarning, stacklevel=2)


def copied(value: Any) -> Any:
    """A copy, in which nothing can be changed that belongs to someone else.

    The objects of plugins are not copied, such as schedules, which are frozen, and workloads, which hold data.
    """
    if isinstance(value, Mapping):
        return {name: copied(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(copied, value))
    if is_dataclass(value) and type(value).__module__.startswith("lrctl."):
        # What an object has worked out for itself, such as the LRs of a job, stays behind.
        return replace(value, **{f.name: copied(getattr(value, f.name)) for f in fields(value)})  # type: ignore[type-var]
    return value
