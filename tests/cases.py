"""Many inputs of one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(**inputs: object) -> Iterator[None]:
    """A block for one of the inputs that a test loops over: a failure in it names them."""
    try:
        yield
    except BaseException as error:  # pytest's own failures are no Exception
        error.add_note("with " + ", ".join(f"{name}={value!r}" for name, value in inputs.items()))
        raise
