"""What a command of a test gave: its exit code and what it printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one strict JSON document on stdout."""
        return json.loads(self.out, parse_constant=not_json)

    @property
    def error(self) -> str:
        """The one line on stderr."""
        (line,) = self.err.splitlines()
        return line


def not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


Lrctl = Callable[..., Done]
"""The command line, run in this process."""


def refused(done: Done, *parts: str, code: int = 2) -> None:
    """One sentence on stderr that says these things, nothing on stdout, no traceback."""
    assert (done.code, done.out) == (code, ""), done
    assert done.error.startswith("error: "), done
    for part in parts:
        assert part in done.error, done.error


NET = """
import torch

class Net:
    def __init__(self, seed):
        pass

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        return torch.ones(4, 2)

    def loss(self, model, batch):
        return model(batch).square().mean()

    def evaluate(self, model, split):
        return {"loss": {"validation": 1.0, "test": 2.0}[split]}
"""
"""A workload of one's own, as small as can be."""
