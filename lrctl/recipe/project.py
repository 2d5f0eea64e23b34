"""The user's own modules: run as their files are now, and kept apart from other projects and from this program.

A module has the name that it has in the user's own scripts, so that a process which the user's code starts, such as a
worker of a data loader, can import it. While a project is at work, Python finds its modules and looks in its folder;
before and after, it finds what it found without.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from lrctl.errors import UsageError
from lrctl.recipe.sources import LRCTL, Source, installed, places, relative_depth, source_of
from lrctl.registry.registry import registry

LOADED: deque[Project] = deque(maxlen=8)
"""The projects that were asked for last, the newest first; a file that was changed is another project."""


@dataclass(eq=False)
class Project:
    """The modules that running a file of the user's brings in.

    Attributes:
        name: the file's module, with the packages that it lies in.
        folder: where these, or the file, are found.
        ran: digests of what was run, by module; once loaded, of all that the file depends on.
        imported: the files of the modules that loading it brought in.
        classes: of its workloads.
    """

    path: Path
    name: str
    folder: Path
    ran: dict[str, str] = field(default_factory=dict)
    imported: dict[str, Path] = field(default_factory=dict)
    modules: dict[str, ModuleType] = field(default_factory=dict)
    search_path: list[str] = field(default_factory=list)
    classes: set[type] = field(default_factory=set)
    digest: str = ""

    def load(self) -> None:
        importlib.invalidate_caches()
        with self.active():
            importlib.import_module(self.name)
            files = {name: Path(str(sys.modules[name].__file__)) for name in self.ran if name in sys.modules}
            self.imported = {self.name: self.path} | files
            source = self.source(self.ran)
        self.ran |= source.modules
        self.digest = source.digest

    def source(self, ran: Mapping[str, str]) -> Source:
        return source_of({name: path for name, path in self.imported.items() if path.is_file()}, ran)

    def is_current(self) -> bool:
        """Whether the files still hold what was run."""
        with self.active():
            return self.path.is_file() and self.source({}).digest == self.digest

    @contextmanager
    def active(self) -> Iterator[None]:
        """Have Python find this project's modules, for the length of a block."""
        if self in sys.meta_path:
            yield
            return
        before, hidden = sys.path[:], own_modules() | self.namesakes()
        swap(hidden, self.modules)
        beside = [str(self.path.parent)] if self.path.parent != self.folder else []
        sys.path[:] = self.search_path or [str(self.folder), *before, *beside]
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            self.modules, self.search_path = own_modules(), sys.path[:]
            swap(self.modules, hidden)
            sys.path[:] = before

    def namesakes(self) -> dict[str, ModuleType]:
        """Whatever else has the name of the file's module, or of a package that it lies in."""
        parts = self.name.split(".")
        names = {".".join(parts[: n + 1]) for n in range(len(parts))}
        return {name: sys.modules[name] for name in names if name in sys.modules}

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Where a module is, asked by Python before all others."""
        if name == self.name:
            spec = spec_from_file_location(name, self.path)
        elif name.partition(".")[0] in never_own():
            return None
        else:
            others = [finder for finder in sys.meta_path if not isinstance(finder, Project)]
            specs = (finder.find_spec(name, path, target) for finder in others)
            spec = next((spec for spec in specs if spec is not None), None)
        own = name == self.name or (spec and not installed(str(spec.origin)))
        if own and spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = FromSource(name, str(spec.origin), self.ran)
        return spec


class FromSource(SourceFileLoader):
    """Runs what a file holds, and notes its digest.

    Python's own loader takes a file for unchanged that was written within a second and is as long as before.
    """

    def __init__(self, name: str, path: str, ran: dict[str, str]) -> None:
        super().__init__(name, path)
        self.ran = ran

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path)
        found = hashlib.sha256(source).hexdigest()
        if self.ran.setdefault(fullname, found) != found:
            raise UsageError(f"{self.path}: it was changed while the search runs; give the same command again")
        code: CodeType = self.source_to_code(source, self.path)
        return code


def project_of(path: Path) -> Project:
    """The project of a file, loaded if it was not yet, or its source has changed. Raises whatever running it raises."""
    known = next((each for each in LOADED if each.path == path), None)
    if known and known.is_current():
        LOADED.remove(known)
        LOADED.appendleft(known)
        return known
    project = placed(path)
    project.load()
    LOADED.appendleft(project)
    return project


def check_nothing_is_loading() -> None:
    """Refuse to begin a search while a file is loaded for another: it would load it too, and so on without end.

    Raises:
        UsageError: names the file.
    """
    for project in sys.meta_path:
        if isinstance(project, Project) and not project.digest:
            raise UsageError(
                f"{project.path}: it is loaded for its workload, and begins a search itself; put that under "
                "if __name__ == '__main__', which is true only where the file is run as a script"
            )


def placed(path: Path) -> Project:
    """A file as a module: of the packages that it lies in, or takes itself to lie in by its relative imports."""
    depth, folder = relative_depth(path.read_bytes()), path.parent
    parts = [] if path.stem == "__init__" else [path.stem.replace(".", "_")]
    while is_package(folder, needed=depth >= max(len(parts), 1)):
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) == 1 and parts[0] in never_own() | sys.stdlib_module_names:
        return Project(path, f"{LRCTL}_user_{parts[0]}", folder)
    if parts[0] in never_own():
        raise UsageError(
            f"{path}: its package has the name of {parts[0]}, which lrctl needs; rename {folder / parts[0]}"
        )
    return Project(path, ".".join(parts), folder)


def is_package(folder: Path, *, needed: bool) -> bool:
    """Whether a folder is one, or is needed as one and can be; a name with a dot in it would be two names."""
    return folder.name != "" and "." not in folder.name and (needed or (folder / "__init__.py").is_file())


def running(workload: object) -> AbstractContextManager[None]:
    """A block in which a workload of the user's is at work; any other workload needs none."""
    project = project_with(workload)
    return project.active() if project else nullcontext()


def project_with(workload: object) -> Project | None:
    """The project that a workload comes from."""
    return next((each for each in LOADED if type(workload) in each.classes), None)


def swap(out: Mapping[str, ModuleType], into: Mapping[str, ModuleType]) -> None:
    for name in out:
        del sys.modules[name]
    sys.modules.update(into)


def own_modules() -> dict[str, ModuleType]:
    """The user's own modules among those that Python has: source that nobody installed, and no plugin's."""
    aside = never_own()
    elsewhere = places(tuple(sys.path))
    others = known_others(elsewhere)
    unknown = {name: module for name, module in dict(sys.modules).items() if others.get(name) is not module}
    own = {name: module for name, module in unknown.items() if is_own(module, elsewhere)}
    others.update((name, module) for name, module in unknown.items() if name not in own and file_of(module))
    # Modules that an installed package makes up, with files elsewhere, are its own.
    return {name: own[name] for name in own if (top := name.partition(".")[0]) in own and top not in aside}


@cache
def known_others(_: tuple[str, ...]) -> dict[str, ModuleType]:
    """The modules found so far to lie in these places: Python soon has thousands, and asking each takes milliseconds.

    None is a folder without `__init__.py`, which may yet get a part that lies in another place.
    """
    return {}


def is_own(module: ModuleType, elsewhere: tuple[str, ...]) -> bool:
    """Whether it is source that lies in none of these places."""
    if file := file_of(module):  # some that torch makes up have a file that is no path
        return not file.startswith(elsewhere) and os.path.isabs(file) and file.endswith(".py")
    return any(not folder.startswith(elsewhere) for folder in getattr(module, "__dict__", {}).get("__path__") or [])


def file_of(module: ModuleType) -> str:
    """As the module tells it, asked in a way that has no module do anything."""
    return getattr(module, "__dict__", {}).get("__file__") or ""


def never_own() -> set[str]:
    """Top-level names that are never modules of the user's workload."""
    plugins = {name.partition(".")[0] for name, _ in registry().manager.list_name_plugin()}
    return {LRCTL, "__main__", "__mp_main__", *plugins}
