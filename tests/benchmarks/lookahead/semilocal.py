"""Two semi-local searches side by side: do they choose alike, and where do they end?"""

from __future__ import annotations

from typing import Any

from benchmarks.lookahead.measured import digits, line
from benchmarks.lookahead.panels import Case

WHOLE = {"strategy.semilocal.eps": 0.48, "strategy.semilocal.eps_unit": "progress", "strategy.semilocal.decay": True}
SEARCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "eps 0.48": ("semilocal", WHOLE),
    "lean": ("semilocal", WHOLE | {"strategy.semilocal.lean": True}),
    "local": ("local", {}),
}
PAIRS = {"lean": ("eps 0.48", "lean"), "eps": ("local", "eps 0.48")}
"""By what is asked about: the searches that are compared."""


def columns(asked: str) -> list[str]:
    one, other = PAIRS[asked]
    return ["workload, steps, seed", "choices alike", f"test loss, {one}", other, f"full runs, {one}", other]


def row(case: Case, asked: str) -> str:
    one, other = (case.search(*SEARCHES[name]) for name in PAIRS[asked])
    chosen = [[segment["chosen"] for segment in document["segments"]] for document in (one, other)]
    alike = sum(a == b for a, b in zip(*chosen, strict=True))
    losses = [digits(document["test_loss"]) for document in (one, other)]
    runs = [f"{document['cost']['full_runs']:.1f}" for document in (one, other)]
    return line([case.title, f"{alike} of {len(chosen[0])}", *losses, *runs])
