"""The optimizers by name whose packages are installed."""

from __future__ import annotations

from importlib.util import find_spec

from lrctl.contracts.optimizers import OPTIMIZERS

INSTALLED = {name: kind for name, kind in OPTIMIZERS.items() if find_spec(kind.made_by.partition(".")[0])}
