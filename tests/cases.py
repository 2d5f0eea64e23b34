"""Many inputs of one test."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

Test = Callable[..., None]


@contextmanager
def case(**inputs: object) -> Iterator[None]:
    """A block for one of the inputs that a test loops over: a failure in it names them."""
    try:
        yield
    except BaseException as error:  # pytest's own failures are no Exception
        error.add_note("with " + ", ".join(f"{name}={value!r}" for name, value in inputs.items()))
        raise


def each_of(names: str | tuple[str, ...], inputs: Iterable[Any]) -> Callable[[Test], Test]:
    """As `pytest.mark.parametrize`, but a loop within one test: for many inputs that take next to no time."""
    cases = [{names: each} if isinstance(names, str) else dict(zip(names, each, strict=True)) for each in inputs]

    def looping(test: Test) -> Test:
        @wraps(test)
        def run(**others: Any) -> None:
            for inputs in cases:
                with case(**inputs):
                    test(**inputs, **others)

        signature = inspect.signature(test)
        others = [each for each in signature.parameters.values() if each.name not in cases[0]]
        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]  # pytest's fixtures
        return run

    return looping
