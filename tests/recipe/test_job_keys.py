"""Equal work keeps its key: jobs of all bundled recipes, and the defaults that keys leave out, as they were recorded.

    python tests/recipe/test_job_keys.py

records them anew, which is right only where `NUMERICS` was raised, or something was added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, replace
from pathlib import Path
from typing import Any

from lrctl.contracts.canonical import digest, listed
from lrctl.contracts.job import NUMERICS, SegmentJob
from lrctl.contracts.optimizers import OPTIMIZERS
from lrctl.contracts.params import fields_of
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.engine.prepare import spec_of
from lrctl.planning.rehearsal import Guess
from lrctl.recipe.files import bundled
from lrctl.recipe.parse import read
from lrctl.recipe.schema import Training
from lrctl.registry.registry import registry

RECORDED = Path(__file__).parents[1] / "data" / "job_keys.json"
SOME = 40
"""How many jobs of a recipe's first batch are looked at: some have thousands."""


def strategy_of(name: str) -> str:
    """The strategy that a recipe's first line runs; semilocal if its command is none."""
    command = bundled()[name].read_text(encoding="utf-8").split()[2]
    return command if command in [part.name for part in registry().of("strategy")] else "semilocal"


def keys_of(name: str) -> str:
    """A digest of the keys of a plain job, and of the jobs that the recipe's strategy asks for first."""
    recipe = read(name, {"training.device": "cpu"})
    spec, run, strategy = spec_of(recipe, None, ""), recipe.run_spec, strategy_of(name)
    guessed = replace(run, exact=Guess()) if run.exact else run
    first = next(registry().get("strategy", strategy).target(recipe.params(strategy), guessed))
    plain = SegmentJob(0, 10, PiecewiseLinear(((0, 0.0), (10, 1e-3))), evaluate=("validation",))
    return digest([job.key(spec) for job in [plain, *first.jobs[:SOME]]])


def defaults() -> dict[str, dict[str, Any]]:
    """The defaults of all that enters keys."""
    kinds = {"training": Training, **{f"optimizer {name}": kind for name, kind in OPTIMIZERS.items()}}
    kinds |= {f"workload {part.name}": part.params for part in registry().of("workload")}
    return {
        name: {field.name: listed(field.default) for field in fields_of(kind) if field.default is not MISSING}
        for name, kind in kinds.items()
    }


def recorded() -> Any:
    """What was recorded."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def differing(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What is not as it was; what is new does not count."""
    return {name: now.get(name) for name in before if now.get(name) != before[name]}


def test_the_jobs_of_all_bundled_recipes_have_the_keys_that_were_recorded() -> None:
    before = recorded()
    assert before["numerics"] == NUMERICS
    assert differing({name: keys_of(name) for name in bundled()}, before["keys"]) == {}


def test_no_default_has_changed_without_the_numerics_version() -> None:
    now, before = defaults(), recorded()["defaults"]
    assert {name: changed for name in before if (changed := differing(now.get(name, {}), before[name]))} == {}


if __name__ == "__main__":
    found = {"numerics": NUMERICS, "keys": {name: keys_of(name) for name in bundled()}, "defaults": defaults()}
    RECORDED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
