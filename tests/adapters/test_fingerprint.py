"""What decides the fingerprint of objects: their code as it runs, what it uses, and their data."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import TensorDataset

from lrctl.adapters.fingerprint import fingerprint


class Scale:
    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, x: Tensor) -> Tensor:
        return x * self.by


class Cached:
    @functools.cached_property
    def scale(self) -> float:
        return 1.0


class Pair(NamedTuple):
    first: int
    second: int = 1


class Words(frozenset[str]):
    pass


averaging: Any = get_ema_multi_avg_fn
"""Installed, and makes functions that hold what it was given."""


def scaled(by: float) -> Any:
    return lambda x: x * by


def test_equal_things_have_equal_fingerprints_and_others_others() -> None:
    data = torch.arange(6.0)
    large = torch.zeros(300_000)
    things: list[Any] = [
        data, data.double(), data.reshape(2, 3), data + 1, TensorDataset(data), Scale(1.0), Scale(2.0), Scale,
        scaled(1.0), scaled(2.0), nn.Linear, nn.ReLU(), nn.functional.relu, {"a": 1}, {"a": 2}, ["a", "b"], torch,
        large, large.numpy(), Cached(), Pair(1), Pair(2), averaging(0.9), averaging(0.99),
        {"a", "b"}, {"a", "c"}, frozenset("ab"), Words("ab"),
    ]  # fmt: skip
    told = [fingerprint(thing, "it") for thing in things]
    assert len({*told}) == len(things)
    assert fingerprint(scaled(1.0), "it") == told[8]
    assert fingerprint(Scale(2.0), "it") == told[6]
    assert fingerprint(torch.arange(6.0), "it") == told[0]


def test_what_a_function_uses_counts_and_what_calls_itself_ends() -> None:
    source = "def f(n): return RATE * g(n)\ndef g(n): return n if n in {'a', 'b', 'c'} else f(n - 1)\n"
    told = []
    for rate in (1, 2, 1):
        names: dict[str, Any] = {"RATE": rate, "__name__": "__main__"}
        exec(source, names)
        told.append(fingerprint(names["f"], "it"))
    assert told[0] == told[2] != told[1]


@pytest.fixture
def own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "own_outer.py").write_text("import own_scale\n")
    (tmp_path / "own_folder").mkdir()
    (tmp_path / "own_folder" / "again.py").write_text("from own_scale import scale\n")
    return tmp_path


@pytest.mark.parametrize(
    "source",
    [
        "import own_scale\ndef f(): return own_scale.scale()",
        "import own_scale\ndef f(): return getattr(own_scale, 'scale')()",
        "import own_outer\ndef f(): return own_outer.own_scale.scale()",
        "import own_folder.again\ndef f(): return own_folder.again.scale()",
        "def f():\n    import own_scale\n    return own_scale.scale()",
        "def f():\n    from own_scale import scale\n    return scale()",
        "def f():\n    def g():\n        from own_folder import again\n    return g",
        "def f():\n    from .again import scale\n    return scale()",
        "from functools import cache\n@cache\ndef f():\n    import own_outer",
        "import own_scale\nclass f:\n    def g(self): return own_scale.scale()",
    ],
)
def test_modules_of_the_users_that_code_uses_count(source: str, own_modules: Path) -> None:
    def told(rate: float) -> str:
        (own_modules / "own_scale.py").write_text(f"def scale(): return {rate}\n")
        for name in [each for each in sys.modules if each.startswith("own_")]:
            del sys.modules[name]
        names: dict[str, Any] = {"__name__": "__main__", "__package__": "own_folder"}
        exec(source, names)
        return fingerprint(names["f"], "it")

    first = told(1.0)
    assert told(2.0) != first
    assert told(1.0) == first


def test_what_a_module_is_given_as_the_program_runs_counts(own_modules: Path) -> None:
    (own_modules / "own_scale.py").write_text("RATE = 1\n")
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("import own_scale\ndef f(): return own_scale.RATE", names)
    first = fingerprint(names["f"], "it")
    names["own_scale"].RATE = 2
    assert fingerprint(names["f"], "it") != first


SETS = """
from functools import partial
from lrctl.adapters.fingerprint import fingerprint

words = {"ab", "cd", "ef", frozenset({"gh", "ij"}), ("kl", "mn")}

def default(x, known=words): return x in known
def closed(known): return lambda x: x in known

print(fingerprint([words, default, partial(default, known=frozenset(words)), closed(words), {"a": words}], "it"))
"""


def test_sets_are_told_alike_whatever_their_order() -> None:
    def told(seed: int) -> bytes:
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        return subprocess.run([sys.executable, "-c", SETS], env=environment, check=True, capture_output=True).stdout

    assert told(1) == told(2)
