"""`lrctl list --roles`: what each parameter of a recipe's model is, and the LR scale and weight decay that it has."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any

from lrctl.errors import UsageError

COLUMNS = ("role", "parameter", "shape", "lr_scale", "weight_decay")


def listed_roles(recipe: str | None, workload: str | None, settings: Sequence[str], *, allow_code: bool) -> list[Any]:
    """A row for each parameter that the optimizer moves, as `COLUMNS` tells.

    Raises:
        UsageError: the recipe cannot be used, or its workload is a program.
    """
    from lrctl.engine.prepare import prepare
    from lrctl.recipe import parse as recipes

    overrides = dict(recipes.parse_setting(text) for text in settings)
    overrides |= {} if workload is None else {"workload.name": workload}
    with redirect_stdout(sys.stderr):  # what the user's own code prints must not get into the document
        return list(rows(prepare(recipes.read(recipe, overrides, allow_code=allow_code))))


def rows(spec: Any) -> Iterator[tuple[str, str, str, float, float]]:
    from lrctl.contracts.program import Program
    from lrctl.optimizers.building import build_optimizer
    from lrctl.optimizers.param_groups import scales
    from lrctl.optimizers.roles import roles
    from lrctl.recipe.project import running
    from lrctl.recipe.task_workload import workload_of
    from lrctl.training.passes import Passes

    workload = workload_of(spec)
    if isinstance(workload, Program):
        raise UsageError(
            f"workload {spec.workload}: it is a program, whose model lrctl does not see; leave --roles out"
        )
    with running(workload):
        model = Passes(workload, spec).model
        optimizer = build_optimizer(workload, model, spec.optimizer)
    known, names = roles(model), {id(parameter): name for name, parameter in model.named_parameters()}
    for group, scale in zip(optimizer.param_groups, scales(optimizer), strict=True):
        for parameter in group["params"]:
            name, shape = names.get(id(parameter), ""), " x ".join(map(str, parameter.shape))
            yield group.get("name", known.get(name, "")), name, shape, scale, float(group.get("weight_decay", 0.0))
