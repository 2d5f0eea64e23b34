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

Of the optimizer's own LRs only the ratios between its param groups matter. To resume, load the state_dicts of the
optimizer and the scheduler, in any order.
"""

TORCH = '''
class Scheduler(LambdaLR):
    """Sets the LR of each param group to its share of lr(step)."""

    def load_state_dict(self, state_dict):
        """Resume; also where the optimizer's state was loaded before this scheduler was made and reset its LRs."""
        super().load_state_dict(state_dict)
        self._last_lr = [share * lr(self.last_epoch) for share in self.base_lrs]
        for group, value in zip(self.optimizer.param_groups, self._last_lr):
            if hasattr(group["lr"], "fill_"):
                group["lr"].fill_(value)
            else:
                group["lr"] = value


def make_scheduler(optimizer):
    """A scheduler that starts at step 0; its state_dict resumes at any step."""
    groups = optimizer.param_groups
    # An optimizer that has gone some way tells its first LRs: those of now may all be 0.
    key = "initial_lr" if all("initial_lr" in group for group in groups) else "lr"
    first = [float(group[key]) for group in groups]
    for group, value in zip(groups, first):
        group["initial_lr"] = value / max(first) if any(first) else 1.0
    return Scheduler(optimizer, lr)
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

max_steps must be {steps}. Of the optimizer's own LRs only the ratios between its param groups matter; learning_rate,
warmup_steps and lr_scheduler_type of TrainingArguments have no effect.
"""

LIGHTNING_USAGE = """
    from {module} import configure

    class Model(LightningModule):
        def configure_optimizers(self):
            return configure(torch.optim.AdamW(self.parameters()))

Train with Trainer(max_steps={steps}). Of the optimizer's own LRs only the ratios between its param groups matter.
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

LAMBDA_LR = "from torch.optim.lr_scheduler import LambdaLR"

TARGETS: Mapping[str, Callable[[Exported], str]] = {
    "torch": partial(code, "PyTorch", TORCH_USAGE, LAMBDA_LR, TORCH),
    "transformers": partial(code, "the Trainer of transformers", TRANSFORMERS_USAGE, LAMBDA_LR, TORCH),
    "lightning": partial(code, "Lightning", LIGHTNING_USAGE, LAMBDA_LR, f"{TORCH}\n{LIGHTNING}"),
    "optax": partial(code, "optax", OPTAX_USAGE, "import jax.numpy as jnp\nimport numpy as np", OPTAX),
    "csv": as_csv,
    "json": as_json,
}
"""What a schedule can be exported to, and what writes it."""
