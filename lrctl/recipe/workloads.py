"""Workloads by name: a registered one, or the user's own class in a Python file."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from lrctl.contracts import params as fields
from lrctl.contracts.workload import Prepared, Workload
from lrctl.errors import UsageError, unknown
from lrctl.registry.registry import registry


def is_code(workload: str) -> bool:
    """Whether a workload's name is `file.py:Class`."""
    return workload.rpartition(":")[0].endswith(".py")


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
    """Build a workload by its registered name or from the user's own file."""
    where = f"workload {name}"
    if not is_code(name):
        part = registry().get("workload", name)
        built: Workload = part.target(fields.build(part.params, params, where), seed)
        return built
    file, _, class_name = name.rpartition(":")
    cls = load_class(file, class_name)
    try:
        inspect.signature(cls).bind(seed=seed, **params)
    except TypeError as error:
        raise UsageError(f"{where}: {error}; the class is built as {cls.__name__}(seed=..., **params)") from error
    try:
        workload = cls(seed=seed, **params)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"{where}: building it raised {reason}; --debug shows where") from error
    if missing := [m for m in ("model", "batch", "loss", "evaluate") if not callable(getattr(workload, m, None))]:
        raise UsageError(f"{where}: the class has no method {', '.join(missing)}; see README.md, Your own model")
    return workload  # type: ignore[no-any-return]


def load_class(file: str, name: str) -> Any:
    workload, path = f"{file}:{name}", Path(file).resolve()
    try:
        module = run_file(path, source_digest(workload))
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"workload {workload}: {path.name}, line {line_of(error, path)}: {type(error).__name__}: "
            f"{getattr(error, 'msg', error)}; mend the file, --debug shows more"
        ) from error
    found = getattr(module, name, None)
    if not isinstance(found, type):
        own = (n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__)
        raise unknown("class", name, own, f"workload {workload}")
    return found


@cache
def run_file(path: Path, content: str) -> ModuleType:
    """A Python file as a module, run once for each digest of its content; its folder can be imported from."""
    name = f"lrctl_user_{hashlib.sha256(f'{path}{content}'.encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # its name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module


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


def content_digest(name: str, workload: Workload) -> str:
    """Digest of what a workload's parameters do not name: the user's file, and the data, which is made ready."""
    return source_digest(name) + (workload.prepare() if isinstance(workload, Prepared) else "")


def source_digest(name: str) -> str:
    """Digest of the user's file behind `file.py:Class`; empty for a registered workload."""
    if not is_code(name):
        return ""
    path = Path(name.rpartition(":")[0]).resolve()
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise UsageError(f"workload {name}: there is no file {path}") from error
    except OSError as error:
        raise UsageError(f"workload {name}: {path} cannot be read: {error.strerror}") from error
