"""A GPT of two layers on a text of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIZES = {"layers": 2, "heads": 2, "d_model": 16, "context": 8, "batch_size": 4, "dropout": 0.2, "eval_tokens": 512}


def small_gpt(folder: Path, **changed: Any) -> dict[str, Any]:
    """Its parameters; the text is written into a folder."""
    text = folder / "text.txt"
    text.write_text(" ".join(f"{n * n} of {n}" for n in range(1500)))
    return {"path": str(text), "tokenizer": "bytes", **SIZES, **changed}
