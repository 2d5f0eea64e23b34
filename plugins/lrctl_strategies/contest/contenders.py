"""Who takes part in a contest: an optimizer with its settings and the schedules that it is given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lrctl.contracts.optimizers import ROLES, ByName, OptimizerSettings
from lrctl.contracts.params import fields_of
from lrctl.contracts.schedule import LRS, is_lr
from lrctl.contracts.strategy import RunSpec
from lrctl.errors import UsageError, unknown
from lrctl.registry.values import build, convert
from lrctl_strategies.contest.params import Contest
from lrctl_strategies.families import check_tunable, in_fractions, parsed, word

YOURS = "yours"

BY_ROLE = "adamw-by-role: adamw embedding=8 output=8 embedding.decay=0 output.decay=0"
DEFAULT = (BY_ROLE, "muon", "schedule-free", "adafactor")

HELD = "constant-with-warmup:warmup=0.25"
"""The family of an optimizer that averages the weights: its LR need not fall."""

TIMES_ADAMW = {"adamw": 1.0, "adam": 1.0, "muon": 2.0, "schedule-free": 1.5}
"""About how many times AdamW's LR is best for an optimizer: there its short runs begin."""

FIRST_LR = 5e-3
"""Where AdamW's short runs begin."""

OWN_LR = {"adafactor": 0.1, "adagrad": 0.03, "sgd": 0.1, "prodigy": 1.0}
"""Where those of optimizers begin whose LR means something else."""


@dataclass(frozen=True, slots=True)
class Contender:
    """An optimizer and the schedules it is given.

    Attributes:
        name: for people, as it was asked for.
        settings: of the optimizer; None where only the workload knows it.
        family: of the schedules, such as `wsd:decay=0.5`.
        lr: where its short runs begin, if the user says so.
    """

    name: str
    settings: OptimizerSettings | None
    family: str
    lr: float | None = None

    @property
    def yours(self) -> bool:
        """Whether it is the recipe's optimizer as it is."""
        return self.name == YOURS

    @property
    def optimizer(self) -> str:
        return self.settings.name if self.settings else ""

    @property
    def late(self) -> bool:
        """Whether it was seen to gain late in long runs: what averages its weights does."""
        return self.settings is not None and self.settings.averages

    def schedule(self, steps: int, lr: float) -> Any:
        """Its schedule of so many steps with this peak."""
        name, _, settings = self.family.partition(":")
        target = check_tunable(name)
        where = f"--family {self.family}"
        try:
            return target(steps=steps, peak_lr=lr, **in_fractions(target), **parsed(settings, target, where))
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from error

    def first_lr(self, adamw: float | None) -> float:
        """Where its short runs begin, where the best LR of an optimizer such as AdamW is known, or is not."""
        if self.lr is not None:
            return self.lr
        return OWN_LR.get(self.optimizer) or (adamw or FIRST_LR) * TIMES_ADAMW.get(self.optimizer, 1.0)


def contenders(p: Contest, run: RunSpec) -> list[Contender]:
    """Those that take part, yours first; none that trains as yours does.

    Raises:
        UsageError: two are alike, or there is none beside yours.
    """
    own = run.optimizers[run.optimizer] if run.optimizer else None
    mine = [parse(text, p, run, own) for text in p.contender if text not in rivals_named(p)]
    mine = mine or [Contender(YOURS, own, family_of(own, p))]
    others = [parse(text, p, run, own) for text in rivals_named(p) or DEFAULT]
    field = {replace(mine[0], lr=None): mine[0]}
    for each in others:
        same = field.setdefault(replace(each, name=YOURS, lr=None), each)
        if same is not each and not same.yours:
            raise UsageError(
                f"--contender: {each.name} trains as {same.name} does, whose LR is searched from where it begins; "
                "leave out one of them, or change a setting"
            )
    names = [each.name for each in [*field.values(), *mine[1:]]]
    if len(names) == 1:
        raise UsageError("--contender: all are the recipe's own optimizer as it is; name another, such as muon")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(
            f"--contender: two are named {twice[0]}; write another name before one of them, as in mine: sgd"
        )
    for each in field.values():
        each.schedule(run.steps, 1.0)  # refuses a family that does not fit, before anything is trained
    return list(field.values())


def rivals_named(p: Contest) -> list[str]:
    """The contenders that the user named beside yours."""
    return [text for text in p.contender if text.split()[:1] != [YOURS]]


def family_of(settings: OptimizerSettings | None, p: Contest) -> str:
    return HELD if settings and settings.averages else p.family


def parse(text: str, p: Contest, run: RunSpec, own: OptimizerSettings | None) -> Contender:
    """The contender `[NAME:] OPTIMIZER [SETTING=VALUE ...]`, whose gradients are clipped as yours are by default."""
    where, words = f"--contender {text!r}", text.split()
    alias = words.pop(0)[:-1] if words[:1] and words[0].endswith(":") else " ".join(words)
    optimizer, *settings = words or [""]
    given = dict(pair(each, where) for each in settings)
    lr = given.pop("lr", None)
    if lr is not None and not is_lr(lr):
        raise UsageError(f"{where}: lr: must be an LR {LRS}, got {lr!r}")
    if YOURS in (alias, optimizer):
        if given or text.split()[0] != YOURS:
            raise UsageError(f"{where}: yours is the recipe's optimizer as it is, and takes lr= only")
        return Contender(YOURS, own, family_of(own, p), lr)
    base, family = base_of(optimizer, run, where), given.pop("family", None)
    clipped = {"clip_norm": own.clip_norm} if own and own.name != optimizer else {}
    made = build(type(base), asdict(base) | clipped | by_role(given, base, where), where)
    return Contender(alias, made, family or family_of(made, p), lr)


def base_of(name: str, run: RunSpec, where: str) -> OptimizerSettings:
    """An optimizer's settings before any are changed. Only the command line of a recipe may name other code."""
    if name in run.optimizers:
        return run.optimizers[name]
    if re.fullmatch(r"torch\.optim\.\w+", name):
        return ByName(name=name)
    if "." in name or ":" in name:
        raise UsageError(f"{where}: a contest runs no code but torch's; make it yours: --set optimizer.name={name}")
    raise unknown("optimizer", name, run.optimizers, where)


def pair(text: str, where: str) -> tuple[str, Any]:
    """A setting and its value: a number, a word, or numbers with commas between them."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError(f"{where}: {text}: must be a setting and its value, as in weight_decay=0 or embedding=8")
    if name == "family":
        return name, value
    return name, [word(each) for each in value.split(",")] if "," in value else word(value)


def by_role(given: Mapping[str, Any], base: OptimizerSettings, where: str) -> dict[str, Any]:
    """The settings, with `ROLE=x`, or `GROUP.lr=x`, as an LR scale, and `GROUP.decay=x` as one of the weight decay."""
    tables = {"lr": dict(base.lr_scale), "decay": dict(base.decay_scale)}
    others = {}
    for name, value in given.items():
        group, _, what = name.partition(".") if name not in ROLES else (name, ".", "lr")
        if group and what in tables:
            tables[what][group] = convert(value, float, f"{where}: {name}")
        else:
            others[name] = value
    named = {each.name for each in fields_of(type(base))} - {"name", "code"}
    options = {name: others.pop(name) for name in list(others) if name not in named}
    if options and not isinstance(base, ByName):
        raise unknown("setting", next(iter(options)), [*ROLES, "lr", "family", *named], where)
    return (
        others | {"lr_scale": tables["lr"], "decay_scale": tables["decay"]} | ({"options": options} if options else {})
    )
