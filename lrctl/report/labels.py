"""What the methods of a comparison are called: labels that tell methods apart and leave their seeds together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lrctl.errors import UsageError
from lrctl.fields import fields_of
from lrctl.plugins import registry
from lrctl.report.curves import Curve, Run, told
from lrctl.schedule import listed


def labelled(found: Sequence[Curve], runs: Sequence[Run]) -> list[Curve]:
    """The curves under the labels of their methods; a training run that is there twice counts once.

    Raises:
        UsageError: two are the same method with the same seed.
    """
    unlike = differing(runs)
    named = [replace(curve, label=label(curve, runs) + suffix(unlike, curve.run)) for curve in found]
    named = without_copies(named)
    for longer in (with_command, lambda curve: with_settings(curve, runs)):
        named = told_apart(named, longer)
    for a, b in clashes(named):
        where = f"run {a.run.name}" if a.run is b.run else f"runs {a.run.name} and {b.run.name}"
        raise UsageError(f"{where}: {a.label} is there twice with seed {a.seed}; a method is compared once per seed")
    return named


def without_copies(found: list[Curve]) -> list[Curve]:
    """The curves without those that stand for the same job as an earlier one, if that is enough to tell all apart."""
    first = {(curve.label, curve.seed, curve.key): curve for curve in reversed(found)}
    unique = list(first.values())
    ambiguous = {a.label for a, _ in clashes(unique)}
    return [curve for curve in found if curve.label in ambiguous or any(curve is each for each in unique)]


def label(curve: Curve, runs: Sequence[Run]) -> str:
    """The entry's name, or the command and its settings."""
    return curve.family or " ".join([curve.run.command, *settings(curve.run, runs)])


def settings(run: Run, runs: Sequence[Run]) -> list[str]:
    """The parameters of a run's strategy that say what it is among these runs.

    They are those that differ between runs of this command, and those that are not at their default, unless a run of
    another command has the same.
    """
    part = next((part for part in registry().of("strategy") if part.name == run.command), None)
    defaults = {field.name: listed(field.default) for field in fields_of(part.params)} if part else {}
    shown = []
    for name, value in run.strategy.items():
        differs = any(each.command == run.command and each.strategy.get(name) != value for each in runs)
        common = any(each.command != run.command and each.strategy.get(name) == value for each in runs)
        if differs or (value != defaults.get(name) and not common):
            shown.append(spelt(name, value, defaults.get(name)))
    return [text for text in shown if text]


def spelt(name: str, value: Any, default: Any = None) -> str:
    """A setting as part of a label; a switch that is off by default is named only where it is on.

    >>> spelt("eps", 0.48), spelt("decay", True), spelt("decay", False), spelt("grid", [0.1, 1e-05])
    ('eps=0.48', 'decay', '', 'grid=0.1,1e-05')
    """
    if isinstance(value, bool):
        return name if value else f"{name}=off" if default else ""
    return f"{name}={told(value)}"


def differing(runs: Sequence[Run]) -> list[str]:
    """The names of the settings that should be the same in all runs and are not."""
    names = dict.fromkeys(name for run in runs for name in run.others)
    return [name for name in names if len({json.dumps(run.others.get(name)) for run in runs}) > 1]


def suffix(names: Sequence[str], run: Run) -> str:
    """What a label says of these settings."""
    return "".join(f" {spelt(name.rpartition('.')[2], run.others[name])}" for name in names if name in run.others)


def with_command(curve: Curve) -> Curve:
    """The curve with the command that found it in its label, where that is not its label already."""
    return replace(curve, label=f"{curve.label} ({curve.run.command})") if curve.family else curve


def with_settings(curve: Curve, runs: Sequence[Run]) -> Curve:
    """The curve with its command's parameters in its label too."""
    shown = " ".join(settings(curve.run, runs))
    return replace(curve, label=f"{curve.label[:-1]} {shown})") if curve.family and shown else curve


def told_apart(found: list[Curve], longer: Callable[[Curve], Curve]) -> list[Curve]:
    """The curves with longer labels where one label stands for two curves of a seed."""
    ambiguous = {a.label for a, _ in clashes(found)}
    return [longer(curve) if curve.label in ambiguous else curve for curve in found]


def clashes(found: Sequence[Curve]) -> list[tuple[Curve, Curve]]:
    """Pairs of curves with the same label and seed."""
    counts = Counter((curve.label, curve.seed) for curve in found)
    groups = [[c for c in found if (c.label, c.seed) == place] for place, count in counts.items() if count > 1]
    return [(group[0], group[1]) for group in groups]
