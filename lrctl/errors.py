"""Every error a user can meet: one sentence that says where, what was found, what is allowed, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from lrctl.analysis.printable import printable, shortened


class LrctlError(Exception):
    """Something went wrong that the user can understand; ends the command with `exit_code`.

    As text it is one line that any terminal may be shown, whatever it quotes.
    """

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        return printable(shortened(super().__str__()))


class UsageError(LrctlError):
    """A flag, recipe, plugin, schedule or data set that cannot be used as it is."""

    exit_code = 2


class MissingError(UsageError):
    """Data, a model or a package that a workload needs is not on this machine, and could not be fetched."""


class NoValidCandidateError(LrctlError):
    """Every candidate of a choice diverged, or none tells an answer, so the search has nothing to go on with."""

    exit_code = 3


class BudgetReachedError(LrctlError):
    """No new job may begin: what is found so far is handed over, and the search can go on."""

    exit_code = 4


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. Whatever lets Ctrl-C through lets this through."""


class StoreError(LrctlError):
    """The store cannot be read or written."""


class CheckpointError(StoreError):
    """A checkpoint is missing or is not what was written; it has to be made again."""


class ReproducibilityError(LrctlError):
    """Training a job again gave other losses than the ones stored for it."""


class ProgramError(LrctlError):
    """A program of the user's own ended, or answered, as no job does."""


class ProgramMistakeError(ProgramError):
    """A program failed in a way that every other attempt would meet again."""


class JobFailedError(LrctlError):
    """A job raised, or its worker died, on every attempt. `details` holds the last traceback."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


def unknown(what: str, found: str, allowed: Iterable[str], where: str = "") -> UsageError:
    """The error for a name that is not one of `allowed`, with the nearest allowed name if there is one.

    >>> str(unknown("key", "batchsize", ["batch_size", "steps"], where="r.toml: training.batchsize"))
    "r.toml: training.batchsize: unknown key; did you mean 'batch_size'?"
    """
    import difflib  # only a wrong name needs it

    names = sorted(allowed)
    in_small = {name.lower(): name for name in names}
    near = difflib.get_close_matches(found.lower(), in_small, n=1)
    choice = f"choose from: {', '.join(names)}" if names else "there is none"
    hint = f"did you mean '{in_small[near[0]]}'?" if near else choice
    named = found in where.rpartition(": ")[2]  # the place is the name itself, such as a key
    place = (f"{where}: " if where else "") + f"unknown {what}" + ("" if named else f" '{found}'")
    return UsageError(f"{place}; {hint}")
