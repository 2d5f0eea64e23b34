"""A schedule as a short file of code or data that a training project takes as it is, without lrctl.

Every `lr(t)` in it is equal to the schedule's, bit for bit, at each step of the run (optax: rounded to float32). What
comes after the last step is an error, or the user's choice.
"""

from __future__ import annotations

import importlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from textwrap import shorten, wrap
from typing import Any

from lrctl._version import __version__
from lrctl.analysis.printable import printable
from lrctl.contracts.optimizers import OPTIMIZERS, AdamW
from lrctl.contracts.schedule import AdaptiveSchedule, ScheduleRecord
from lrctl.errors import UsageError, unknown
from lrctl.export.formula import Formula, formula
from lrctl.export.found_with import FoundWith
from lrctl.export.frameworks import (
    AVERAGES_USAGE,
    LIGHTNING,
    LIGHTNING_USAGE,
    NO_PARAM_GROUPS,
    OPTAX,
    OPTAX_USAGE,
    OPTIMIZER,
    PARAM_GROUPS,
    TORCH,
    TORCH_USAGE,
    TRANSFORMERS,
    TRANSFORMERS_USAGE,
    WATCH,
    WATCH_USAGE,
)
from lrctl.export.source import constant
from lrctl.registry.registry import registry
from lrctl.registry.schedules import recorded


@dataclass(frozen=True, slots=True)
class Exported:
    """A schedule on its way into a file.

    Attributes:
        source: what it is from, for people: `run NAME`, or a file.
        module: the name under which the file will be imported.
        to: the target.
        found: what it was found with, where a run tells.
        told: what else there is to say of it.
        line: what a run is watched by: the loss at some steps, its gain with each doubling, and the tolerance.
    """

    record: ScheduleRecord
    steps: int
    source: str
    module: str
    formula: Formula
    to: str = ""
    found: FoundWith | None = None
    told: str = ""
    line: Mapping[str, float] | None = None


def export(
    schedule: Any,
    steps: int,
    to: str,
    *,
    source: str,
    module: str = "lr_schedule",
    found: FoundWith | None = None,
    told: str = "",
    line: Mapping[str, float] | None = None,
) -> str:
    """The content of the file that gives a plain schedule to `to`, one of `TARGETS`.

    Raises:
        UsageError: there is no such target, the schedule is adaptive, or it gives something that is no LR.
    """
    if to not in TARGETS:
        raise unknown("target", to, TARGETS, f"--to {to}")
    if isinstance(schedule, AdaptiveSchedule):
        raise UsageError(
            f"{source}: the LRs of family {registry().family(schedule)} are decided during a run; "
            "export the run that used it by its name, and the LRs it used are replayed"
        )
    lr = formula(schedule, steps, source)
    return TARGETS[to](Exported(recorded(schedule), steps, source, module, lr, to, found, told, line))


# Data


def as_csv(e: Exported) -> str:
    return "step,lr\n" + "".join(f"{step},{lr!r}\n" for step, lr in enumerate(e.formula.lrs[: e.steps]))


def as_json(e: Exported) -> str:
    made_by = {"lrctl": __version__, "source": e.source} | ({"told": e.told} if e.told else {})
    document = {"steps": e.steps, "lr": e.formula.lrs[: e.steps], "schedule": asdict(e.record), "made_by": made_by}
    document |= {"found_with": e.found.document} if e.found else {}
    lines = (f" {json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in document.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


# Code


def code(title: str, usage: str, imports: str, functions: str, e: Exported) -> str:
    """A file of code for a framework: header, imports, formula, and the framework's own functions."""
    top = "\n".join(e.formula.imports)
    blocks = [header(e, title, usage), top, imports, e.formula.body, f"\n{functions.strip()}"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def torch_code(title: str, usage: str, functions: str, e: Exported) -> str:
    """A file for a framework on torch: with the optimizer too, where it is one of lrctl's."""
    own, line = e.found and e.found.optimizer, e.line
    imports, parts = [LR_SCHEDULER], [TORCH, *([constant("LINE", dict(line)), WATCH] if line else []), functions]
    if e.found:
        parts.append(constant("FOUND_WITH", e.found.document))
    if e.found and own:
        groups, unknown_groups = e.found.param_groups, e.found.unknown_groups
        parts += [constant("GROUPS", list(groups)), PARAM_GROUPS.format()] if groups else []
        parts += [NO_PARAM_GROUPS] if unknown_groups else []
        made_by = optimizer_class(own.made_by)
        imports, parts = [*made_by.imports, "import torch", *imports], [*parts, made_by.source]
        given = "".join(f", {name}={value!r}" for name, value in own.arguments.items() if value != math.inf)
        params = "param_groups(model)" if groups or unknown_groups else "model.parameters()"
        parts.append(OPTIMIZER.format(name=made_by.name, params=params, settings=given))
        usage += AVERAGES_USAGE if own.averages else ""
    if line:
        known = [*e.formula.imports, *imports]
        own_imports = [each for each in ("import math", "import warnings") if each not in known]
        imports, usage = [*own_imports, "", *imports], usage + WATCH_USAGE
    return code(title, usage, "\n".join(imports), "\n\n\n".join(part.strip() for part in parts if part), e)


@dataclass(frozen=True, slots=True)
class OptimizerClass:
    """How a file names the class of an optimizer, and what it needs for that: imports, or the class itself."""

    name: str
    imports: tuple[str, ...] = ()
    source: str = ""


def optimizer_class(made_by: str) -> OptimizerClass:
    module, _, name = made_by.replace(":", ".").rpartition(".")
    if module == "torch.optim":
        return OptimizerClass(f"{module}.{name}")
    own = {each.made_by for each in OPTIMIZERS.values()}
    if made_by in own and module.startswith("lrctl."):  # it works without lrctl; a store may name any module
        _, _, source = inspect.getsource(importlib.import_module(module)).partition("\nclass ")
        return OptimizerClass(name, ("import math", "from typing import Any", ""), f"class {source}")
    return OptimizerClass(name, (f"from {module.removesuffix('.py').rpartition('/')[2]} import {name}", ""))


def transformers_code(e: Exported) -> str:
    given = TRANSFORMERS.format(arguments=training_arguments(e))
    return torch_code("the Trainer of transformers", TRANSFORMERS_USAGE, given, e)


def training_arguments(e: Exported) -> dict[str, Any]:
    """The fields of TrainingArguments that match the run."""
    found: dict[str, Any] = {"max_steps": e.steps}
    if not e.found:
        return found
    pieces = e.found.training.micro_batches
    if size := e.found.batch_size:
        whole = size % pieces == 0
        found["per_device_train_batch_size"] = size // pieces if whole else size
        found["gradient_accumulation_steps"] = pieces if whole else 1
    if isinstance(own := e.found.optimizer, AdamW):
        found |= {"optim": "adamw_torch", "adam_beta1": own.betas[0], "adam_beta2": own.betas[1]}
        found |= {"adam_epsilon": own.eps, "weight_decay": own.weight_decay}
    if e.found.clip_norm or not e.found.may_clip:
        found["max_grad_norm"] = e.found.clip_norm
    bf16 = {"bf16": True} if e.found.training.dtype == "bfloat16" else {}
    return found | bf16 | {"seed": e.found.seed}


def header(e: Exported, title: str, usage: str) -> str:
    """The comment on top: what it is, what it is from, what it was found with, and how it is used."""
    source = repr(e.source)[1:-1]  # keeps whatever a file is called on its own line
    lines = [
        f"Learning-rate schedule for {title}: {e.steps} steps, from {source}.",
        f"Exported by lrctl {__version__}; it works without lrctl.",
        *wrap(e.told, 112),
        "",
        f"Family {e.record.family}:",
        *(f"    {name} = {shorten(repr(value), 90, placeholder=' ...')}" for name, value in e.record.params.items()),
    ]
    if e.formula.why_table:
        lines += [f"Its formula could not be carried ({e.formula.why_table}), so its LRs stand in a table."]
    if e.found:
        lines += [
            "",
            *(
                printable(shorten(line, 116, placeholder=" ...")) if len(line) > 116 else printable(line)
                for line in e.found.comment()
            ),
        ]
    lines += ["", f"Update t, counted from 0, uses lr(t), t < {e.steps}; an update after the last one is an error."]
    lines += usage.format(module=e.module, steps=e.steps, **words(e)).rstrip().splitlines()
    return "\n".join(f"# {line}".rstrip() for line in lines)


def words(e: Exported) -> dict[str, str]:
    """The parts of the usage that depend on whether the file has the optimizer, and clips gradients."""
    own, clip = e.found and e.found.optimizer, e.found.clip_norm if e.found else 0.0
    clipped = f"        torch.nn.utils.clip_grad_norm_(model.parameters(), {clip!r})\n"
    groups = ", groups" if e.found and e.found.unknown_groups else ""
    made = f"make_optimizer(self{groups})" if own else "torch.optim.AdamW(self.parameters())"
    other = "optimizer = torch.optim.AdamW(model.parameters())\n    " if e.to == "transformers" else ""
    return {
        "optimizer_import": ", optimizer as make_optimizer" if own else "",
        "optimizer_line": f"optimizer = make_optimizer(model{groups})\n    " if own else other,
        "clip_line": clipped if clip else "",
        "lightning_optimizer": made,
        "lightning_clip": f", gradient_clip_val={clip!r}" if clip else "",
    }


LR_SCHEDULER = "from torch.optim.lr_scheduler import LRScheduler"

TARGETS: Mapping[str, Callable[[Exported], str]] = {
    "torch": partial(torch_code, "PyTorch", TORCH_USAGE, ""),
    "transformers": transformers_code,
    "lightning": partial(torch_code, "Lightning", LIGHTNING_USAGE, LIGHTNING),
    "optax": partial(code, "optax", OPTAX_USAGE, "import jax.numpy as jnp\nimport numpy as np", OPTAX),
    "csv": as_csv,
    "json": as_json,
}
"""What a schedule can be exported to, and what writes it."""
