"""Two semi-local searches side by side: do they choose alike, and where do they end?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.lookahead.measured import digits, line
from benchmarks.lookahead.panels import Case

WHOLE = {"strategy.semilocal.eps": 0.48, "strategy.semilocal.eps_unit": "progress", "strategy.semilocal.decay": True}
SEARCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "whole": ("semilocal", WHOLE),
    "lean": ("semilocal", WHOLE | {"strategy.semilocal.lean": True}),
    "local": ("local", {}),
}
PAIRS = {"lean": ("whole", "lean"), "eps": ("local", "whole")}
"""By what is asked about: the searches that are compared."""


def columns(asked: str) -> list[str]:
    one, other = PAIRS[asked]
    return ["workload, steps, seed", "choices alike", f"test loss, {one}", other, f"full runs, {one}", other]


def searched(case: Case, name: str) -> dict[str, Any]:
    """A search in a store of its own: what one of a pair had trained would cost the other nothing."""
    return replace(case, store=f"{case.store}-{name}").search(*SEARCHES[name])


def row(case: Case, asked: str) -> str:
    one, other = (searched(case, name) for name in PAIRS[asked])
    chosen = [[segment["chosen"] for segment in document["segments"]] for document in (one, other)]
    alike = sum(a == b for a, b in zip(*chosen, strict=True))
    losses = [digits(document["test_loss"]) for document in (one, other)]
    runs = [f"{document['cost']['full_runs']:.1f}" for document in (one, other)]
    return line([case.title, f"{alike} of {len(chosen[0])}", *losses, *runs])
