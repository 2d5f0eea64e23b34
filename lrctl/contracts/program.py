"""Contract: a workload that is a program of the user's own, which is started once for each job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

JOB_FORMAT = "lrctl-job/1"
"""The format of the file that tells a program its job; the environment variable `LRCTL_JOB` names it."""

ANSWER_FORMAT = "lrctl-answer/1"
"""The format of a program's answer."""

OWN_DEVICE = "own"
"""The device of a program's jobs: it chooses that itself."""


@runtime_checkable
class Program(Protocol):
    """A workload that trains by itself. lrctl guide program tells what it is told, and what it answers.

    It is registered with the mark `program`, and `command` is among its parameters.
    """

    @property
    def argv(self) -> Sequence[str]:
        """The command, as words; it runs in the working directory of lrctl."""

    @property
    def timeout(self) -> float:
        """Seconds after which a job that has not ended counts as hung; 0 for never."""

    def prepare(self) -> str:
        """A digest of the files that decide what it trains.

        Raises:
            UsageError: one of them is not there, or there is no such command.
        """
