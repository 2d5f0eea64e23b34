"""What a schedule was found with: optimizer, data, losses. It is worth little with others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_type_hints

from lrctl.contracts.optimizers import OptimizerSettings
from lrctl.errors import LrctlError
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe, Training
from lrctl.storage.run_result import LOSSES
from lrctl.storage.runs import FinishedRun

SHORT = 300
"""Letters of a value beyond which a comment leaves it out."""


@dataclass(frozen=True, slots=True)
class FoundWith:
    """The settings of the run that found a schedule.

    Attributes:
        optimizer: one of lrctl's; None where the workload brings its own, or may.
        groups: whether there are param groups: the workload's own, or by role.
        param_groups: these, as `lrctl.optimizers.by_role.told` has them, where the optimizer is one of lrctl's; None
            where only a checkpoint that is not there could tell them.
        losses: of the run handed over, by name.
        clip_norm: what is known to clip gradients, of the optimizer's settings and the workload's; 0 for nothing.
        may_clip: whether code of the workload's may clip them too, which nothing tells.
        weights: which were evaluated, where averages of them were kept.
        start: the first step that was searched, in a run that was under way.
    """

    run: str
    command: str
    seed: int
    workload: Mapping[str, Any]
    training: Training
    optimizer: OptimizerSettings | None
    groups: bool
    losses: Mapping[str, float | None]
    param_groups: tuple[Mapping[str, Any], ...] | None = ()
    clip_norm: float = 0.0
    may_clip: bool = False
    weights: str = ""
    start: int = 0

    @property
    def document(self) -> dict[str, Any]:
        """All of it as JSON values."""
        own = self.settings if self.optimizer else {"name": "the workload's"}
        told = {"run": self.run, "command": self.command, "seed": self.seed, "workload": dict(self.workload)}
        return told | {"optimizer": own, "training": self.changed, **self.besides, "losses": dict(self.losses)}

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the optimizer, its name first; of a file not where it lies."""
        assert self.optimizer
        own = {name: value for name, value in asdict(self.optimizer).items() if name not in ("name", "code")}
        return {"name": self.optimizer.name.rpartition("/")[2], **own}

    @property
    def changed(self) -> dict[str, Any]:
        """The settings of the training that a user would have to set as well."""
        always = {name: getattr(self.training, name) for name in ("steps", "dtype", "micro_batches", "tf32", "compile")}
        return always | ({"averaging": list(self.training.averaging)} if self.training.averaging else {})

    @property
    def besides(self) -> dict[str, Any]:
        """What is not the same as in a run that is trained from its first step and hands its last weights over."""
        told = {"weights": self.weights, "start": self.start}
        return {name: value for name, value in told.items() if value}

    @property
    def batch_size(self) -> int | None:
        found = self.workload.get("batch_size")
        return found if isinstance(found, int) else None

    def comment(self) -> Iterator[str]:
        """It in words, a line each."""
        losses = ", ".join(f"{name.replace('_', ' ')} {loss:.4f}" for name, loss in self.losses.items() if loss)
        yield f"Found by lrctl {self.command}, seed {self.seed}" + (f": {losses}." if losses else ".")
        yield "It was found with these settings, and is worth less with others:"
        yield f"    workload = {self.workload['name']}"
        for name, value in self.workload.items():
            if name != "name" and len(repr(value)) < SHORT:
                yield f"    workload.{name} = {value!r}"
        if self.optimizer:
            (_, kind), *settings = self.settings.items()
            yield f"    optimizer = {kind}"
            yield from (f"    optimizer.{name} = {value!r}" for name, value in settings if value != {})
        else:
            yield "    optimizer = the workload's own, or else AdamW as lrctl has it"
        yield from self.told_of_groups()
        if self.may_clip:
            yield "    clipping = that of the workload's code, if it clips: set yours, where this file does not"
        yield from (f"    training.{name} = {value!r}" for name, value in self.changed.items())
        if self.weights:
            yield f"    weights = {self.weights}: its losses are of these, and only a run that keeps them has such"
        if self.start:
            yield f"    start = {self.start}: the run was under way, and the schedule was searched from this step on"

    def told_of_groups(self) -> Iterator[str]:
        if self.param_groups:
            yield "    param groups = param_groups(model), below"
        elif self.unknown_groups:
            yield "    param groups = not known, since the run has no checkpoint: optimizer(model, groups) needs yours"
        elif self.groups:
            yield "    param groups = those of the workload's param_groups(model)"
        elif self.param_groups is None:
            yield "    param groups = those of the workload's param_groups(model), if it has that"

    @property
    def unknown_groups(self) -> bool:
        """Whether there are param groups that nothing tells."""
        return self.groups and self.param_groups is None


def found_with(run: FinishedRun) -> FoundWith | None:
    """What a run was made with; None where its recipe cannot be read any more, as when a plugin of it is gone.

    No code of a user's is run for it.
    """
    try:
        recipe = recipes.read(str(run.store.runs.recipe_file(run.name)), stored=True) if run.recipe else None
    except LrctlError:
        return None
    assert recipe is not None
    losses = {name: getattr(run.result, name) for name in LOSSES}
    ran_on = run.store.runs.environment(run.name) or {}
    told = ran_on.get("workload")
    workload = {
        **(told if isinstance(told, dict) else {}),
        **recipe.workload.table,
        "name": recipe.workload.name.rpartition("/")[2],
    }
    optimizer = optimizer_of(run, recipe, brings_own=ran_on.get("own_optimizer"))
    known = registered(recipe)
    groups = bool(optimizer and optimizer.by_role) or hasattr(known, "param_groups")
    kept = param_groups_of(run) if optimizer and (groups or known is None) else ()
    return FoundWith(
        run.name,
        run.result.command,
        run.result.seed,
        workload,
        recipe.training,
        optimizer,
        groups or bool(kept),
        losses,
        kept,
        *clipping(workload, optimizer, known),
        run.result.weights,
        run.result.start,
    )


def param_groups_of(run: FinishedRun) -> tuple[Mapping[str, Any], ...] | None:
    """The param groups that a run's checkpoint tells of; None where there is no checkpoint."""
    key = run.result.checkpoint
    if key is None or not run.store.has_checkpoint(key):
        return None
    return tuple(run.store.read_checkpoint(key).get("groups", ()))


def registered(recipe: Recipe) -> type | None:
    """The class of a registered workload that trains here; None where nothing tells it."""
    from lrctl.recipe.workloads import is_code, is_program
    from lrctl.registry.registry import registry

    name = recipe.workload.name
    if is_code(name) or is_program(name):
        return None
    target = registry().get("workload", name).target
    try:
        made = target if isinstance(target, type) else get_type_hints(target).get("return")
    except NameError:  # it is imported for type checkers only
        return None
    told = isinstance(made, type) and not made.__module__.startswith("lrctl.")  # a contract, or any parts: no class
    return made if told else None


def clipping(
    workload: Mapping[str, Any], optimizer: OptimizerSettings | None, known: type | None
) -> tuple[float, bool]:
    """By what norm gradients were clipped, as far as settings tell; and whether the workload may have done more."""
    own = workload.get("clip_norm")
    norms = [optimizer.clip_norm if optimizer else 0.0, own if isinstance(own, int | float) else 0.0]
    told = own is not None or not (known is None or hasattr(known, "before_update"))
    return float(min(filter(None, norms), default=0.0)), not told


def optimizer_of(run: FinishedRun, recipe: Recipe, *, brings_own: bool | None) -> OptimizerSettings | None:
    """That of what was handed over: its own, the recipe's, or AdamW where the workload is known to bring none.

    `brings_own` is what was written down of that when the run began; None where nothing was.
    """
    if run.result.optimizer:
        return recipes.check_optimizer(run.result.optimizer, f"run {run.name}").settings
    settled = recipe.optimizer.given or recipe.run_spec.optimizer or brings_own is False
    return recipe.optimizer.settings if settled else None
