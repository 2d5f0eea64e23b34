"""Parts: what plugins register, and what may be registered."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

KINDS = {
    "strategy": "strategies",
    "schedule": "schedules",
    "workload": "workloads",
    "executor": "executors",
    "tracker": "trackers",
}
"""Each kind of part, and its plural in the name of the hook that registers it."""

MARKS = {
    "strategy": {
        "goes_on": "searches what is left of a run that is under way",
        "reference": "what it finds is what other methods are compared with",
    },
    "schedule": {"reference": "the family that other methods are compared with"},
    "workload": {"program": "its parameter `command` is a program that is started for each job"},
    "executor": {
        "in_process": "jobs run one after another in lrctl's own process",
        "ahead": "`run` passes over a None among its jobs, and asks for the next one again after each result",
        "parallel": "takes `workers`, processes on this machine that run jobs at the same time",
    },
    "tracker": {},
}
"""What a part of a kind may say of itself, so that lrctl need not know any part by its name."""

COMMANDS = frozenset(
    {"check", "compare", "export", "gc", "guide", "list", "new", "recipes", "report", "reproduce", "runs"}
)
"""Commands that are no strategies: a strategy is a command too, and cannot have the name of one of these."""

FLAGS = frozenset(
    {
        "allow_code",
        "as_json",
        "at",
        "debug",
        "depends",
        "device",
        "dry_run",
        "epochs",
        "executor",
        "fresh",
        "from_checkpoint",
        "help",
        "json",
        "label",
        "labels",
        "max_disk",
        "max_steps",
        "max_time",
        "name",
        "past",
        "program",
        "quiet",
        "recipe",
        "seed",
        "set",
        "settings",
        "speculate",
        "steps",
        "store",
        "track",
        "unchecked",
        "version",
        "workers",
        "workload",
    }
)
"""What every strategy's command takes: a field of its parameters is a flag too, and cannot have such a name.

One called `seeds` may be a `tuple[int, ...]`: the strategy itself then searches with all of them.
"""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
STRING = re.compile(r"[\w.]+:[\w.]+")
"""A part that is imported when it is first used: "module:name"."""


@dataclass(frozen=True)
class Part:
    """Something registered. What was registered as a string, "module:name", is imported when it is first asked for.

    Attributes:
        kind: one of `KINDS`.
        plugin: the module that registered it.
        marks: those of `MARKS[kind]` that it was registered with.
        example: a command that shows its use, for the help; empty where none is given.

    Raises:
        TypeError: nothing of that name, help or marks can be registered.
    """

    kind: str
    name: str
    plugin: str
    help: str
    registered: Any
    registered_params: Any = None
    marks: frozenset[str] = frozenset()
    example: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise TypeError(f"{self.kind} {self.name!r}: its name must be letters, digits, '-', '_' and '.'")
        if self.kind == "strategy" and self.name in COMMANDS:
            raise TypeError(f"{self}: lrctl has a command of that name; choose another")
        for what in ("help", "example"):
            if not isinstance(getattr(self, what), str):
                raise TypeError(f"{self}: its {what} must be a string, got {getattr(self, what)!r}")
        if unknown_marks := self.marks - MARKS[self.kind].keys():
            raise TypeError(f"{self}: register() got an unexpected argument '{min(unknown_marks)}'")
        if self.registered_params is None and self.kind != "schedule":
            raise TypeError(f"{self}: register() needs params, a dataclass; one without fields will do")
        if not any(isinstance(each, str) and STRING.fullmatch(each) for each in self.given):
            self.check()

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}'"

    @property
    def given(self) -> tuple[Any, Any]:
        """What was registered, and its parameters: objects, or the strings that name them."""
        return self.registered, self.registered_params

    @cached_property
    def target(self) -> Any:
        """The strategy, the schedule family, or the function that builds the part.

        Raises:
            TypeError: it is none. Whatever its import raises.
        """
        found = resolved(self.registered)
        if self.kind == "schedule" and not dataclass_type(found):
            raise TypeError(f"{self}: the family must be a dataclass, got {found!r}")
        if not callable(found):
            raise TypeError(f"{self}: must be something that can be called, or its 'module:name', got {found!r}")
        return found

    @cached_property
    def params(self) -> Any:
        """The dataclass of its parameters; None of a schedule, whose fields are its parameters.

        Raises:
            TypeError: it is no dataclass, or one with a field that cannot be a flag. Whatever its import raises.
        """
        found = resolved(self.registered_params)
        if found is not None and not dataclass_type(found):
            raise TypeError(f"{self}: params must be a dataclass, got {found!r}")
        if self.kind == "strategy" and (taken := FLAGS & {field.name for field in fields(found)}):
            raise TypeError(f"{self}: {found.__name__}.{min(taken)}: every command has that flag; choose another name")
        return found

    def check(self) -> None:
        """Import the part and its parameters; whatever that raises, the part cannot be used."""
        _ = self.target, self.params

    @property
    def packages(self) -> set[str]:
        """The packages that hold its code, as far as is known without importing it."""
        modules = (each if isinstance(each, str) else getattr(each, "__module__", None) for each in self.given)
        return {self.plugin.partition(".")[0], *(re.split("[.:]", module)[0] for module in modules if module)}


def resolved(registered: Any) -> Any:
    """What "module:name" names; everything else is itself."""
    from pkgutil import resolve_name

    if not (isinstance(registered, str) and STRING.fullmatch(registered)):
        return registered
    with redirect_stdout(sys.stderr):  # what a module prints must not get into a document
        return resolve_name(registered)


def dataclass_type(found: Any) -> bool:
    """Whether something is a dataclass, and not an instance of one."""
    return isinstance(found, type) and is_dataclass(found)
