"""Optimizers by the name of their class: `torch.optim.NAdam`, `pkg.module:Class`, `file.py:Class`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from lrctl.contracts.optimizers import ByName, OptimizerSettings
from lrctl.errors import UsageError, unknown
from lrctl.recipe.classes import MODULE, file_of
from lrctl.recipe.sources import installed, packages, source_of
from lrctl.recipe.workloads import is_code, load_class, located

EXTRA = "pip install 'lrctl[optimizers]'"


def is_class(name: str) -> bool:
    """Whether an optimizer's name is that of a class, and so of code."""
    return "." in name or ":" in name


def from_here(name: str, where: str) -> str:
    """The name of a class with its full path if it is in a file of this folder, else as it is."""
    if not is_code(name) and MODULE.fullmatch(name):
        file = file_of(name, where)
        name = name if installed(file.rpartition(":")[0]) else file
    file, _, cls = name.rpartition(":")
    return f"{located(Path(file), where)}:{cls}" if is_code(name) else name


def code_of(name: str) -> str:
    """What tells the code of a class apart from another of that name; empty for torch's. Nothing is imported."""
    if is_code(name):
        path = Path(name.rpartition(":")[0])
        return source_of({path.stem: path}, {}).digest if path.is_file() else ""
    top = name.partition(":")[0].partition(".")[0]
    return "" if top == "torch" else ", ".join(f"{package} {number}" for package, number in packages(top))


def load_optimizer(settings: OptimizerSettings) -> Any:
    """The class that an optimizer of these settings is of.

    Raises:
        UsageError: its package is not installed, or has no such class.
    """
    name = settings.made_by
    if is_code(name):
        return load_class(name, "optimizer")[1]
    where, (module, _, own) = f"optimizer {settings.name}", name.replace(":", ".").rpartition(".")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        advice = (
            "install it, or write pkg.module:Class for a file of this folder" if isinstance(settings, ByName) else EXTRA
        )
        raise UsageError(f"{where}: there is no module {error.name} for its class {name}; {advice}") from error
    if not hasattr(found, own):
        raise unknown("class", own, [each for each, value in vars(found).items() if isinstance(value, type)], where)
    return getattr(found, own)
