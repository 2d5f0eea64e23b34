"""Contract: what lrctl trains: model, data, loss and evaluation. Also the drawing of batches without state."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import torch


@runtime_checkable
class Workload(Protocol):
    """What every workload has. The class `file.py:Class` names is built as `Class(seed=..., **params)`.

    Everything is a pure function of the seed and the arguments: torch's random numbers are seeded from (seed, step)
    before each call, so a model's initialisation and its dropout need no care.

    Further methods are optional. `optimizer(model)` returns the `torch.optim.Optimizer` to use, unless the recipe
    names one. `score_batch(i)` is for strategies that ask for scores (see `Scored`), `steps_per_epoch()` for
    `--epochs` and for those that should know whether a run repeats its data (see `Sized`). `prepare()` makes the data
    ready (see `Prepared`). `param_groups(model)` returns groups as torch's optimizers take them. `weight(batch)` is
    for gradient accumulation (see `Weighted`), `stand_in(step)` for `--dry-run` (see `StandIn`),
    `expected_losses(lrs)` for searches that need no training (see `lrctl.contracts.exact`). `before_update(model,
    step)` and `after_update(model, step)` are called around the optimizer's step. A workload that cannot be pure says
    what it goes on from (see `Carrying`).

    Training losses are at least 0, so that a job can be stopped once its losses so far add up to more than it may have.
    A workload whose losses may be negative says so by an attribute `signed_loss = True`; none of its jobs is stopped.
    """

    def model(self) -> torch.nn.Module:
        """A freshly initialised model, on the CPU."""

    def batch(self, step: int) -> Any:
        """The batch of update `step`: tensors on the CPU, alone or in tuples, lists or dicts."""

    def loss(self, model: Any, batch: Any) -> torch.Tensor:
        """The mean training loss of a batch: a scalar tensor with a gradient, >= 0 unless `signed_loss` is true.

        It may be the only scalar of a tuple, or stand under `loss` in a dict or an object, as in what a model returns.
        """

    def evaluate(self, model: Any, split: str) -> Mapping[str, float]:
        """Metrics of the model, in evaluation mode and without gradients, on `validation` or `test`.

        Must hold `loss`, or be the loss alone. The two splits share no data with each other nor with the training
        batches.
        """


@runtime_checkable
class Told(Protocol):
    """A workload that tells what else a user has to set where a schedule is used, beside its parameters."""

    def export_settings(self) -> Mapping[str, Any]:
        """JSON values by name, such as `batch_size` and `clip_norm`."""


@runtime_checkable
class WithOptimizer(Protocol):
    """A workload that brings its own optimizer."""

    def optimizer(self, model: Any) -> torch.optim.Optimizer:
        """The optimizer of the model. A param group's LR is the schedule's times the group's scale.

        The scale is the group's `lr_scale` if it has one, else its own LR over the first group's.
        """


@runtime_checkable
class WithParamGroups(Protocol):
    """A workload that wants some parameters treated otherwise, such as no weight decay on biases."""

    def param_groups(self, model: Any) -> Iterable[Mapping[str, Any]]:
        """Param groups as `torch.optim` takes them; a key that is absent gets the recipe's value."""


@runtime_checkable
class Scored(Protocol):
    """A workload that keeps training data aside for scoring."""

    def score_batch(self, i: int) -> Any:
        """Batch i of the training data reserved for scores: never drawn by `batch`, nor in a held-out split.

        Raises:
            IndexError: there are no more; what there are are taken.
        """


@runtime_checkable
class Carrying(Protocol):
    """A workload that goes on from step to step: a stream of data, the hidden state of a network.

    What it carries is part of every checkpoint, so that `batch` and `loss` may depend on it too. Evaluations and scores
    leave it as it is.
    """

    def carry(self, state: Mapping[str, Any] | None) -> None:
        """Go on from what `carried` gave, on the CPU and the callee's to keep; None: from the beginning of a run."""

    def carried(self) -> Mapping[str, Any]:
        """What the steps so far have left: tensors, numbers and text, in dicts, lists and tuples."""


@runtime_checkable
class BeforeUpdate(Protocol):
    """A workload that changes gradients, by clipping them for instance."""

    def before_update(self, model: Any, step: int) -> None:
        """Called when the gradients of step `step` are there, before its LR is decided."""


@runtime_checkable
class AfterUpdate(Protocol):
    """A workload that follows or corrects the weights."""

    def after_update(self, model: Any, step: int) -> None:
        """Called without gradients when update `step` is done."""


@runtime_checkable
class Prepared(Protocol):
    """A workload whose data has to be made ready, or is not told by its parameters."""

    def prepare(self) -> str:
        """Make the data ready on disk and return a digest of it. Called before any job runs, in one process."""


@runtime_checkable
class Sized(Protocol):
    """A workload that knows how much training data it has: how long some epochs are, and whether a run repeats data."""

    def steps_per_epoch(self) -> float:
        """How many updates draw as many samples as there are: greater than 0, not rounded. Called after `prepare`."""


@runtime_checkable
class Weighted(Protocol):
    """A workload whose loss is a mean over something else than the rows of a batch, such as labels that count."""

    def weight(self, batch: Any) -> float:
        """How much a piece of a batch counts beside the others where `training.micro_batches` cuts it: at least 0."""


@runtime_checkable
class StandIn(Protocol):
    """A workload whose data takes long to make ready, or a network: without it `--dry-run` can still measure.

    Until `ready()`, its `model()` and `loss` must work on stand-in batches without the data.
    """

    def ready(self) -> bool:
        """Whether `prepare()` would find the data made ready already; looks, and fetches nothing."""

    def stand_in(self, step: int) -> Any:
        """A batch like `batch(step)` in its shapes and types, of made-up values."""

    def prepared_bytes(self) -> int:
        """How many bytes `prepare()` would write to disk, to within a tenth or so; 0 if that is not known."""


def drawn(seed: int, step: int, batch_size: int, n: int) -> np.ndarray[Any, Any]:
    """Which of n samples batch `step` holds: epochs of shuffled samples without replacement, cut into batches.

    A pure function of (seed, step): sample j of batch t stands at place t * batch_size + j of the endless sequence
    of shuffled epochs, so there is no state to save and a batch may span two epochs.

    Returns:
        Indices in [0, n), int64, shape (batch_size,).

    Raises:
        ValueError: n is 0.
    """
    import numpy as np

    if n < 1:
        raise ValueError("there are no samples to draw from")
    first, last = step * batch_size, (step + 1) * batch_size - 1
    places = np.arange(first, last + 1)
    epochs = range(first // n, last // n + 1)
    return np.concatenate([epoch_order(seed, e, n)[places[places // n == e] % n] for e in epochs])


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray[Any, Any]:
    """The order of n samples in an epoch: a permutation of [0, n), int64, the same for ever."""
    import numpy as np

    # The legacy generator: numpy promises that its stream never changes.
    return np.random.RandomState([seed & 0xFFFFFFFF, epoch & 0xFFFFFFFF]).permutation(n)
