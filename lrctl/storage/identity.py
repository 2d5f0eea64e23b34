"""What decides a run's result: canonical JSON, by whose digest a run is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from lrctl.contracts.canonical import canonical_json, digest
from lrctl.contracts.job import NUMERICS, TrainSpec
from lrctl.contracts.params import identity
from lrctl.contracts.strategy import beside
from lrctl.recipe.plugin_code import code_of, family_code
from lrctl.recipe.schema import Recipe
from lrctl.registry.registry import registry
from lrctl.storage.records import from_json

FORMAT = "lrctl-run/1"


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Everything that decides the result of a run. Settings at their defaults are left out, as in the keys of jobs.

    Attributes:
        device: the type of device; None where nothing was trained.
        content: digest of the data and of the user's code; None where nothing was trained.
        workload: its `name` and parameters; that of `file.py:Class` without the path.
        plugins: third-party code: that of the strategy, and of families whose schedules see the run; left out if empty.
        start: where the search begins in a run that is under way: the `job` that stands for its checkpoint, the step
            `at` which that was left, and the `lr` there; left out if empty.
    """

    command: str
    numerics: int
    device: str | None
    content: str | None
    training: Mapping[str, Any]
    divergence: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    workload: Mapping[str, Any]
    strategy: Mapping[str, Any]
    plugins: Mapping[str, str] = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, command: str, recipe: Recipe, spec: TrainSpec | None) -> RunIdentity:
        """The identity of a search of a recipe; without a spec, of one that trains nothing."""
        choice, params = recipe.workload, recipe.params(command)
        decided = {} if params is None else identity(params)
        if recipe.start:  # nothing stands beside a search of what is left
            decided = {name: value for name, value in decided.items() if name not in beside(type(params))}
        code = code_of(registry().get("strategy", command))
        decides = {
            "command": command,
            "numerics": NUMERICS,
            "device": None if spec is None else spec.device.partition(":")[0],
            "content": None if spec is None else spec.content,
            "training": identity(recipe.training),
            "divergence": identity(recipe.divergence),
            "optimizer": recipe.optimizer.changed if recipe.optimizer.given else {},
            "workload": {"name": choice.name.rpartition(":")[2], **choice.changed},
            "strategy": decided,
            "plugins": ({"strategy": code} if code else {}) | family_code(),
            "start": {"job": recipe.imported, "at": run.start, "lr": run.lr} if (run := recipe.run_spec).start else {},
        }
        return cls.from_json(json.loads(canonical_json(decides)))  # equal to what is read back: tuples are lists

    @property
    def name(self) -> str:
        """What such a run is called, unless the user names it."""
        return f"{self.command}-{digest(self.to_json())[:8]}"

    @property
    def steps(self) -> int:
        return int(self.training["steps"])

    @property
    def seed(self) -> int:
        return int(self.training.get("seed", 0))

    def to_json(self) -> dict[str, Any]:
        document = {"format": FORMAT, **asdict(self)}
        return {name: value for name, value in document.items() if value or name not in ("plugins", "start")}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RunIdentity:
        """The inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: it is no document of this format.
        """
        known = {"plugins": {}, "start": {}, **document}
        found: RunIdentity = from_json(cls, {each.name: known[each.name] for each in fields(cls)})
        for table, name, kind in (("training", "steps", int), ("workload", "name", str)):
            if type(getattr(found, table)[name]) is not kind:
                raise TypeError(f"{table}.{name}: must be of type {kind.__name__}")
        return found
