"""`lrctl.workload`: a workload of the user's own parts. Imports no torch before it is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from lrctl.adapters.parts import WHERE, Parts
from lrctl.errors import unknown

if TYPE_CHECKING:
    from lrctl.adapters.from_parts import FromParts

P = ParamSpec("P")
T = TypeVar("T")


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
    clip_norm: float | None = None,
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
        optimizer: `optimizer(model)`, or a class of optimizers, or `functools.partial` of one with settings; by default
            the recipe's.
        param_groups: `param_groups(model)`, for the recipe's optimizer.
        clip_norm: scale gradients down to this L2 norm. It holds for any optimizer. None or 0 is never.
        after_step: `after_step(model)`, called without gradients after each update.
        aside: how many items of `train` are kept for scores, or a data set of such; by default up to a tenth where that
            gives 8 batches, and at most 64 batches.
        num_workers: processes that load batches ahead; they change no number.
        signed_loss: whether losses may be below 0.

    Raises:
        UsageError: a part cannot be used.
    """
    from lrctl.adapters.from_parts import FromParts

    parts = Parts(**locals_of(locals()) | {"clip_norm": 0.0 if clip_norm is None else clip_norm})
    # A class of its own, as one in the user's file would be: by it lrctl knows which project a workload is of.
    kind: type[FromParts] = type("workload", (FromParts,), {})
    return kind(parts)


def locals_of(names: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if name in Parts.__dataclass_fields__}
