"""What it takes to import a plugin."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

HEAVY = frozenset(
    {
        "datasets",
        "jax",
        "lightning",
        "matplotlib",
        "numpy",
        "pandas",
        "pyarrow",
        "scipy",
        "sklearn",
        "tensorflow",
        "tokenizers",
        "torch",
        "transformers",
    }
)
"""Packages that take long to import: a plugin should do so where it uses them."""

SLOW = 0.3
"""Seconds: a plugin that takes longer is told of."""


@dataclass(slots=True)
class Imported:
    """What a plugin took so far to be imported and to register its parts.

    Attributes:
        seconds: of CPU time, which other programs do not lengthen.
        heavy: those of `HEAVY` that it brought in.
    """

    seconds: float = 0.0
    heavy: tuple[str, ...] = ()

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Run code of the plugin; what it prints goes to stderr, so that it gets into no document."""
        before, began = self.loaded(), time.process_time()
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            self.seconds += time.process_time() - began
            self.heavy += tuple(sorted(self.loaded() - before))

    @staticmethod
    def loaded() -> set[str]:
        """Those of `HEAVY` that are loaded."""
        return {name for name in HEAVY if name in sys.modules}

    def __str__(self) -> str:
        return f"{self.seconds:.3f} s" + (f", with {', '.join(self.heavy)}" if self.heavy else "")
