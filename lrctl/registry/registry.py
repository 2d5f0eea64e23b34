"""The registry: plugins found by entry point, and the parts they register."""

from __future__ import annotations

import os
import threading
import traceback
import warnings
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any

import pluggy

from lrctl.errors import UsageError, unknown
from lrctl.registry import hookspecs
from lrctl.registry.imports import SLOW, Imported
from lrctl.registry.parts import KINDS, Part


class PluginWarning(UserWarning):
    """A third-party plugin could not be used, or takes long to import; everything else goes on."""


class TakenError(UsageError):
    """Two plugins register a part of the same kind and name: neither can be preferred."""


@dataclass(slots=True)
class Registry:
    """All parts by kind and name, the packages of plugins, and the plugins that are broken with the reason.

    A kind's registration hooks are called when the kind is first asked for: `lrctl --help` needs strategies only.

    Attributes:
        imported: what each plugin took to be imported and to register its parts.
        own: the plugins that come with lrctl.
        lock: held while parts are registered and imported, so that no thread finds half of them.
    """

    manager: pluggy.PluginManager
    parts: dict[str, dict[str, Part]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    packages: dict[str, Distribution | None] = field(default_factory=dict)
    imported: dict[str, Imported] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)

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
            self.check(part)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self.unusable(part, error) from error
        return part

    def of(self, kind: str) -> list[Part]:
        """All parts of a kind that can be used, in the order of registration. Imports them all."""
        for part in list(self.load(kind).values()):
            try:
                self.check(part)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
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
        with self.lock:
            if kind not in self.parts:
                self.parts[kind] = {}
                try:
                    self.register(kind)
                except BaseException:
                    del self.parts[kind]  # half of them are none
                    raise
            return self.parts[kind]

    def register(self, kind: str) -> None:
        """Have each plugin register its parts of a kind."""
        plugins = self.manager.list_name_plugin()
        for name, plugin in plugins:
            others = [other for _, other in plugins if other is not plugin]
            hook = self.manager.subset_hook_caller(f"register_{KINDS[kind]}", others)
            self.run(name, partial(hook, register=partial(self.add, kind, name)))

    def check(self, part: Part) -> None:
        """Import a part; whatever that raises, it cannot be used."""
        with self.lock:
            part.check()

    def run(self, plugin: str, code: Any) -> None:
        """Call code by which a plugin is imported or registers its parts; one that fails is set aside."""
        imported = self.imported.setdefault(plugin, Imported())
        before = imported.seconds
        try:
            with imported.measured():
                code()
        except (TakenError, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.set_aside(plugin, error)
        else:
            if before <= SLOW < imported.seconds and plugin not in self.own:
                warn(f"plugin {plugin} takes long to import: {imported}; import what is heavy inside of functions")

    def unusable(self, part: Part, error: BaseException) -> UsageError:
        """Set the plugin of a part that was asked for aside, and say why it cannot be used."""
        self.set_aside(part.plugin, error)
        return UsageError(f"{part} cannot be used: its plugin {part.plugin} is broken")

    def set_aside(self, plugin: str, error: BaseException) -> None:
        """Record a broken plugin, forget its parts and hooks, and warn once, with what to do."""
        with self.lock:
            if plugin in self.broken:
                return
            self.broken[plugin] = " ".join(f"{type(error).__name__}: {error}".split())
            if self.manager.has_plugin(plugin):
                self.manager.unregister(name=plugin)
            for kind, parts in self.parts.items():
                self.parts[kind] = {name: part for name, part in parts.items() if part.plugin != plugin}
        warn(
            f"plugin {plugin} is not used: {self.broken[plugin]}; update or uninstall it, "
            "or leave it out with LRCTL_PLUGINS"
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

    def plugin_of(self, error: BaseException) -> str:
        """The plugin, other than lrctl's own, in whose code an exception was last; empty if it was in none."""
        parts = [part for kind in self.parts.values() for part in kind.values()]
        packages = {name.partition(".")[0]: name for name in self.imported}
        packages |= {package: part.plugin for part in parts for package in part.packages}
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        places = (str(frame.f_globals.get("__name__", "")).partition(".")[0] for frame in reversed(frames))
        found = next((packages[place] for place in places if place in packages), "")
        return "" if found in self.own else found

    def add(
        self,
        kind: str,
        plugin: str,
        target: Any,
        *,
        name: str,
        help: str,  # noqa: A002
        params: Any = None,
        example: str = "",
        **marks: bool,
    ) -> None:
        """Take a part in: what a plugin calls as `register`. What is given as a string is not imported yet.

        Raises:
            TypeError: the part is malformed, or the plugin has registered one of that kind and name.
            TakenError: another plugin has; names both.
        """
        taken = self.parts[kind].get(name)
        if taken and taken.plugin == plugin:
            raise TypeError(f"{taken} is registered twice")
        if taken:
            raise TakenError(
                f"{taken} is registered by plugin {taken.plugin} and by plugin {plugin}; "
                "remove one, or restrict what is loaded with LRCTL_PLUGINS"
            )
        marked = frozenset(mark for mark, value in marks.items() if value)
        self.parts[kind][name] = Part(kind, name, plugin, help, target, params, marked, example)


@cache
def name_and_version(package: Distribution) -> str | None:
    """Those of an installed package, read from its metadata once; None for lrctl itself."""
    return None if package.name == hookspecs.PROJECT else f"{package.name} {package.version}"


def warn(message: str) -> None:
    """Warn of a plugin, but for workers of a process that has warned."""
    from multiprocessing import parent_process

    if parent_process() is None:
        warnings.warn(message, PluginWarning, stacklevel=3)


class Once:
    """A function without arguments, whose result is kept; threads that call it at the same time get the same one."""

    def __init__(self, function: Any) -> None:
        self.kept = cache(function)
        self.lock = threading.RLock()
        self.__doc__ = function.__doc__

    def __call__(self) -> Registry:
        """The result, made at the first call."""
        with self.lock:
            found: Registry = self.kept()
            return found

    def cache_clear(self) -> None:
        """Forget the result."""
        self.kept.cache_clear()


@Once
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
    for entry, own in wanted(os.environ.get("LRCTL_PLUGINS")):
        found.own |= {entry.value} if own else set()
        if entry.value not in found.imported:  # two entries may name the same plugin
            found.run(entry.value, partial(adopt, manager, entry))
            found.packages[entry.value] = entry.dist
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise UsageError(str(error)) from error
    return found


def adopt(manager: pluggy.PluginManager, entry: EntryPoint) -> None:
    """Import a plugin and take its hooks in."""
    manager.register(entry.load(), name=entry.value)


def wanted(restriction: str | None) -> list[tuple[EntryPoint, bool]]:
    """The entry points to load and whether they are lrctl's own, which are the first."""
    found = entry_points(group=hookspecs.PROJECT)
    # Each name is read from a package's metadata: once a package, not once an entry.
    own = {dist for dist in {entry.dist for entry in found} if dist is not None and dist.name == hookspecs.PROJECT}
    entries = sorted(((e, e.dist in own) for e in found), key=lambda pair: (not pair[1], pair[0].name))
    if restriction is None:
        return entries
    names = {name.strip() for name in restriction.split(",") if name.strip()}
    for name in sorted(names - {word for entry, _ in entries for word in (entry.name, entry.module)}):
        raise unknown("plugin", name, (e.name for e, own in entries if not own), where=f"LRCTL_PLUGINS: {name}")
    return [(entry, own) for entry, own in entries if own or names & {entry.name, entry.module}]
