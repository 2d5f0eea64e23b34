"""Packages that only fine-tuning needs."""

from __future__ import annotations

import importlib
from typing import Any

from lrctl.errors import MissingError

INSTALL = "run: pip install 'lrctl[transformers]'"


def package(name: str) -> Any:
    """A package that only these workloads need, or a module of it.

    Raises:
        MissingError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0]
        raise MissingError(f"workload.model: needs the package {top}, which cannot be imported; {INSTALL}") from error
