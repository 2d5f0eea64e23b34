"""Workloads by name: a registered one, or the user's own class in a Python file."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lrctl import fields
from lrctl.errors import UsageError, unknown
from lrctl.plugins import registry
from lrctl.workload import Workload


def is_code(workload: str) -> bool:
    """Whether a workload's name is `file.py:Class`."""
    return workload.rpartition(":")[0].endswith(".py")


def load_workload(name: str, params: Mapping[str, Any], seed: int) -> Workload:
    """Build a workload by its registered name or from the user's own file.

    Raises:
        UsageError: the file or class cannot be used, or the parameters do not fit it.
    """
    if not is_code(name):
        part = registry().get("workload", name)
        built: Workload = part.target(fields.build(part.params, params, f"workload {name}"), seed)
        return built
    cls = load_class(*name.rpartition(":")[::2])
    try:
        inspect.signature(cls).bind(seed=seed, **params)
    except TypeError as error:
        raise UsageError(
            f"workload {name}: {error}; the class is built as {cls.__name__}(seed=..., **params)"
        ) from error
    workload = cls(seed=seed, **params)
    missing = [m for m in ("model", "batch", "loss", "evaluate") if not callable(getattr(workload, m, None))]
    if missing:
        raise UsageError(
            f"workload {name}: the class has no method {', '.join(missing)}; see README.md, Your own model"
        )
    return workload  # type: ignore[no-any-return]


@cache
def load_class(file: str, name: str) -> Any:
    """The class `name` of a Python file, which is run; its folder can be imported from."""
    path = Path(file).resolve()
    if not path.is_file():
        raise UsageError(f"workload {file}:{name}: there is no file {path}")
    module_name = f"lrctl_user_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None  # its name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"workload {file}:{name}: {path.name}, line {line_of(error, path)}: {type(error).__name__}: "
            f"{getattr(error, 'msg', error)}; mend the file, --debug shows more"
        ) from error
    if not isinstance(getattr(module, name, None), type):
        raise unknown("class", name, classes_in(module), f"workload {file}:{name}")
    return getattr(module, name)


def line_of(error: BaseException, path: Path) -> int | str:
    """The line of a file that an exception comes from: the innermost one of its traceback in that file."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or "?"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return (lines[-1] if lines else None) or "?"


def classes_in(module: Any) -> Iterator[str]:
    """Names of the classes that a module defines itself."""
    return (n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__)


def source_digest(name: str) -> str:
    """Digest of the user's file behind `file.py:Class`; empty for a registered workload."""
    return hashlib.sha256(Path(name.rpartition(":")[0]).read_bytes()).hexdigest() if is_code(name) else ""
