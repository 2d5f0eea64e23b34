"""An optimizer that a search found, as a table to paste into a recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lrctl.contracts.optimizers import OptimizerSettings, recipe_table
from lrctl.contracts.table import Table


def optimizer_table(title: str, settings: OptimizerSettings) -> Table:
    """The recipe's table `[optimizer]` with these settings, for a person."""
    rows = tuple((f"{name} = {toml(value)}",) for name, value in recipe_table(settings).items())
    return Table(title, ("[optimizer]",), rows)


def toml(value: Any) -> str:
    """A setting as TOML.

    >>> toml({"embedding": 8.0}), toml((0.9, 0.95))
    ('{embedding = 8.0}', '[0.9, 0.95]')
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)
