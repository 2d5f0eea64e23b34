"""The workloads that transfers are measured on."""

from __future__ import annotations

from benchmarks.lookahead import panels
from benchmarks.lookahead.panels import Entry

KNOWN = {entry.name: entry for entry in (*panels.DESIGN, *panels.REPORT)}

SGD = {
    "optimizer.name": "sgd",
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 5e-4,
    "strategy.transfer.grid": [1e-2, 2.25e-2, 5e-2],
}

PANELS = {
    "A": tuple(KNOWN[name] for name in ("quickstart", "wide", "mlp")),
    "B": (
        *(KNOWN[name] for name in ("bytes", "fashion-mnist", "char-gpt")),
        Entry("sgd", "fashion-mnist", SGD),
    ),
}
"""The exponent was chosen on A. B is for the report: none was chosen on it, but that a first exponent was given up
where it missed bytes. `sgd` is the CNN of `fashion-mnist` with SGD, and begins at the LRs that it is usually given."""
