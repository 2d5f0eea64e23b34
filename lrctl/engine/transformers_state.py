"""The state of the GreedyLR of Hugging Face transformers, as one of ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lrctl.errors import UsageError

SETTINGS = (
    *("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "warmup", "eps", "smooth"),
    "window_size",
)
COUNTERS = ("num_good_epochs", "num_bad_epochs", "cooldown_counter", "warmup_counter")
"""What transformers' GreedyLR and ours have under the same name."""


def from_transformers(state: Mapping[str, Any]) -> dict[str, Any]:
    """The `state_dict` of transformers' GreedyLR as one of ours."""
    try:
        average = state.get("_streaming_avg", {"values": [], "sum": 0.0})
        window = [value for value in average["values"] if math.isfinite(value)]
        settings = {name: state[name] for name in SETTINGS} | {
            "initial_lr": state["_init_lrs"],
            "min_lr": state["min_lrs"],
            "max_lr": state["max_lrs"],
            "reset_start": state["reset_start_original"],
        }
        memory = {name: state[name] for name in COUNTERS} | {
            "lrs": list(state["_last_lr"]),
            "best": state["best"] if math.isfinite(state["best"]) else None,
            "reset_counter": state["reset_start"],
            "window": window,
            "sum": average["sum"] if math.isfinite(average["sum"]) else math.fsum(window),
            "epoch": 0,
        }
    except KeyError as error:
        raise UsageError(f"GreedyLR: this is no state_dict of a GreedyLR: {error} is missing") from error
    return {
        "last_epoch": state["last_epoch"],
        "base_lrs": [1.0] * len(memory["lrs"]),
        "schedule": memory,
        "settings": settings,
    }
