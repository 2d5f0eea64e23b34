"""Data that comes in Python packages, which are never imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def packaged(package: str, path: str) -> Path | None:
    """Where an installed package has a file or folder; None if it has not, or is not installed."""
    try:
        found = Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError:
        return None
    return found if found.exists() else None
