"""An LR that no update can be made with is refused where it is given, whatever takes it."""

from __future__ import annotations

from typing import Any

import pytest

from lrctl.contracts.schedule import LARGEST_LR, LRS
from lrctl_strategies.baseline.params import Baseline
from lrctl_strategies.closed_form.params import FitClosedForm
from lrctl_strategies.greedy.params import GreedyComparison
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.semilocal.params import Local, SemiLocal
from lrctl_strategies.shape.params import ShapeSearch
from lrctl_strategies.transfer.params import Transfer

TOO_LARGE = (LARGEST_LR * 1.001, 1e300, float("inf"))
GRIDS: list[Any] = [Baseline, Lookahead, Local, SemiLocal, ShapeSearch, Transfer]


@pytest.mark.parametrize("lr", TOO_LARGE)
def test_an_lr_that_overflows_is_refused_in_every_option(lr: float) -> None:
    grid, cap = rf"^grid: must hold LRs {LRS}", rf"^max_lr: must be an LR {LRS}"
    for params in GRIDS:
        with pytest.raises(ValueError, match=grid.replace("+", r"\+")):
            params(grid=(0.1, lr))
    with pytest.raises(ValueError, match=grid.replace("+", r"\+")):
        FitClosedForm(source="run", grid=(0.1, lr))
    for params in (Lookahead, Local, SemiLocal, Transfer):
        with pytest.raises(ValueError, match=cap.replace("+", r"\+")):
            params(max_lr=lr)
    for text in (f"{lr}", f"sgd={lr}"):
        with pytest.raises(ValueError, match=r"^initial_lr: must be an LR greater than 0 and at most"):
            GreedyComparison(initial_lr=(text,))


def test_the_largest_lr_is_the_largest_number_of_float32() -> None:
    np = pytest.importorskip("numpy")
    assert float(np.finfo(np.float32).max) == LARGEST_LR
    for params in GRIDS:
        params(grid=(0.1, LARGEST_LR))
