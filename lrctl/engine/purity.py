"""Whether a workload keeps the rules that results rest on, told from a few steps of training.

Imports torch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.workload import Workload
from lrctl.engine.trainer import Trained, train
from lrctl.errors import UsageError
from lrctl.storage import checkpoint

STEPS, CUT = 7, 2
"""How many steps are trained, and where a run is cut: an optimizer that acts at every fifth step only is noticed."""

KERNELS = "; or it is a kernel that rounds otherwise each time: training.deterministic=false allows that on CUDA"


def check_purity(workload: Workload, spec: TrainSpec) -> None:
    """Train a few steps, over and again: the same job gives the same losses, whatever came before and between.

    Where a job that is made again need not give the same bits, losses that are near count as the same.

    Raises:
        UsageError: names the rule that the workload breaks.
    """
    where, spec = type(workload).__name__, replace(spec, compile=False)
    first = workload.model()
    if workload.model() is first:
        raise UsageError(
            f"{where}.model: gives the same model each time, which every job would go on training; make a new one"
        )
    whole = job(workload, spec, 0, STEPS)
    if same(whole.losses, job(workload, spec, 0, STEPS, lr=2e-3).losses, bits=True):
        raise UsageError(
            f"{where}: {STEPS} updates with LR 0.001 and with 0.002 gave the same losses, so that there is nothing to "
            "search; see that the optimizer moves the parameters that the loss depends on, and uses its groups' lr"
        )
    advice = "" if spec.device == "cpu" else KERNELS
    if not same(whole.losses, job(workload, spec, 0, STEPS).losses, bits=spec.exact):
        raise UsageError(
            f"{where}: the same steps gave other losses after another job; model(), batch(step) and loss() must depend "
            "on their arguments and the seed alone. Look for an iterator over a DataLoader that goes on, a generator "
            f"or counter of your own, data that are changed in place{advice}"
        )
    begun = job(workload, spec, 0, CUT)
    rest = job(workload, spec, CUT, STEPS, checkpoint.round_trip(begun.state))
    if not same(whole.losses[CUT:], rest.losses, bits=spec.exact):
        raise UsageError(
            f"{where}: a run that is cut after {CUT} steps and goes on from its checkpoint has other losses; something "
            "is kept outside of the state_dict of model and optimizer: a Python attribute, a buffer with "
            f"persistent=False, a copy of the weights. Make it a buffer, or part of state_dict(){advice}"
        )


def job(
    workload: Workload, spec: TrainSpec, start: int, stop: int, state: dict[str, Any] | None = None, lr: float = 1e-3
) -> Trained:
    return train(workload, spec, SegmentJob(start, stop, PiecewiseLinear(((0, lr),))), state)


def same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any], *, bits: bool) -> bool:
    return one.tobytes() == other.tobytes() if bits else bool(np.allclose(one, other, rtol=1e-2, equal_nan=True))
