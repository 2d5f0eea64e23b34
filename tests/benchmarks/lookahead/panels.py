"""The workloads of each panel, and a search on one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lrctl

FOREIGN = Path(__file__).parents[1] / "foreign"
LENGTHS = (200, 600, 2400)


def decades(lowest: int) -> tuple[float, ...]:
    """13 base LRs over three decades, the first 10 ** lowest.

    >>> decades(-4)[:3]
    (0.0001, 0.000178, 0.000316)
    """
    return tuple(float(f"{10 ** (lowest + i / 4):.3g}") for i in range(13))


@dataclass(frozen=True, slots=True)
class Entry:
    """A workload of a panel.

    Attributes:
        lrs: the base LRs that the reference begins with; it goes on where the best is on the edge.
        steps: the lengths of its runs.
        needs: a package that it cannot do without.
        exact: its losses are computed, so that seeds mean nothing.
    """

    name: str
    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    lrs: tuple[float, ...] = decades(-4)
    steps: tuple[int, ...] = LENGTHS
    needs: str = ""
    exact: bool = False

    @property
    def missing(self) -> str:
        """Why it is left out on this machine; empty if it is not."""
        lacks = self.needs and find_spec(self.needs) is None
        return f"{self.name}: left out: {self.needs} is not installed; run: pip install {self.needs}" if lacks else ""


def foreign(name: str, workload: str, steps: int, lowest: int = -4, needs: str = "", **optimizer: Any) -> Entry:
    """A workload of a file of its own."""
    own = {f"optimizer.{key}": value for key, value in optimizer.items()}
    settings = {"workload.name": f"{FOREIGN / workload}", **own}
    return Entry(name, "quickstart", settings, decades(lowest), (steps,), needs)


WIDE = {"workload.tokenizer": "bpe:1024", "workload.layers": 3, "workload.d_model": 96}
DESIGN = (
    Entry("quickstart", "quickstart"),
    Entry("bytes", "quickstart", {"workload.tokenizer": "bytes"}),
    Entry("wide", "quickstart", WIDE),
    Entry("fashion-mnist", "fashion-mnist"),
    Entry("mlp", "fashion-mnist", {"workload.model": "mlp", "workload.width": 16}),
    Entry("exact", "shape-linear-regression", lrs=decades(-2), exact=True),
)
REPORT = (
    foreign("char-gpt", "char_gpt.py:CharGPT", 200),
    foreign("adder-gpt", "adder_gpt.py:AdderGPT", 800, clip_norm=1.0),
    foreign("lstm", "lstm_lm.py:LanguageModel", 300),
    foreign("vae", "vae.py:DigitsVAE", 600, needs="sklearn"),
    foreign("cnn", "digits_cnn.py:DigitsCNN", 300, lowest=-3, needs="sklearn"),
    foreign("bert", "bert_classifier.py:TinyBert", 300, needs="transformers"),
)
PANELS = {"A": DESIGN, "B": REPORT}


@dataclass(frozen=True, slots=True)
class Case:
    """A workload with a length and a seed, and where its runs are kept."""

    entry: Entry
    steps: int
    seed: int
    store: str
    own: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.entry.name}, {self.steps}, {self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.entry.settings, "training.steps": self.steps, "training.seed": self.seed, **self.own}

    def search(self, command: str, settings: Mapping[str, Any] = {}, name: str | None = None) -> dict[str, Any]:
        """The result of a search; what the store knows is not trained again."""
        return lrctl.search(
            command, self.entry.recipe, settings={**settings, **self.settings}, store=self.store, name=name
        )
