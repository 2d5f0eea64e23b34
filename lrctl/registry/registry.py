"""The registry: plugins found by entry point, and the parts they register."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass, field, is_dataclass
from functools import cache, cached_property, partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any

import pluggy

from lrctl.errors import UsageError, unknown
from lrctl.registry import hookspecs

KINDS = {"strategy": "strategies", "schedule": "schedules", "workload": "workloads", "executor": "executors"}
"""Each kind of part, and its plural in the name of the hook that registers it."""

MARKS = {
    "strategy": {"reference": "what it finds is what other methods are compared with"},
    "schedule": {"reference": "the family that other methods are compared with"},
    "workload": {},
    "executor": {
        "in_process": "jobs run one after another in lrctl's own process",
        "parallel": "takes `workers`, processes on this machine that run jobs at the same time",
    },
}
"""What a part of a kind may say of itself, so that lrctl need not know any part by its name."""

STRING = re.compile(r"[\w.]+:[\w.]+")
"""A part that is imported when it is first used: "module:name"."""


class PluginWarning(UserWarning):
    """A third-party plugin could not be used; everything else goes on."""


class TakenError(UsageError):
    """Two plugins register a part of the same kind and name: neither can be preferred."""


@dataclass(frozen=True)
class Part:
    """Something registered. What was registered as a string, "module:name", is imported when it is first asked for.

    Attributes:
        kind: one of `KINDS`.
        plugin: the module that registered it.
        marks: those of `MARKS[kind]` that it was registered with.
    """

    kind: str
    name: str
    plugin: str
    help: str
    registered: Any
    registered_params: Any = None
    marks: frozenset[str] = frozenset()

    @cached_property
    def target(self) -> Any:
        """The strategy, the schedule family, or the function that builds the part.

        Raises:
            TypeError: it is none. Whatever its import raises.
        """
        found = resolved(self.registered)
        if self.kind == "schedule" and not dataclass_type(found):
            raise TypeError(f"schedule '{self.name}': the family must be a dataclass, got {found!r}")
        if not callable(found):
            raise TypeError(
                f"{self.kind} '{self.name}': must be something that can be called, or its 'module:name', got {found!r}"
            )
        return found

    @cached_property
    def params(self) -> Any:
        """The dataclass of its parameters, or None.

        Raises:
            TypeError: it is no dataclass. Whatever its import raises.
        """
        found = resolved(self.registered_params)
        if found is not None and not dataclass_type(found):
            raise TypeError(f"{self.kind} '{self.name}': params must be a dataclass, got {found!r}")
        return found

    def check(self) -> None:
        """Import the part and its parameters; whatever that raises, the part cannot be used."""
        _ = self.target, self.params


def resolved(registered: Any) -> Any:
    """What "module:name" names; everything else is itself."""
    from pkgutil import resolve_name

    return resolve_name(registered) if isinstance(registered, str) and STRING.fullmatch(registered) else registered


def dataclass_type(found: Any) -> bool:
    """Whether something is a dataclass, and not an instance of one."""
    return isinstance(found, type) and is_dataclass(found)


@dataclass(slots=True)
class Registry:
    """All parts by kind and name, the packages of plugins, and the plugins that are broken with the reason.

    A kind's registration hooks are called when the kind is first asked for: `lrctl --help` needs strategies only.
    """

    manager: pluggy.PluginManager
    parts: dict[str, dict[str, Part]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    packages: dict[str, Distribution | None] = field(default_factory=dict)

    def package(self, part: Part) -> str | None:
        """Name and version of the package that a part comes from: None for lrctl's own, empty where nothing tells."""
        package = self.packages.get(part.plugin)
        return "" if package is None else name_and_version(package)

    def get(self, kind: str, name: str, where: str = "") -> Part:
        """The part of that kind and name.

        Raises:
            UsageError: there is none, and names the nearest; or it cannot be used.
        """
        parts = self.load(kind)
        if name not in parts:
            raise unknown(kind, name, parts, where)
        part = parts[name]
        try:
            part.check()
        except (Exception, SystemExit) as error:
            raise self.unusable(part, error) from error
        return part

    def of(self, kind: str) -> list[Part]:
        """All parts of a kind that can be used, in the order of registration. Imports them all."""
        for part in list(self.load(kind).values()):
            try:
                part.check()
            except (Exception, SystemExit) as error:
                self.set_aside(part.plugin, error)
        return list(self.load(kind).values())

    def names(self, kind: str) -> list[str]:
        """The names of a kind's parts, in the order of registration. Imports none of them."""
        return list(self.load(kind))

    def marked(self, kind: str, mark: str) -> list[str]:
        """The names of the parts of a kind that are registered with a mark, the built-in ones first. Imports none."""
        return [part.name for part in self.load(kind).values() if mark in part.marks]

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
                except (Exception, SystemExit) as error:
                    self.set_aside(name, error)
        return self.parts[kind]

    def unusable(self, part: Part, error: BaseException) -> UsageError:
        """Set the plugin of a part that was asked for aside, and say why it cannot be used."""
        self.set_aside(part.plugin, error)
        return UsageError(f"{part.kind} '{part.name}' cannot be used: its plugin {part.plugin} is broken")

    def set_aside(self, plugin: str, error: BaseException) -> None:
        """Record a broken plugin, forget its parts and hooks, and warn once, with what to do."""
        from multiprocessing import parent_process

        if plugin in self.broken:
            return
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
        family = type(schedule)
        spelt = (family, f"{family.__module__}:{family.__qualname__}")
        # The others are imported only where a family may be registered under another module's name.
        likely = [part for part in self.load("schedule").values() if part.registered in spelt]
        for part in likely or self.of("schedule"):
            if part.target is family:
                return part.name
        raise UsageError(f"schedule family {family.__name__} is not registered; register it in register_schedules")

    def add(
        self,
        kind: str,
        plugin: str,
        target: Any,
        *,
        name: str,
        help: str,  # noqa: A002
        params: Any = None,
        **marks: bool,
    ) -> None:
        """Take a part in: what a plugin calls as `register`. What is given as a string is not imported yet.

        Raises:
            TypeError: the part is malformed.
            TakenError: its kind and name are taken; names both plugins.
        """
        if unknown_marks := marks.keys() - MARKS[kind]:
            raise TypeError(f"{kind} '{name}': register() got an unexpected argument '{min(unknown_marks)}'")
        marked = frozenset(mark for mark, value in marks.items() if value)
        part = Part(kind, name, plugin, help, target, params, marked)
        if not any(isinstance(each, str) and STRING.fullmatch(each) for each in (target, params)):
            part.check()
        if taken := self.parts[kind].get(name):
            raise TakenError(
                f"{kind} '{name}' is registered by plugin {taken.plugin} and by plugin {plugin}; "
                "remove one, or restrict what is loaded with LRCTL_PLUGINS"
            )
        self.parts[kind][name] = part


@cache
def name_and_version(package: Distribution) -> str | None:
    """Those of an installed package, read from its metadata once; None for lrctl itself."""
    return None if package.name == hookspecs.PROJECT else f"{package.name} {package.version}"


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
            manager.register(entry.load(), name=entry.module)
            found.packages[entry.module] = entry.dist
        except (Exception, SystemExit) as error:
            found.set_aside(entry.module, error)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise UsageError(str(error)) from error
    return found


def wanted(restriction: str | None) -> list[EntryPoint]:
    """The entry points to load, the built-in ones first."""
    found = entry_points(group=hookspecs.PROJECT)
    # Each name is read from a package's metadata: once a package, not once an entry.
    own = {dist for dist in {entry.dist for entry in found} if dist is not None and dist.name == hookspecs.PROJECT}
    entries = sorted(found, key=lambda entry: (entry.dist not in own, entry.name))
    if restriction is None:
        return entries
    names = {name.strip() for name in restriction.split(",") if name.strip()}
    for name in sorted(names - {word for entry in entries for word in (entry.name, entry.module)}):
        raise unknown("plugin", name, (e.name for e in entries if e.dist not in own), where=f"LRCTL_PLUGINS: {name}")
    return [entry for entry in entries if entry.dist in own or names & {entry.name, entry.module}]
