"""Whatever a part raises is a fault that a check has found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def calling(what: str) -> Iterator[None]:
    """A block in which a part is called: whatever it raises breaks the contract, and is told with what was called."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}: {error}") from error
