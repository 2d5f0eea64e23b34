"""A schedule as a short file of code or data that a training project takes as it is, without lrctl.

Every `lr(t)` in it is equal to the schedule's, bit for bit, at each step of the run (optax: rounded to float32), and
stays as it is at the end from there on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from textwrap import shorten
from typing import Any

from lrctl._version import __version__
from lrctl.contracts.schedule import AdaptiveSchedule, ScheduleRecord
from lrctl.errors import UsageError, unknown
from lrctl.export.formula import Formula, formula
from lrctl.registry.registry import registry
from lrctl.registry.schedules import recorded


@dataclass(frozen=True, slots=True)
class Exported:
    """A schedule on its way into a file.

    Attributes:
        source: what it is from, for people: `run NAME`, or a file.
        module: the name under which the file will be imported.
    """

    record: ScheduleRecord
    steps: int
    source: str
    module: str
    formula: Formula


def export(schedule: Any, steps: int, to: str, *, source: str, module: str = "lr_schedule") -> str:
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
    return TARGETS[to](Exported(recorded(schedule), steps, source, module, lr))


# Data


def as_csv(e: Exported) -> str:
    return "step,lr\n" + "".join(f"{step},{lr!r}\n" for step, lr in enumerate(e.formula.lrs[: e.steps]))


def as_json(e: Exported) -> str:
    made_by = {"lrctl": __version__, "source": e.source}
    document = {"steps": e.steps, "lr": e.formula.lrs[: e.steps], "schedule": asdict(e.record), "made_by": made_by}
    lines = (f" {json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in document.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


# Code


def code(title: str, usage: str, imports: str, functions: str, e: Exported) -> str:
    """A file of code for a framework: header, imports, formula, and the framework's own functions."""
    top = "\n".join(e.formula.imports)
    blocks = [header(e, title, usage), top, imports, e.formula.body, f"\n{functions.strip()}"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def header(e: Exported, title: str, usage: str) -> str:
    """The comment on top: what it is, what it is from, and how it is used."""
    source = repr(e.source)[1:-1]  # keeps whatever a file is called on its own line
    lines = [
        f"Learning-rate schedule for {title}: {e.steps} steps, from {source}.",
        f"Exported by lrctl {__version__}; it works without lrctl.",
        "",
        f"Family {e.record.family}:",
        *(f"    {name} = {shorten(repr(value), 90, placeholder=' ...')}" for name, value in e.record.params.items()),
    ]
    if e.formula.why_table:
        lines += [f"Its formula could not be carried ({e.formula.why_table}), so its LRs stand in a table."]
    lines += ["", f"Update t, counted from 0, uses lr(t). From step {e.steps} on the LR stays lr({e.steps})."]
    lines += usage.format(module=e.module, steps=e.steps).rstrip().splitlines()
    return "\n".join(f"# {line}".rstrip() for line in lines)


TORCH_USAGE = """
    from {module} import make_scheduler

    scheduler = make_scheduler(optimizer)
    for batch in batches:
        ...
        optimizer.step()
        scheduler.step()

A param group's LR is lr(t) times its lr_scale if it has one, else times its own LR over the first group's: of the LRs
that the optimizer was made with only that ratio matters. To resume, load the state_dicts of the optimizer and the
scheduler, in any order.
"""

TORCH = '''
class Scheduler(LRScheduler):
    """Sets the LR of each param group to lr(step) times the group's scale."""

    def __init__(self, optimizer, last_epoch=-1):
        self.scales = scales(optimizer.param_groups)
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if len(self.scales) != len(self.optimizer.param_groups):  # one was added
            self.scales = scales(self.optimizer.param_groups)
        return [scale * lr(self.last_epoch) for scale in self.scales]

    def load_state_dict(self, state_dict):
        """Resume; also where the optimizer's state was loaded before this scheduler was made and reset its LRs."""
        super().load_state_dict(state_dict)
        self._last_lr = self.get_lr()
        for group, value in zip(self.optimizer.param_groups, self._last_lr):
            if hasattr(group["lr"], "fill_"):
                group["lr"].fill_(value)
            else:
                group["lr"] = value


def scales(groups):
    """What lr(step) is multiplied by for each param group: its lr_scale, or else its own LR over the first group's."""
    for group in groups:  # torch's schedulers keep a group's own LR there too
        group.setdefault("initial_lr", float(group["lr"]))
    own = [float(group["initial_lr"]) for group in groups]
    unit = own[0] if 0 < own[0] < float("inf") else float("nan")
    found = [1.0 if value == own[0] else value / unit for value in own]
    found = [float(group.get("lr_scale", scale)) for group, scale in zip(groups, found)]
    if not all(0 <= scale < float("inf") for scale in found):
        raise ValueError(f"param groups of LRs {own} cannot be scaled by {found}; give each an lr_scale of at least 0")
    return found


def make_scheduler(optimizer, last_epoch=-1):
    """A scheduler that starts at step 0, or after update last_epoch; its state_dict resumes at any step."""
    return Scheduler(optimizer, last_epoch)
'''

TRANSFORMERS_USAGE = """
    from {module} import make_scheduler

    optimizer = torch.optim.AdamW(model.parameters())
    trainer = Trainer(
        model,
        TrainingArguments(max_steps={steps}, ...),
        optimizers=(optimizer, make_scheduler(optimizer)),
        ...
    )

max_steps must be {steps}. A param group's LR is lr(t) times its lr_scale if it has one, else times its own LR over the
first group's; learning_rate, warmup_steps and lr_scheduler_type of TrainingArguments have no effect.
"""

LIGHTNING_USAGE = """
    from {module} import configure

    class Model(LightningModule):
        def configure_optimizers(self):
            return configure(torch.optim.AdamW(self.parameters()))

Train with Trainer(max_steps={steps}). A param group's LR is lr(t) times its lr_scale if it has one, else times its own
LR over the first group's.
"""

LIGHTNING = '''
def configure(optimizer):
    """What configure_optimizers returns: the optimizer, and its scheduler, which is stepped after every update."""
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": make_scheduler(optimizer), "interval": "step"}}
'''

OPTAX_USAGE = """
    from {module} import schedule

    optimizer = optax.adamw(schedule)

schedule(count) is lr(count) in float32, and can be traced.
"""

OPTAX = '''
TABLE = np.array([lr(step) for step in range(STEPS + 1)], dtype=np.float32)


def schedule(count):
    """The LR of update `count`, counted from 0."""
    return jnp.asarray(TABLE)[jnp.minimum(count, STEPS)]
'''

LR_SCHEDULER = "from torch.optim.lr_scheduler import LRScheduler"

TARGETS: Mapping[str, Callable[[Exported], str]] = {
    "torch": partial(code, "PyTorch", TORCH_USAGE, LR_SCHEDULER, TORCH),
    "transformers": partial(code, "the Trainer of transformers", TRANSFORMERS_USAGE, LR_SCHEDULER, TORCH),
    "lightning": partial(code, "Lightning", LIGHTNING_USAGE, LR_SCHEDULER, f"{TORCH}\n{LIGHTNING}"),
    "optax": partial(code, "optax", OPTAX_USAGE, "import jax.numpy as jnp\nimport numpy as np", OPTAX),
    "csv": as_csv,
    "json": as_json,
}
"""What a schedule can be exported to, and what writes it."""
