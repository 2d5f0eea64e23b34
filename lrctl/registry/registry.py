"""The registry: plugins found by entry point, and the parts they register."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field, is_dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from lrctl.errors import UsageError, unknown
from lrctl.registry import hookspecs

KINDS = {"strategy": "strategies", "schedule": "schedules", "workload": "workloads", "executor": "executors"}
"""Each kind of part, and its plural in the name of the hook that registers it."""


class PluginWarning(UserWarning):
    """A third-party plugin could not be used; everything else goes on."""


class TakenError(UsageError):
    """Two plugins register a part of the same kind and name: neither can be preferred."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something registered: `target` is the strategy, the schedule family, or the function that builds the part."""

    kind: str
    name: str
    plugin: str
    help: str
    target: Any
    params: Any = None
    in_process: bool = False


@dataclass(slots=True)
class Registry:
    """All parts by kind and name, and the plugins that are broken with the reason.

    A kind's registration hooks are called when the kind is first asked for: `lrctl --help` needs strategies only.
    """

    manager: pluggy.PluginManager
    parts: dict[str, dict[str, Part]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def get(self, kind: str, name: str, where: str = "") -> Part:
        """The part of that kind and name.

        Raises:
            UsageError: there is none; names the nearest.
        """
        parts = self.load(kind)
        if name not in parts:
            raise unknown(kind, name, parts, where)
        return parts[name]

    def of(self, kind: str) -> list[Part]:
        """All parts of a kind, in the order of registration."""
        return list(self.load(kind).values())

    def load(self, kind: str) -> dict[str, Part]:
        """The parts of a kind by name, registered at the first call.

        Each plugin's hook is called alone, so that a fault is known to be its own.
        """
        if kind not in self.parts:
            self.parts[kind] = {}
            plugins = self.manager.list_name_plugin()
            for name, plugin in plugins:
                others = [other for _, other in plugins if other is not plugin]
                hook = self.manager.subset_hook_caller(f"register_{KINDS[kind]}", others)
                try:
                    hook(register=partial(self.add, kind, name))
                except TakenError:
                    raise
                except Exception as error:
                    self.set_aside(name, error)
        return self.parts[kind]

    def set_aside(self, plugin: str, error: Exception) -> None:
        """Record a broken plugin, forget its parts and hooks, and warn once, with what to do."""
        from multiprocessing import parent_process

        self.broken[plugin] = " ".join(f"{type(error).__name__}: {error}".split())
        if self.manager.has_plugin(plugin):
            self.manager.unregister(name=plugin)
        for kind, parts in self.parts.items():
            self.parts[kind] = {name: part for name, part in parts.items() if part.plugin != plugin}
        if parent_process() is not None:
            return  # a worker of a process that has warned
        warnings.warn(
            f"plugin {plugin} is not used: {self.broken[plugin]}; update or uninstall it, "
            "or leave it out with LRCTL_PLUGINS",
            PluginWarning,
            stacklevel=2,
        )

    def family(self, schedule: object) -> str:
        """The registered name of a schedule's family.

        Raises:
            UsageError: its class is not registered.
        """
        for part in self.of("schedule"):
            if part.target is type(schedule):
                return part.name
        raise UsageError(
            f"schedule family {type(schedule).__name__} is not registered; register it in register_schedules"
        )

    def add(
        self,
        kind: str,
        plugin: str,
        target: Any,
        *,
        name: str,
        help: str,  # noqa: A002
        params: Any = None,
        in_process: bool = False,
    ) -> None:
        """Take a part in: what a plugin calls as `register`.

        Raises:
            TypeError: the part is malformed.
            TakenError: its kind and name are taken; names both plugins.
        """
        if params is not None and not (isinstance(params, type) and is_dataclass(params)):
            raise TypeError(f"{kind} '{name}': params must be a dataclass, got {params!r}")
        if kind == "schedule" and not (isinstance(target, type) and is_dataclass(target)):
            raise TypeError(f"schedule '{name}': the family must be a dataclass, got {target!r}")
        if not callable(target):
            raise TypeError(f"{kind} '{name}': must be something that can be called, got {target!r}")
        if taken := self.parts[kind].get(name):
            raise TakenError(
                f"{kind} '{name}' is registered by plugin {taken.plugin} and by plugin {plugin}; "
                "remove one, or restrict what is loaded with LRCTL_PLUGINS"
            )
        self.parts[kind][name] = Part(kind, name, plugin, help, target, params, in_process)


@cache
def registry() -> Registry:
    """The registry of this process, loaded once.

    Built-in plugins always load. `LRCTL_PLUGINS`, a comma list of entry points or modules, restricts the others;
    empty means none of them. A plugin that cannot be loaded is one warning and a row in `broken`.

    Raises:
        UsageError: a hook's name is misspelt.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    found = Registry(manager)
    for entry in wanted(os.environ.get("LRCTL_PLUGINS")):
        try:
            manager.register(entry.load(), name=module_name(entry))
        except Exception as error:
            found.set_aside(module_name(entry), error)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise UsageError(str(error)) from error
    return found


def wanted(restriction: str | None) -> list[EntryPoint]:
    """The entry points to load, the built-in ones first."""
    entries = sorted(entry_points(group=hookspecs.PROJECT), key=lambda e: (not built_in(e), e.name))
    if restriction is None:
        return entries
    names = {name.strip() for name in restriction.split(",") if name.strip()}
    for name in sorted(names - {word for entry in entries for word in (entry.name, module_name(entry))}):
        raise unknown("plugin", name, (e.name for e in entries if not built_in(e)), where=f"LRCTL_PLUGINS: {name}")
    return [entry for entry in entries if built_in(entry) or names & {entry.name, module_name(entry)}]


def built_in(entry: EntryPoint) -> bool:
    """Whether the entry point is one of lrctl's own."""
    return entry.dist is not None and entry.dist.name == hookspecs.PROJECT


def module_name(entry: EntryPoint) -> str:
    """A plugin's name for people: the module it imports."""
    return entry.module
