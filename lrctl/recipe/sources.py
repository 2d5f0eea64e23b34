"""What Python source depends on: modules that nobody installed, by content, and installed packages, by version."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, distributions, version
from itertools import accumulate
from pathlib import Path

from lrctl.contracts.canonical import digest

LRCTL = __name__.partition(".")[0]
"""Its own code is no source of the user's: its numerics version stands in every key."""


@dataclass(frozen=True)
class Source:
    """The source that a module depends on.

    Attributes:
        modules: digests by module name, the first that of the module itself.
        packages: versions by the names of installed packages.
    """

    modules: Mapping[str, str]
    packages: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """Digest of all of it. Where the module lies and what it is called decides nothing."""
        (_, own), *others = self.modules.items()
        return digest({"module": own, "imports": dict(others), "packages": self.packages})


def source_of(files: Mapping[str, Path], ran: Mapping[str, str]) -> Source:
    """The source of modules and of all that they import, also within functions.

    What is imported by a computed name is not seen, unless it is among `files`.

    Args:
        files: modules by name, the first the one that is asked about.
        ran: digests of the modules that are loaded; for others what their files hold now counts.
    """
    found, outside = reached(files)
    return Source({name: ran.get(name) or file_digest(path) for name, path in found.items()}, versions(outside))


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reached(files: Mapping[str, Path]) -> tuple[dict[str, Path], set[str]]:
    """These modules and all that they import: files by module name, and top-level names of what is installed."""
    found, outside, waiting, asked = dict(files), set[str](), list(files), set[str]()
    tops = {name.partition(".")[0] for name in files}
    while waiting:
        name = waiting.pop()
        package = name if found[name].name == "__init__.py" else name.rpartition(".")[0]
        new = imports(found[name].read_bytes(), package) - asked
        asked |= new
        for imported in new:
            own = dict(located(imported, tops))
            waiting += own.keys() - found.keys()
            found = found | {name: path for name, path in own.items() if name not in found}
            outside |= set() if own else {imported.partition(".")[0]}
    return found, outside - {"", LRCTL, *sys.stdlib_module_names}


@lru_cache(maxsize=1024)
def imports(source: bytes, package: str) -> frozenset[str]:
    """Full names of all that a module's source imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = full_name(node.module, node.level, package)
            names |= {base} | {f"{base}.{alias.name}".lstrip(".") for alias in node.names}
    return frozenset(names)


def full_name(module: str | None, level: int, package: str) -> str:
    """What is imported with so many dots, within a package."""
    around = package.split(".")[: 1 - level or None] if level else []
    return ".".join(filter(None, [*around, module]))


def relative_depth(source: bytes) -> int:
    """In how many packages a module must lie for its relative imports to lead anywhere."""
    return max((node.level for node in ast.walk(parsed(source)) if isinstance(node, ast.ImportFrom)), default=0)


def parsed(source: bytes) -> ast.Module:
    """Source as a tree; an empty one where it is not Python: running it says why."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def located(name: str, tops: Collection[str]) -> Iterator[tuple[str, Path]]:
    """The files of a module and of the packages around it that nobody installed, or that belong to the packages `tops`.

    What is imported from a module has a name like a submodule's, and is not found.
    """
    top = name.partition(".")[0]
    for prefix in accumulate(name.split("."), "{}.{}".format) if top != LRCTL else ():
        for folder in sys.path:
            base = os.path.join(os.path.abspath(folder), *prefix.split("."))
            file = next((each for each in (f"{base}{os.sep}__init__.py", f"{base}.py") if os.path.isfile(each)), None)
            if file is not None:
                if top in tops or not installed(file):
                    yield prefix, Path(file)
                break


def installed(place: str) -> bool:
    """Whether a file or folder is part of Python or of an installed package."""
    return place.startswith(places(tuple(sys.path)))


@cache
def places(search_path: tuple[str, ...]) -> tuple[str, ...]:
    """Where Python's own modules and installed packages lie: pip leaves a note beside each package."""
    noted = [entry for entry in search_path if entry and any(Path(entry).glob("*.dist-info"))]
    standard = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return tuple(f"{os.path.abspath(place)}{os.sep}" for place in [*noted, *standard])


def versions(names: Collection[str]) -> dict[str, str]:
    """The packages that bring these top-level modules, and their versions."""
    return {package: number for name in names for package, number in packages(name)}


@cache
def packages(name: str) -> tuple[tuple[str, str], ...]:
    """The packages that bring a top-level module, with their versions; none where nothing tells."""
    try:
        return ((name, version(name)),)
    except PackageNotFoundError:
        brings = re.compile(rf"^{re.escape(name)}[/.]", re.MULTILINE)
        found = [each for each in distributions() if brings.search(each.read_text("RECORD") or "")]
        return tuple((each.name, each.version) for each in found)
