"""Workloads by name: a registered one, or the user's own class in a Python file."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrctl.contracts.canonical import digest
from lrctl.contracts.program import Program
from lrctl.contracts.workload import Prepared, Workload
from lrctl.errors import UsageError, unknown
from lrctl.recipe.plugin_code import code_of
from lrctl.recipe.project import Project, project_of, project_with, running
from lrctl.registry.registry import registry
from lrctl.registry.values import build


def is_code(workload: str) -> bool:
    """Whether a workload's name is `file.py:Class`."""
    return workload.rpartition(":")[0].endswith(".py")


def is_program(workload: str) -> bool:
    """Whether a workload of that name is a program, which its parameter `command` names."""
    return workload in registry().marked("workload", "program")


def located(path: Path, where: str) -> Path:
    """Where a file is, links and `~` resolved.

    Raises:
        UsageError: no file can be called that.
    """
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{where}: {str(path)!r} cannot be the name of a file: {error}") from error


def load_workload(name: str, params: Mapping[str, Any], seed: int) -> Workload:
    """A workload that lrctl trains itself."""
    found = load_any(name, params, seed)
    if isinstance(found, Program):
        raise UsageError(f"workload {name}: it is a program, which trains by itself; choose another --workload")
    return found


def load_any(name: str, params: Mapping[str, Any], seed: int) -> Workload | Program:
    """The workload of a recipe, whether lrctl trains it or it is a program."""
    where = f"workload {name}"
    if not is_code(name):
        part = registry().get("workload", name)
        built: Workload | Program = part.target(build(part.params, params, where), seed)
        return built
    project, cls = load_class(name)
    with project.active():
        workload = construct(cls, params, seed, where)
    project.classes.add(type(workload))
    if missing := [m for m in ("model", "batch", "loss", "evaluate") if not callable(getattr(workload, m, None))]:
        raise UsageError(f"{where}: it has no method {', '.join(missing)}; see `lrctl guide own-project`")
    return workload  # type: ignore[no-any-return]


def construct(kind: Any, params: Mapping[str, Any], seed: int, where: str) -> Any:
    try:
        inspect.signature(kind).bind(seed=seed, **params)
    except TypeError as error:
        name = where.rpartition(":")[2]
        raise UsageError(f"{where}: {error}; it is built as {name}(seed=..., **params)") from error
    try:
        return kind(seed=seed, **params)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"{where}: building it raised {reason}; --debug shows where") from error


def load_class(workload: str, kind: str = "workload") -> tuple[Project, Any]:
    """The class that `file.py:Class` names, or the workload of `lrctl.workload`, and the project that it comes from.

    `kind` is for messages.
    """
    project, name = load_project(workload, kind), workload.rpartition(":")[2]
    module = project.modules[project.name]
    found = getattr(module, name, None)
    if not (isinstance(found, type) or is_reseeded(found)):
        kinds = (n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__)
        made = [n for n, v in vars(module).items() if is_reseeded(v)]
        if found is not None:
            others = f"it has {', '.join(made)}" if made else f"a {kind} is a class, or what lrctl.workload returns"
            raise UsageError(f"{kind} {workload}: {name} is a {type(found).__name__}, and no {kind}; {others}")
        raise unknown("class", name, [*kinds, *made], f"{kind} {workload}")
    return project, found


def is_reseeded(found: Any) -> bool:
    """Whether it is a workload that, called like a class, gives the same with another seed and other parameters."""
    return isinstance(found, Workload) and callable(found) and not isinstance(found, type)


def load_project(workload: str, kind: str) -> Project:
    path = Path(workload.rpartition(":")[0]).resolve()
    try:
        path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(f"{kind} {workload}: there is no file {path}") from error
    except OSError as error:
        raise UsageError(f"{kind} {workload}: {path} cannot be read: {error.strerror}") from error
    try:
        return project_of(path)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{kind} {workload}: {path.name}, line {line_of(error, path)}: {type(error).__name__}: "
            f"{getattr(error, 'msg', error)}; mend the file, --debug shows more"
        ) from error


def origin(error: BaseException, workload: str) -> str:
    """Where in the user's file, or in which plugin, an exception comes from, for people; empty if in neither."""
    if not is_code(workload):
        plugin = registry().plugin_of(error)
        return f" (in plugin {plugin})" if plugin else ""
    path = str(Path(workload.rpartition(":")[0]).resolve())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f" ({Path(path).name}, line {frames[-1].lineno}, in {frames[-1].name})" if frames else ""


def line_of(error: BaseException, path: Path) -> int | str:
    """The line of a file that an exception comes from: the innermost one of its traceback in that file."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or "?"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return (lines[-1] if lines else None) or "?"


def content_digest(name: str, workload: Workload | Program) -> str:
    """Digest of what a workload's parameters do not name: foreign code, and the data, which is made ready."""
    with running(workload):
        return source_digest(name, workload) + (workload.prepare() if isinstance(workload, Prepared) else "")


def source_digest(name: str, workload: Workload | Program) -> str:
    """Digest of the code of the user's or of a plugin's that is behind a workload; empty for lrctl's own."""
    if is_code(name):
        project = project_with(workload)
        return project.digest if project else ""
    code = code_of(registry().get("workload", name))
    return digest(code) if code else ""
