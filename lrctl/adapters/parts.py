"""`lrctl.workload`: what it takes, checked where it enters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from lrctl.errors import UsageError, unknown

if TYPE_CHECKING:
    from lrctl.adapters.from_parts import FromParts

P = ParamSpec("P")
T = TypeVar("T")

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
    # A class of optimizers would be given the model in the place of its parameters.
    if not callable(given) or (name in EXAMPLES and isinstance(given, type)):
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


def with_known_names(function: Callable[P, T]) -> Callable[P, T]:
    """The function, told of a misspelt argument in lrctl's words."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        for name in kwargs:
            if name not in Parts.__dataclass_fields__:
                raise unknown("argument", name, Parts.__dataclass_fields__, f"{WHERE}: {name}")
        return function(*args, **kwargs)

    return called


@with_known_names
def workload(
    *,
    model: Any,
    train: Any,
    held_out: Any,
    loss: Any = None,
    batch_size: int | None = 32,
    shuffle: bool = True,
    collate: Callable[[Any], Any] | None = None,
    evaluate: Callable[..., Any] | None = None,
    optimizer: Callable[[Any], Any] | None = None,
    param_groups: Callable[[Any], Any] | None = None,
    clip_norm: float = 0.0,
    after_step: Callable[..., Any] | None = None,
    aside: Any = None,
    num_workers: int = 0,
    signed_loss: bool = False,
) -> FromParts:
    """A workload of your own parts: with `workload = lrctl.workload(...)` in a file, `--workload file.py:workload`.

    Functions may also take `step`, the number of the update (None while evaluating), and `state`, a dict that is empty
    at the beginning of a run and part of its checkpoints: name these parameters so.

    Args:
        model: a function that makes it, its class, or the model itself, which is copied each time.
        train: a data set with `__len__` and `__getitem__`. Or a function that makes what goes on and has `state_dict`
            and `load_state_dict`: a loader of batches, or an iterable data set.
        held_out: a data set, which is cut into validation and test data; or a tuple of two, for validation and for
            test, which may be loaders.
        loss: `loss(model, batch)`, or a criterion of torch's for batches (x, y). By default what the model returns.
        batch_size: None where each item of the data is a batch.
        shuffle: whether an epoch's items are shuffled.
        collate: items to a batch, as `collate_fn`.
        evaluate: `evaluate(model, batches)`, metrics by name with `loss` among them. By default the mean loss.
        optimizer: `optimizer(model)`; by default the recipe's.
        param_groups: `param_groups(model)`, for the recipe's optimizer.
        clip_norm: scale gradients down to this L2 norm; 0 is never. It holds for any optimizer.
        after_step: `after_step(model)`, called without gradients after each update.
        aside: how many items of `train` are kept for scores, or a data set of such; by default up to a tenth where that
            gives 8 batches, and at most 64 batches.
        num_workers: processes that load batches ahead; they change no number.
        signed_loss: whether losses may be below 0.

    Raises:
        UsageError: a part cannot be used.
    """
    from lrctl.adapters.from_parts import FromParts

    parts = Parts(**locals_of(locals()))
    # A class of its own, as one in the user's file would be: by it lrctl knows which project a workload is of.
    kind: type[FromParts] = type("workload", (FromParts,), {})
    return kind(parts)


def locals_of(names: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if name in Parts.__dataclass_fields__}
