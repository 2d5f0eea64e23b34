"""The state of an optimizer that another program saved, checked on the new one that is to go on from it.

Imports torch.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lrctl.contracts.canonical import listed
from lrctl.contracts.optimizers import ByName, OptimizerSettings
from lrctl.errors import UsageError
from lrctl.storage.foreign import NO_STATE
from lrctl.training.optimizer_state import clear_gradients, switch

KERNELS = ("fused", "foreach", "capturable", "differentiable")
"""Keys of param groups that say how an optimizer computes, and not what."""

NO_SETTINGS = frozenset({*KERNELS, "params", "name", "param_names", "lr", "initial_lr", "max_lr", "min_lr", "swa_lr"})
"""Keys of param groups that may be anything: the LRs are the search's, and names decide nothing."""

INSTEAD = "choose the optimizer that it is of, or leave the optimizer out of the checkpoint"

Groups = list[dict[str, Any]]


def adopted(given: Any, own: torch.optim.Optimizer, settings: OptimizerSettings | None, path: Path) -> dict[str, Any]:
    """A state as the new optimizer goes on from it, computing as it does here; `own` is changed on the way.

    Raises:
        UsageError: it is the state of another optimizer, of one with other settings, or for other parameters.
    """
    where, kind = f"--from {path}: the optimizer's state", type(own).__name__
    theirs, states = parts(given, where)
    sizes, mine = ([len(group["params"]) for group in groups] for groups in (theirs, own.param_groups))
    if sizes != mine:
        raise UsageError(f"{where} is for param groups of {sizes} parameters, and this one has {mine}; make them alike")
    new: Groups = copy.deepcopy(own.state_dict()["param_groups"])
    moved = moved_by_updates(own)
    made = [dict(own.state.get(parameter, {})) for group in own.param_groups for parameter in group["params"]]
    for old, ours in zip(completed(theirs, own), new, strict=True):
        check_keys(old.keys(), ours.keys(), moved, where, kind)
    for old, ours in zip(theirs, new, strict=True):
        both = {key: (listed(old[key]), listed(ours[key])) for key in old.keys() & ours.keys() - moved - NO_SETTINGS}
        check_settings({key: pair for key, pair in both.items() if pair[0] != pair[1]}, settings, where, kind)
    for state, ours in zip(states, made, strict=True):
        check_state(state, ours, where, kind)
    groups = [
        {key: ours[key] for key in ours if key not in old} | old | {key: ours[key] for key in KERNELS if key in ours}
        for old, ours in zip(theirs, new, strict=True)
    ]
    return {**given, "param_groups": groups}


def parts(given: Any, where: str) -> tuple[Groups, list[Mapping[str, Any]]]:
    """The param groups, and what is kept of each parameter."""
    with suppress(TypeError, LookupError, AttributeError):
        groups = given["param_groups"]
        states = [given["state"].get(key, {}) for group in groups for key in group["params"]]
        named = (name for each in (*groups, *states) for name in each.keys())  # noqa: SIM118 - a tensor has none
        if all(isinstance(name, str) for name in named) and all(isinstance(group["params"], list) for group in groups):
            return groups, states
    raise UsageError(f"{where} {NO_STATE}")


def check_state(given: Mapping[str, Any], made: Mapping[str, Any], where: str, kind: str) -> None:
    """Compare what is kept of a parameter, if anything is, with what updates make."""
    if given and (missing := sorted(made.keys() - given.keys())):
        raise UsageError(f"{where} has no {missing[0]!r} of a parameter, and that of {kind} has; {INSTEAD}")
    for name, tensor in given.items():
        ours = made.get(name)
        if not (isinstance(tensor, torch.Tensor) and isinstance(ours, torch.Tensor)):
            continue
        if tensor.numel() > 1 and tensor.shape != ours.shape:
            shapes = f"has {name!r} of shape {tuple(tensor.shape)} where {tuple(ours.shape)} is needed"
            raise UsageError(f"{where} {shapes}; it may be of parameters in another order")


def moved_by_updates(optimizer: torch.optim.Optimizer) -> set[str]:
    """The keys of param groups that hold no settings but state: updates make or change them, or evaluation does."""
    seen = [snapshot(optimizer)]
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    # It may want gradients of another kind: then what it is made with is all that is known of it.
    with suppress(Exception):
        switch(optimizer, "train")
        for _ in range(2):  # in its first update, Prodigy has gone no way yet to estimate an LR by
            optimizer.step()
        seen.append(snapshot(optimizer))
        switch(optimizer, "eval")
        seen.append(snapshot(optimizer))
    clear_gradients(parameter for group in optimizer.param_groups for parameter in group["params"])
    return {
        key
        for after in seen[1:]
        for old, new in zip(seen[0], after, strict=True)
        for key in new
        if key not in old or old[key] != new[key]
    }


def snapshot(optimizer: torch.optim.Optimizer) -> Groups:
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    return [listed(copy.deepcopy(group)) for group in groups]


def completed(theirs: Groups, own: torch.optim.Optimizer) -> Groups:
    """Param groups with the keys that torch itself adds to those of its earlier versions."""
    own.load_state_dict({"state": {}, "param_groups": copy.deepcopy(theirs)})
    return own.param_groups


def check_keys(theirs: Set[str], ours: Set[str], moved: Set[str], where: str, kind: str) -> None:
    may_lack = NO_SETTINGS | {"lr_scale"}
    if missing := sorted(ours - theirs - may_lack):
        raise UsageError(f"{where} has no {missing[0]!r} in its param groups, and that of {kind} has; {INSTEAD}")
    if strange := sorted(theirs - ours - moved - may_lack):
        raise UsageError(f"{where} has {strange[0]!r} in its param groups, and that of {kind} has not; {INSTEAD}")


def check_settings(
    differ: Mapping[str, tuple[Any, Any]], settings: OptimizerSettings | None, where: str, kind: str
) -> None:
    """Refuse settings that differ; first of all one that no recipe sets, since it tells another optimizer."""
    known = asdict(settings) if settings else {}
    for key in sorted(differ, key=lambda key: key in known):
        theirs, ours = differ[key]
        made = f"{where} was made with {key} {theirs}, and"
        if isinstance(settings, ByName):
            set_it = f"--set optimizer.options.{key}={json.dumps(theirs, separators=(',', ':'))}"
        elif key in known and not isinstance(known[key], Mapping):
            set_it = f"--set optimizer.{key}={json.dumps(theirs, separators=(',', ':'))}"
        else:
            raise UsageError(f"{made} {kind} has {ours} here; {INSTEAD}")
        raise UsageError(f"{made} the recipe says {ours}; give {set_it}, or leave the optimizer out of the checkpoint")
