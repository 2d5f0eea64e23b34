from __future__ import annotations

import random
from itertools import product

import numpy as np
import torch

from lrctl.training.passes import seed_all


def drawn(seed: int, purpose: int | str) -> tuple[float, float, float]:
    seed_all(seed, purpose, torch.device("cpu"))
    return torch.rand(1).item(), np.random.random(), random.random()


def test_each_seed_step_and_purpose_draws_its_own_numbers_and_the_same_ones_again() -> None:
    # torch's generator looks at the low 32 bits of a seed only.
    purposes: list[int | str] = [0, 1, "weights", "score"]
    of = {(seed, purpose): drawn(seed, purpose) for seed, purpose in product((0, 1, 2**32), purposes)}
    for numbers in zip(*of.values(), strict=True):
        assert len(set(numbers)) == len(of)
    assert of == {each: drawn(*each) for each in of}
