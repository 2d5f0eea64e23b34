"""The signed documents of a store in a folder, read and changed behind its back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrctl.storage import files


def write_signed(path: Path, document: dict[str, Any]) -> None:
    files.write_json(path, files.signed(document))


def read_signed(path: Path) -> dict[str, Any] | None:
    return files.checked(files.read(path))
