"""The parts of a workload, checked where they enter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lrctl.errors import UsageError, unknown

WHERE = "lrctl.workload"

SETTINGS = ("batch_size", "shuffle", "clip_norm", "aside", "num_workers")
"""Parts that are plain values: a recipe and `--set workload.batch_size=64` may change them."""

CALLED = {
    "loss": ("model", "batch"),
    "evaluate": ("model", "batches"),
    "optimizer": ("model",),
    "param_groups": ("model",),
    "after_step": ("model",),
}
"""What each function is called with."""

ASKED = ("step", "state", "split")
"""What it is called with besides, where it has a parameter of that name."""

EXAMPLES = {
    "optimizer": ": lambda model: torch.optim.SGD(model.parameters(), lr=0.1)",
    "param_groups": ": lambda model: [{'params': model.parameters()}]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a workload, as `workload` describes them."""

    model: Any
    train: Any
    held_out: Any
    loss: Any
    batch_size: int | None
    shuffle: bool
    collate: Callable[[Any], Any] | None
    evaluate: Callable[..., Any] | None
    optimizer: Callable[[Any], Any] | None
    param_groups: Callable[[Any], Any] | None
    clip_norm: float
    after_step: Callable[..., Any] | None
    aside: Any
    num_workers: int
    signed_loss: bool

    def __post_init__(self) -> None:
        for name in ("model", "loss", "collate", "evaluate", "optimizer", "param_groups", "after_step"):
            check_function(name, getattr(self, name))
        for name, arguments in CALLED.items():
            check_call(name, getattr(self, name), arguments)
        if isinstance(self.held_out, list) and len(self.held_out) == 2:
            raise UsageError(
                f"{WHERE}: held_out: a list of two may be two data sets or a data set of two items; give a tuple "
                "(validation, test), of two items ([one], [other])"
            )
        held_out = self.held_out if isinstance(self.held_out, tuple) else (self.held_out,)
        if any(each is self.train for each in held_out):
            raise UsageError(f"{WHERE}: held_out: it is train itself; hold out data that nothing trains on")
        if self.batch_size is not None:
            check_number("batch_size", self.batch_size, least=1)
        check_number("num_workers", self.num_workers, least=0)
        check_number("clip_norm", self.clip_norm, least=0, kind=float)
        if isinstance(self.aside, int):
            check_number("aside", self.aside, least=0)

    def changed(self, changes: dict[str, Any]) -> Parts:
        """These parts with other settings."""
        for name in changes:
            if name not in SETTINGS:
                raise unknown("parameter", name, SETTINGS, WHERE)
        return replace(self, **changes)


def check_function(name: str, given: Any) -> None:
    if given is None and name != "model":
        return
    if not callable(given) or (name == "param_groups" and isinstance(given, type)):
        kind = given.__name__ if isinstance(given, type) else f"a {type(given).__name__}"
        raise UsageError(f"{WHERE}: {name}: must be a function, got {kind}; give one{EXAMPLES.get(name, '')}")


def check_call(name: str, function: Any, arguments: Sequence[str]) -> None:
    """Refuse a function that cannot be called with these; some of C's do not tell what they take."""
    if function is None:
        return
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments, **{each: None for each in ASKED if each in signature.parameters})
    except TypeError as error:
        called = f"{name}({', '.join(arguments)})"
        raise UsageError(f"{WHERE}: {name}: it is called as {called}, and takes {signature}; {error}") from error


def check_number(name: str, given: Any, *, least: int, kind: type = int) -> None:
    whole = isinstance(given, int) and not isinstance(given, bool)
    if not ((whole or (kind is float and isinstance(given, float))) and given >= least):
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"{WHERE}: {name}: must be {what} of at least {least}, got {given!r}")
