"""A recipe's text, and recipes as files."""

from __future__ import annotations

from pathlib import Path

TEXT = """
[training]
steps = 100

[workload]
name = "linear-regression"
dim = 4
noise = 0.25

[executor]
name = "processes"
workers = 3

[strategy.semilocal]
eps = 0.25
grid = [0.1, 0.01]
"""


def written(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
