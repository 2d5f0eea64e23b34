"""What the methods of a comparison are called: labels that tell methods apart and leave their seeds together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from lrctl.contracts.params import fields_of
from lrctl.contracts.strategy import GivenSchedule
from lrctl.errors import UsageError
from lrctl.report.curves import Curve
from lrctl.report.runs import Run, parameters, value_text, with_defaults


def labelled(curves: Sequence[Curve], runs: Sequence[Run]) -> list[Curve]:
    """The curves under the labels of their methods; a training run that is there twice counts once.

    A method is what was done alike: a family that was tuned in other ways on other seeds is several methods.
    """
    others = differing_settings(runs)
    named = without_copies([replace(curve, label=label(curve, runs, others)) for curve in curves])
    for longer in (with_command, with_settings, partial(with_settings, given=True)):
        unclear = ambiguous(named)
        named = [longer(each, unclear[each.label]) if each.label in unclear else each for each in named]
    for a, b in clashes(named):
        where = f"run {a.run.name}" if a.run is b.run else f"runs {a.run.name} and {b.run.name}"
        raise UsageError(f"{where}: {a.label} is there twice with seed {a.seed}; a method is compared once per seed")
    return named


def without_copies(curves: list[Curve]) -> list[Curve]:
    """The curves without those that stand for the same job as an earlier one, if that is enough to tell all apart."""
    first = {(curve.label, curve.seed, curve.entry.checkpoint): curve for curve in reversed(curves)}
    unique = list(first.values())
    unclear = ambiguous(unique)
    return [curve for curve in curves if curve.label in unclear or any(curve is each for each in unique)]


def label(curve: Curve, runs: Sequence[Run], others: Sequence[str]) -> str:
    """The entry's name, or the command and its settings; then those of `others` that have a say in the curve.

    The settings of the recipe's optimizer say nothing of a curve of another one.
    """
    texts = [curve.entry.name] if curve.entry.name else [curve.run.command, *settings(curve.run, runs)]
    own = curve.optimizer == curve.run.optimizer
    names = [name for name in others if name in curve.run.others and (own or not name.startswith("optimizer."))]
    texts += [setting_text(name.rpartition(".")[2], curve.run.others[name]) for name in names]
    return " ".join(filter(None, texts))


def settings(run: Run, runs: Sequence[Run]) -> list[str]:
    """The parameters of a run's strategy that say what it is among these runs.

    They are those that differ between runs of this command, and those that are not at their default, unless a run of
    another command has the same. The schedule that a run was given differs by nature from seed to seed.
    """
    defaults = with_defaults(parameters("strategy", run.command), {})
    texts = []
    for name, value in run.strategy.items():
        if name in given_parameters(run.command):
            continue
        differs = any(each.command == run.command and each.strategy.get(name) != value for each in runs)
        common = any(each.command != run.command and each.strategy.get(name) == value for each in runs)
        if differs or (value != defaults.get(name) and not common):
            texts.append(setting_text(name, value, defaults.get(name)))
    return texts


def given_parameters(command: str) -> set[str]:
    """The parameters of a strategy that are the schedule it works on."""
    fields = fields_of(parameters("strategy", command))
    return {field.name for field in fields if any(isinstance(mark, GivenSchedule) for mark in field.marks)}


def setting_text(name: str, value: Any, default: Any = None) -> str:
    """A setting as part of a label; a switch that is off by default is named only where it is on.

    >>> setting_text("eps", 0.48), setting_text("decay", True), setting_text("grid", [0.1, 1e-05])
    ('eps=0.48', 'decay', 'grid=0.1,1e-05')
    """
    if isinstance(value, bool):
        return name if value else f"{name}=off" if default else ""
    return f"{name}={value_text(value)}"


def differing_settings(runs: Sequence[Run]) -> list[str]:
    names = dict.fromkeys(name for run in runs for name in run.others)
    return [name for name in names if differs(name, runs)]


def differs(name: str, runs: Sequence[Run]) -> bool:
    """Whether a setting sets runs apart; an optimizer's default does not, beside optimizers that lack the setting."""
    having = [run for run in runs if name in run.others]
    if len({json.dumps(run.others[name]) for run in having}) > 1:
        return True
    return len(having) < len(runs) and any(name in run.changed for run in having)


def with_command(curve: Curve, _: Sequence[Curve]) -> Curve:
    """The curve with the command that found it in its label, where that is not its label already."""
    return replace(curve, label=f"{curve.label} ({curve.run.command})") if curve.entry.name else curve


def with_settings(curve: Curve, alike: Sequence[Curve], *, given: bool = False) -> Curve:
    """The curve with those parameters of its command in its label that differ among the curves of that label.

    Those that are the schedule that its run was given, or all others; in the brackets that hold the command, if any.
    """
    command = curve.run.command
    defaults, are_given = with_defaults(parameters("strategy", command), {}), given_parameters(command)
    names = [name for name in differing_parameters(alike) if (name in are_given) is given]
    texts = [setting_text(name, curve.made_with.get(name), defaults.get(name)) for name in names]
    if not (words := " ".join(filter(None, texts))):
        return curve
    return replace(curve, label=f"{curve.label[:-1]} {words})" if curve.entry.name else f"{curve.label} {words}")


def by_label(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    return {curve.label: [each for each in curves if each.label == curve.label] for curve in curves}


def ambiguous(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    """The labels that stand for two curves of a seed, or for curves that were not made alike, and these curves."""
    return {label: group for label, group in by_label(curves).items() if clashes(group) or not made_alike(group)}


def made_alike(curves: Sequence[Curve]) -> bool:
    """Whether curves are of one command with the same parameters, but for the schedules that the runs were given."""
    commands = {curve.run.command for curve in curves}
    return len(commands) == 1 and set(differing_parameters(curves)) <= given_parameters(commands.pop())


def differing_parameters(curves: Sequence[Curve]) -> list[str]:
    names = dict.fromkeys(name for curve in curves for name in curve.made_with)
    return [name for name in names if len({parameter(curve, name) for curve in curves}) > 1]


def parameter(curve: Curve, name: str) -> str:
    """The value of a parameter, as far as it decided this curve: of a list that names its family, no more than that."""
    value = curve.made_with.get(name)
    return json.dumps([curve.entry.name] if isinstance(value, list) and curve.entry.name in value else value)


def clashes(curves: Sequence[Curve]) -> list[tuple[Curve, Curve]]:
    groups: dict[tuple[str, int], list[Curve]] = {}
    for curve in curves:
        groups.setdefault((curve.label, curve.seed), []).append(curve)
    return [(group[0], group[1]) for group in groups.values() if len(group) > 1]
