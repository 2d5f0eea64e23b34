"""What files for the frameworks hold beside the formula, as Python and as comments on its use."""

from __future__ import annotations

TORCH_USAGE = """
    from {module} import make_scheduler{optimizer_import}

    {optimizer_line}scheduler = make_scheduler(optimizer)
    for batch in batches:
        ...
{clip_line}        optimizer.step()
        scheduler.step()

A param group's LR is lr(t) times its lr_scale if it has one, else times its own LR over the first group's: of the LRs
that the optimizer was made with only that ratio matters. To resume, load the state_dicts of the optimizer and the
scheduler, in any order.
"""

TORCH = '''
class Scheduler(LRScheduler):
    """Sets the LR of each param group to lr(step) times the group's scale."""

    def __init__(self, optimizer, last_epoch=-1, after="error"):
        if after not in ("error", "hold"):
            raise ValueError(f"after: must be 'error' or 'hold', got {after!r}")
        self.after = after
        self.scales = scales(optimizer.param_groups)
        super().__init__(optimizer, last_epoch)
        optimizer.register_step_pre_hook(self.check)

    def check(self, *_):
        """Refuse an update after the last one of the schedule, unless its LR is to be held."""
        if self.last_epoch >= STEPS and self.after == "error":
            raise RuntimeError(
                f"the schedule is over after {STEPS} updates; stop, or go on with the LR of the last one: "
                "make_scheduler(optimizer, after='hold')"
            )

    def get_lr(self):
        if len(self.scales) != len(self.optimizer.param_groups):  # one was added
            self.scales = scales(self.optimizer.param_groups)
        step = min(self.last_epoch, STEPS - 1 if self.after == "hold" else STEPS)
        return [scale * lr(step) for scale in self.scales]

    def load_state_dict(self, state_dict):
        """Resume; also where the optimizer's state was loaded before this scheduler was made and reset its LRs."""
        super().load_state_dict({**state_dict, "after": self.after})
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


def make_scheduler(optimizer, last_epoch=-1, after="error"):
    """A scheduler that starts at step 0, or after update last_epoch; its state_dict resumes at any step.

    An update after the last one of the schedule is an error; after="hold" goes on with the LR of the last one.
    """
    return Scheduler(optimizer, last_epoch, after)
'''

AVERAGES_USAGE = """
This optimizer keeps the weights to evaluate, an average of the run, apart from those that it trains: call
optimizer.eval() before the model is evaluated or saved, and optimizer.train() before training goes on.
"""

WATCH_USAGE = """
scheduler.watch(step, loss) may be called after each update: it warns once where the smoothed loss says that the regime
has changed since the short runs that told the peak.
"""

WATCH = '''
def watch(self, step, loss):
    """Warn once where the smoothed training loss after update `step` lies below the line through the short runs."""
    seen, mean = getattr(self, "watched", (0, 0.0))
    self.watched = seen + 1, loss if not seen else 0.9 * mean + 0.1 * loss
    if seen < 20 or step <= LINE["steps"]:
        return
    least = LINE["loss"] - LINE["gain"] * math.log2(step / LINE["steps"]) - LINE["tolerance"]
    if self.watched[1] < least and not getattr(self, "warned", False):
        self.warned = True
        warnings.warn(
            f"step {step}: the smoothed loss, {self.watched[1]:.4g}, is below {least:.4g}, the least that the short "
            "runs allow: the regime has changed, and the best LR may be several times higher; search again with lrctl "
            "lookahead, or lrctl transfer with longer rungs",
            stacklevel=2,
        )


Scheduler.watch = watch
'''

TRANSFORMERS_USAGE = """
    from {module} import make_scheduler{optimizer_import}, training_arguments

    {optimizer_line}trainer = Trainer(
        model,
        training_arguments("output", ...),
        optimizers=(optimizer, make_scheduler(optimizer)),
        ...
    )

training_arguments gives the TrainingArguments of the run that is exported, as far as the Trainer has them; what it is
given comes on top. max_steps must be {steps}. A param group's LR is lr(t) times its lr_scale if it has one, else times
its own LR over the first group's; learning_rate, warmup_steps and lr_scheduler_type have no effect.
"""

TRANSFORMERS = '''
def training_arguments(output_dir, **others):
    """The TrainingArguments that this schedule is for; `others` win over them."""
    from transformers import TrainingArguments

    return TrainingArguments(output_dir=output_dir, **{{**{arguments}, **others}})
'''

LIGHTNING_USAGE = """
    from {module} import configure{optimizer_import}

    class Model(LightningModule):
        def configure_optimizers(self):
            return configure({lightning_optimizer})

Train with Trainer(max_steps={steps}{lightning_clip}).
A param group's LR is lr(t) times its lr_scale if it has one, else times its own LR over the first group's.
"""

LIGHTNING = '''
def configure(optimizer, after="error"):
    """What configure_optimizers returns: the optimizer, and its scheduler, which is stepped after every update."""
    scheduler = make_scheduler(optimizer, after=after)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
'''

OPTAX_USAGE = """
    from {module} import schedule

    optimizer = optax.adamw(schedule)

schedule(count) is lr(count) in float32, and can be traced. After the last update it is NaN, which no training survives
unnoticed; make_schedule(after="hold") goes on with the LR of the last one.
"""

OPTAX = '''
TABLE = np.array([lr(step) for step in range(STEPS)], dtype=np.float32)


def make_schedule(after="error"):
    """The LR of update `count`, counted from 0; after the last one NaN, or with after="hold" that of the last one."""
    if after not in ("error", "hold"):
        raise ValueError(f"after: must be 'error' or 'hold', got {after!r}")
    beyond = TABLE[-1] if after == "hold" else np.float32("nan")
    return lambda count: jnp.where(count < STEPS, jnp.asarray(TABLE)[jnp.minimum(count, STEPS - 1)], beyond)


schedule = make_schedule()
'''

PARAM_GROUPS = '''
def param_groups(model):
    """The param groups that the schedule was found with, for a model with the same names and shapes of parameters."""
    named = dict(model.named_parameters())
    here = {{name: list(parameter.shape) for name, parameter in named.items() if parameter.requires_grad}}
    there = {{name: shape for group in GROUPS for name, shape in group["params"].items()}}
    for name in [*there, *here]:
        if here.get(name) != there.get(name) and (name not in named or name in here):
            raise ValueError(
                f"parameter {{name}}: its shape is {{here.get(name, 'that of none')}} in this model, and was "
                f"{{there.get(name, 'that of none')}} in the one that was searched; give optimizer() groups of your own"
            )
    return [{{**group, "params": [named[name] for name in group["params"]]}} for group in GROUPS]
'''

NO_PARAM_GROUPS = '''
def param_groups(model):
    """Refuse: the schedule was found with param groups, and there was no checkpoint of its run to tell them."""
    raise ValueError(
        "the param groups that the schedule was found with are not known, since its run has no checkpoint; give "
        "optimizer(model, groups) your own, or export a run that trained to its end (lrctl transfer --train)"
    )
'''

OPTIMIZER = '''
def optimizer(model, groups=None):
    """The optimizer that the schedule was found with, for all of the model or for param groups; the LR is lr(step)."""
    return {name}({params} if groups is None else groups{settings})
'''
