"""Python packages: what they bring along, and those that only some workloads need."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from lrctl.errors import MissingError

INSTALL = "run: pip install 'lrctl[transformers]'"


def package(name: str) -> Any:
    """A package that only fine-tuning needs, or a module of it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0]
        raise MissingError(f"workload.model: needs the package {top}, which cannot be imported; {INSTALL}") from error


def packaged(package: str, path: str) -> Path | None:
    """Where an installed package has a file or folder; None if it has not, or is not installed. Imports nothing."""
    try:
        found = Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError:
        return None
    return found if found.exists() else None
