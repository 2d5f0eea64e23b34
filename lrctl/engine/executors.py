"""Which executor a recipe means, and how many jobs it does at once."""

from __future__ import annotations

from lrctl.contracts import params as fields
from lrctl.contracts.executor import Attempt, Executor, slots
from lrctl.recipe.schema import Choice
from lrctl.registry.registry import registry

IN_PROCESS, WORKERS = "serial", "processes"
"""What `auto` stands for where one job runs at a time, and where several do."""


def workers_of(choice: Choice, device: str) -> int:
    """How many jobs an executor does at once on a device."""
    workers: int = choice.params.get("workers") or (1 if choice.name == IN_PROCESS else slots(device))
    return workers


def resolved(choice: Choice, device: str, jobs: int) -> Choice:
    """The executor that does so many jobs: `auto` is that of worker processes where two jobs or more run at once."""
    if choice.name != "auto":
        return choice
    workers = workers_of(choice, device)
    return Choice(WORKERS, {"workers": workers}) if workers > 1 and jobs > 1 else Choice(IN_PROCESS)


def build(choice: Choice, attempt: Attempt) -> Executor:
    """An executor that does jobs by calling `attempt`.

    Raises:
        UsageError: there is none of this name, or a parameter does not fit it.
    """
    part = registry().get("executor", choice.name)
    executor: Executor = part.target(fields.build(part.params, choice.params, f"executor {choice.name}"), attempt)
    return executor
