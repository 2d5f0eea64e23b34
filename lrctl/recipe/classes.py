"""Classes of the user's as workloads: `pkg.module:Class`, and class objects, as files."""

from __future__ import annotations

import ast
import atexit
import inspect
import linecache
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from lrctl import documents
from lrctl.errors import UsageError

MODULE = re.compile(r"[A-Za-z_][\w.]*:\w+")
"""`pkg.module:Class`, where the module is imported by name."""


def file_of(workload: str, folder: Path, where: str) -> str:
    """`pkg.module:Class` as `file.py:Class`: of that folder, else of what is installed.

    Nothing is imported: what a module's file holds is run later.

    Raises:
        UsageError: there is no such module.
    """
    module, _, cls = workload.rpartition(":")
    top, *inner = module.split(".")
    spec = PathFinder.find_spec(top, [str(folder)]) or found(top)
    name = top
    for part in inner:
        name = f"{name}.{part}"
        spec = spec and PathFinder.find_spec(name, list(spec.submodule_search_locations or []))
    if spec is None or not str(spec.origin).endswith(".py"):
        raise UsageError(
            f"{where}: there is no module {module} in {folder} or among what is installed; name its file, as in "
            "file.py:Class"
        )
    return f"{spec.origin}:{cls}"


def workloads_in(path: Path) -> list[str]:
    """The names of what looks like a workload at the top of a file, which is not run: made by parts, or a class."""
    try:
        nodes = ast.parse(documents.text(path)).body
    except (OSError, ValueError, SyntaxError):
        return []
    made = [each.targets[0].id for each in nodes if is_made(each)]  # type: ignore[attr-defined]
    classes = [each for each in nodes if isinstance(each, ast.ClassDef)]
    return made + [c.name for c in classes if {"model", "loss"} <= {getattr(part, "name", "") for part in c.body}]


def is_made(node: ast.stmt) -> bool:
    """Whether it is `name = lrctl.workload(...)`."""
    match node:
        case ast.Assign(targets=[ast.Name()], value=ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name))):
            return name == "workload"
    return False


def found(top: str) -> ModuleSpec | None:
    try:
        return find_spec(top)
    except (ImportError, ValueError):
        return None


def class_name(cls: type) -> str:
    """A class as `file.py:Class`: of its module's file or, in a notebook, of a file that is written for it.

    Raises:
        UsageError: it has no place of its own in a module, or uses what only the notebook holds.
    """
    if "." in cls.__qualname__:
        where = f"workload {cls.__qualname__}"
        raise UsageError(f"{where}: it is defined inside of something else; move it to the top of its module")
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file and file.endswith(".py") and Path(file).is_file():
        return f"{Path(file).resolve()}:{cls.__qualname__}"
    return f"{written(carried(cls))}:{cls.__qualname__}"


@cache
def written(text: str) -> Path:
    """A file of this text, for as long as this process lives."""
    folder = tempfile.mkdtemp(prefix="lrctl-class-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "notebook.py"
    path.write_text(text, encoding="utf-8")
    return path


def carried(cls: type) -> str:
    """The source of a class with all that it uses: imports, constants, and other functions and classes."""
    lines: dict[str, None] = {}
    defined: dict[str, str] = {}
    collect(cls, cls.__name__, lines, defined)
    return "\n".join(["from __future__ import annotations", *sorted(lines), "", *defined.values()]) + "\n"


def collect(item: Any, name: str, lines: dict[str, None], defined: dict[str, str]) -> None:
    """Add the source of a class or function under its name, after that of what it uses."""
    node, source = definition(item)
    defined[name] = ""  # it may use itself
    for each in dict.fromkeys(names_in(node)):
        namespace = vars(sys.modules[item.__module__])
        if each in defined or each not in namespace:
            continue
        value = namespace[each]
        if isinstance(value, FunctionType | type) and value.__module__ == item.__module__:
            collect(value, each, lines, defined)
        else:
            lines[statement(item, each, value)] = None
    del defined[name]
    defined[name] = source


def names_in(node: ast.AST) -> Iterator[str]:
    yield from (each.id for each in ast.walk(node) if isinstance(each, ast.Name))


def definition(item: Any) -> tuple[ast.AST, str]:
    """The last definition of a class or function in the cell that it comes from, and its source."""
    functions = [item] if isinstance(item, FunctionType) else [f for f in vars(item).values() if inspect.isfunction(f)]
    for function in functions:
        text = "".join(linecache.getlines(function.__code__.co_filename))
        try:
            nodes = [each for each in ast.walk(ast.parse(text)) if getattr(each, "name", None) == item.__name__]
        except SyntaxError:
            continue
        if nodes:
            first = min([nodes[-1].lineno, *(each.lineno for each in nodes[-1].decorator_list)])  # type: ignore[attr-defined]
            return nodes[-1], "\n".join(text.splitlines()[first - 1 : nodes[-1].end_lineno])  # type: ignore[attr-defined]
    raise UsageError(f"workload {item.__name__}: its source cannot be read; put it in a file, and name file.py:Class")


def statement(item: Any, name: str, value: Any) -> str:
    """The statement that gives a name its value in a file."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__} as {name}"
    home, own = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if home and own and "." not in own and getattr(sys.modules.get(home), own, None) is value:
        return f"from {home} import {own} as {name}"
    try:
        if ast.literal_eval(repr(value)) == value:
            return f"{name} = {value!r}"
    except (ValueError, SyntaxError):
        pass
    raise UsageError(
        f"workload {item.__name__}: it uses {name}, a {type(value).__name__} that only this notebook holds; "
        "make it inside of the class, or put both in a file"
    )
