"""What a store knows of runs: what they are, what they came to, what they hand over, what is trained ahead for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from lrctl._version import __version__
from lrctl.analysis.printable import printable
from lrctl.contracts.canonical import finite
from lrctl.errors import StoreError, UsageError
from lrctl.registry.schedules import SCHEDULE_FORMAT
from lrctl.storage import files, opening
from lrctl.storage.facts import Facts
from lrctl.storage.identity import RunIdentity
from lrctl.storage.run_result import PARTIAL, RunResult

GIVEN_UP = b"given up\n"
"""What the mark of a job that is trained ahead holds once it is not needed any more; before that it is empty."""

PARTIAL_RESULT = "partial.json"
"""What a run holds in place of a result while its budget is reached."""


class RunFacts(Facts):
    """The runs of a store, a folder each: one is finished once its `result.json` is there, which is the fact."""

    def names(self) -> list[str]:
        """The names of the runs: of folders, and of no link to one."""
        return self.objects.folders("runs")

    def links(self) -> list[str]:
        """The names of links that lie among the runs."""
        return self.objects.links("runs")

    def folder(self, name: str) -> str:
        """The name of a run's folder, which there may not be yet.

        Raises:
            UsageError: the name leads elsewhere.
        """
        folder = self._folder(name)
        if self.objects.is_link(folder):
            raise UsageError(
                f"run {name}: it is a link, and no link is followed out of a store; "
                f"`lrctl runs remove {name}` deletes the link, or choose another --name"
            )
        return folder

    def _folder(self, name: str) -> str:
        # A run's folder can be deleted, so this must never be another folder.
        if not files.is_plain(name):
            raise UsageError(f"--name {name!r}: must be the name of one folder, without a dot in front")
        return f"runs/{name}"

    def check_name(self, name: str) -> None:
        """Refuse a name for a run that no folder can have, or that would be hard to read or to type."""
        if printable(name) != name:
            raise UsageError(f"--name {name!r}: must hold no control characters, line breaks or the like")
        self.folder(name)

    def result(self, name: str) -> RunResult | None:
        """The result of a run; None if the run is not finished, or its result is damaged."""
        return self._result(f"{self.folder(name)}/result.json")

    def partial(self, name: str) -> RunResult | None:
        """What a run came to whose budget was reached; None if it did not, or that is damaged."""
        return self._result(f"{self.folder(name)}/{PARTIAL_RESULT}")

    def _result(self, name: str) -> RunResult | None:
        document = self.read_signed(name)
        try:
            return RunResult.from_json(document) if document else None
        except (KeyError, TypeError, ValueError):
            return None

    def identity(self, name: str) -> RunIdentity | None:
        """What decides the result of a run; None if that is missing or damaged."""
        document = self.read_signed(f"{self.folder(name)}/identity.json")
        try:
            return RunIdentity.from_json(document) if document else None
        except (KeyError, TypeError, ValueError):
            return None

    def recipe(self, name: str) -> str | None:
        """The frozen recipe of a run; None if it is missing, or not the one that the run was begun with."""
        text = self.objects.read(f"{self.folder(name)}/recipe.toml")
        known = self.read_signed(f"{self.folder(name)}/identity.json")
        whole = text is not None and known is not None and sha256(text).hexdigest() == known.get("recipe")
        return text.decode() if text is not None and whole else None

    def recipe_file(self, name: str) -> Path:
        """A path on this machine with the recipe of a run, if it is there."""
        return self.objects.local(f"{self.folder(name)}/recipe.toml")

    def environment(self, name: str) -> dict[str, Any] | None:
        """What a run ran on; None if that is missing or damaged."""
        return self.read_signed(f"{self.folder(name)}/environment.json")

    def document(self, result: RunResult) -> dict[str, Any]:
        """The result of a finished run as `--json` prints it: signed, and with where its files are."""
        return files.signed(result.to_json()) | {"files": self.files(result)}

    def files(self, result: RunResult) -> dict[str, str | None]:
        """Where a run's files are: None for a checkpoint or schedule that it does not have."""
        found = {name: self._part(result, name) for name in ("schedule", "checkpoint", "result")}
        return {what: name and self.objects.where(name) for what, name in found.items()}

    def local_files(self, result: RunResult) -> dict[str, Path]:
        """Paths on this machine with the documents of a run, those that it has."""
        names = {what: self._part(result, what) for what in ("result", "schedule")}
        return {what: self.objects.local(name) for what, name in names.items() if name}

    def _part(self, result: RunResult, what: str) -> str | None:
        run, key = self.folder(result.run), result.checkpoint
        if what == "checkpoint":
            return self._checkpoint(key) if key else None
        if what == "schedule":
            return f"{run}/schedule.json" if result.schedule else None
        return f"{run}/{PARTIAL_RESULT if result.status == PARTIAL else 'result.json'}"

    def report(self, name: str) -> Path:
        """Where the report of a run is, unless it is to be elsewhere."""
        folder = f"{self.folder(name)}/report"
        self._check_no_link(folder)
        return self.objects.beside / folder

    def begin(self, name: str, identity: RunIdentity, recipe: str, environment: dict[str, Any]) -> None:
        """Open a run with its identity, its recipe as TOML, and what it runs on."""
        folder = self.folder(name)
        if self.identity(name) not in (None, identity):
            made = self.objects.where(f"{folder}/recipe.toml")
            raise UsageError(
                f"--name {name}: this run was made with other settings, data or code ({made}); "
                "choose another name, or --fresh"
            )
        self.objects.make_folder(folder)
        known = identity.to_json() | {"recipe": sha256(recipe.encode()).hexdigest()}
        try:
            self.objects.put(f"{folder}/recipe.toml", recipe.encode())
            self.write_signed(f"{folder}/environment.json", environment)
            self.write_signed(f"{folder}/identity.json", known)
        except StoreError as error:
            if not self.lost_run(error):
                raise
            self.begin(name, identity, recipe, environment)

    def lost_run(self, error: StoreError) -> bool:
        """Whether something cannot be written since the folder of its run was taken away meanwhile."""
        return isinstance(error.__cause__, FileNotFoundError) and self.objects.has_folder("handed_over")

    def finish(self, result: RunResult) -> None:
        """Close a run: its schedule if it has one, then its result: the fact that it is finished."""
        before, folder = self.partial(result.run), self.folder(result.run)
        if result.schedule:
            self.write_signed(f"{folder}/schedule.json", schedule_document(result))
        self._mark(result.handed_over)
        self.write_signed(f"{folder}/result.json", result.to_json())
        self.remove(f"{folder}/{PARTIAL_RESULT}")
        self._let_go(before)

    def leave(self, result: RunResult) -> None:
        """Keep what a search has found whose run is not finished: its schedule if it has one, and its result.

        Of what it names only the checkpoint that is handed over is there for sure, and no search deletes that.
        """
        before, folder = self.partial(result.run), self.folder(result.run)
        if result.schedule:
            self.write_signed(f"{folder}/schedule.json", schedule_document(result))
        self._mark({result.checkpoint} if result.checkpoint else ())
        self.write_signed(f"{folder}/{PARTIAL_RESULT}", result.to_json())
        self._let_go(before)

    def has_schedule(self, name: str, result: RunResult) -> bool:
        """Whether the schedule.json of a run is there, and is what the run found, if it found one."""
        written = self.read_signed(f"{self.folder(name)}/schedule.json") or {}
        expected = finite(schedule_document(result))
        told = ("format", "steps", "schedule")
        return result.schedule is None or [written.get(each) for each in told] == [expected[each] for each in told]

    def take_away(self, name: str) -> None:
        """Delete a run's folder, at once; its jobs stay. Of a link only itself goes.

        Raises:
            StoreError: it cannot be deleted.
        """
        self.objects.take_away(self._folder(name), "result.json")

    def restart(self, name: str) -> None:
        """Take away what a run came to, and what it was, at once."""
        self.objects.take_away(self.folder(name), "result.json")

    # What they hand over

    def is_handed_over(self, key: str) -> bool:
        """Whether a run has marked this checkpoint; `lrctl gc` takes the mark away with the last such run."""
        return self.objects.about(self._mark_of(key)) is not None

    def _mark_of(self, key: str) -> str:
        return self._name("handed_over", key)

    def _mark(self, keys: Iterable[str]) -> None:
        for mark in map(self._mark_of, keys):
            self.objects.touch(mark)

    def _let_go(self, before: RunResult | None) -> None:
        """Take away the mark of what a partial result handed over, unless a run still hands that over."""
        if before is None or before.checkpoint is None:
            return
        results = (self.result(name) or self.partial(name) for name in self.names())
        if not any(before.checkpoint in result.handed_over for result in results if result):
            self.remove(self._mark_of(before.checkpoint))

    # What is trained before a search asks for it

    def begin_ahead(self, run: str, key: str) -> None:
        """Note that a job is trained for a run which has not asked for it, and that it is to go on.

        Raises:
            StoreError: the run was taken away, or the mark cannot be written.
        """
        self.objects.make_folder(self._ahead(run))
        self.objects.touch(f"{self._ahead(run)}/{key}")

    def give_up_ahead(self, run: str, key: str) -> None:
        """Have whoever trains such a job give it up."""
        self.objects.put(f"{self._ahead(run)}/{key}", GIVEN_UP)

    def given_up(self, run: str, key: str) -> bool:
        """Whether a job that is trained ahead is to be given up, as it is too where its run was taken away."""
        mark = self.objects.about(f"{self._folder(run)}/ahead/{key}")
        return mark is None or mark.size > 0

    def ahead(self, run: str) -> list[str]:
        """The jobs that were trained ahead for a run, in all its goes, asked for since or not."""
        return [mark.name for mark in self.objects.entries(self._ahead(run))]

    def _ahead(self, run: str) -> str:
        folder = f"{self.folder(run)}/ahead"
        self._check_no_link(folder)
        return folder

    def _check_no_link(self, folder: str) -> None:
        beside = self.objects.beside
        opening.check_no_link(beside.absolute(), folder, beside)


def schedule_document(result: RunResult) -> dict[str, Any]:
    """The schedule.json of a run that found a schedule."""
    document = {
        "format": SCHEDULE_FORMAT,
        "steps": result.steps,
        "schedule": result.schedule and asdict(result.schedule),
    }
    return document | {"made_by": {"lrctl": __version__, "command": result.command, "run": result.run}}
