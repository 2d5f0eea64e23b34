"""Jobs, losses, checkpoints and runs: one small object per fact, so that no lock is ever needed.

Every object is put whole: a kill at any byte leaves whole facts only. A job's losses and checkpoint are in place before
its `jobs/<key>.json` is: that object is the fact.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl._version import __version__
from lrctl.analysis.printable import printable
from lrctl.contracts.canonical import digest, finite
from lrctl.contracts.result import JobRecord
from lrctl.documents import LONGEST_RUN
from lrctl.errors import CheckpointError, StoreError, UsageError
from lrctl.registry.schedules import SCHEDULE_FORMAT
from lrctl.storage import files, opening
from lrctl.storage.identity import RunIdentity
from lrctl.storage.places import objects_at
from lrctl.storage.records import job_record, record_document
from lrctl.storage.run_result import PARTIAL, RunResult

if TYPE_CHECKING:
    import numpy as np

    from lrctl.contracts.job import TrainSpec
    from lrctl.recipe.start import Start

GIVEN_UP = b"given up\n"
"""What the mark of a job that is trained ahead holds once it is not needed any more; before that it is empty."""

HEAD = 2**16
"""Bytes at the start of a checkpoint in which its header ends, as a rule."""

LARGEST_LOSSES = 16 * LONGEST_RUN

PARTIAL_RESULT = "partial.json"
"""What a run holds in place of a result while its budget is reached."""


class Store:
    """Facts in a folder, or at a URL. Any number of processes may share one.

    Attributes:
        objects: what it is kept in.
        shown: where it is as the user gave it, for messages.
        address: where it is for another process, wherever that goes.
        path: where files lie that people look at, wherever the process goes: the folder itself, or one beside.

    Raises:
        MissingError: what a URL needs is not installed.
        StoreError: it cannot be made or written.
        UsageError: it holds something else, or was written by an lrctl of another format.
    """

    def __init__(self, place: str | Path) -> None:
        self.objects = objects_at(place)
        self.shown, self.address, self.path = self.objects.shown, self.objects.address, self.objects.beside.absolute()
        self.objects.prepare()

    def _name(self, folder: str, key: str, suffix: str = "") -> str:
        # Keys are read from files too, and files of jobs can be deleted, so this must never be another file.
        if not files.is_plain(key):
            raise StoreError(
                f"{self.shown}: {key!r} is no key of a job, so the store is damaged; choose another --store"
            )
        return f"{folder}/{key}{suffix}"

    # Documents

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A JSON object, or None where there is none, or it is damaged."""
        return files.decoded(self.objects.read(name))

    def read_signed(self, name: str) -> dict[str, Any] | None:
        """A JSON object that was written with its digest; None where there is none, or it is not what was written."""
        return files.checked(self.objects.read(name))

    def write_signed(self, name: str, document: dict[str, Any]) -> None:
        """Write strict JSON with a digest of it, which `read_signed` checks."""
        self.objects.put(name, files.encoded(files.signed(document)))

    def remove(self, name: str) -> None:
        """Delete what is of no use any more: where it cannot be, that is a warning."""
        try:
            self.objects.delete(name)
        except StoreError as error:
            files.warn_of(error)

    # Jobs

    def record(self, key: str) -> JobRecord | None:
        """The record of a job, or None if it is not known; one that is damaged, or its losses, is not known."""
        record = self._fact("jobs", key)
        written = record.digests.get("losses") if record else None
        return None if written is not None and self._digest(self._losses(key)) != written else record

    def _digest(self, name: str) -> str | None:
        content = self.objects.read(name, LARGEST_LOSSES)
        return None if content is None else sha256(content).hexdigest()

    def stopped(self, key: str) -> JobRecord | None:
        """What is known of a job that was stopped: a bound of its mean loss; None if it was not, or was done since."""
        return self._fact("stopped", key)

    def _fact(self, folder: str, key: str) -> JobRecord | None:
        document = self.read_signed(self._name(folder, key, ".json"))
        try:
            return job_record(document) if document and document.get("key") == key else None
        except (KeyError, TypeError, ValueError):
            return None

    def put_record(self, record: JobRecord) -> None:
        """Record a job, the last write of it. What a stopped job gave is kept apart."""
        folder = "stopped" if record.status == "stopped" else "jobs"
        self.write_signed(self._name(folder, record.key, ".json"), record_document(record))
        if folder == "jobs":
            self.remove(self._name("stopped", record.key, ".json"))

    def forget_stopped(self, key: str) -> None:
        """Delete what is known of a job that was stopped."""
        self.objects.delete(self._name("stopped", key, ".json"))

    def lineage(self, key: str | None) -> list[str]:
        """The jobs that lead to this one, oldest first, itself last."""
        keys: list[str] = []
        while key is not None:
            keys.append(key)
            record = self.record(key)
            if record is None:
                raise self.lost(key)
            key = record.parent
        return keys[::-1]

    def lost(self, key: str) -> StoreError:
        """The error for a job that something needs, and that is not there as it was written."""
        return StoreError(f"{self.shown}: job {key[:12]} is missing or damaged; run the search again")

    # Losses

    def _losses(self, key: str) -> str:
        return self._name("losses", key, ".npy")

    def put_losses(self, key: str, losses: np.ndarray[Any, Any], lrs: Sequence[float]) -> str:
        """Write the loss of each step (float32) and the LR really used for it (float64); returns the digest."""
        import numpy as np

        table = np.empty(len(losses), dtype=[("loss", "<f4"), ("lr", "<f8")])
        table["loss"], table["lr"] = losses, lrs
        file = io.BytesIO()
        np.save(file, table, allow_pickle=False)
        self.objects.put(self._losses(key), file.getvalue())
        return sha256(file.getvalue()).hexdigest()

    def losses(self, key: str) -> np.ndarray[Any, Any]:
        """The loss and LR of each step of one job: a structured array with fields `loss` and `lr`."""
        import numpy as np

        content = self.objects.read(self._losses(key), LARGEST_LOSSES)
        try:
            table: np.ndarray[Any, Any] = np.load(io.BytesIO(content or b""), allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self.lost(key) from error
        return table

    def history(self, key: str) -> np.ndarray[Any, Any]:
        """The loss and LR of every step from initialisation to the end of job `key`."""
        import numpy as np

        return np.concatenate([self.losses(each) for each in self.lineage(key)])

    # Checkpoints

    def _checkpoint(self, key: str) -> str:
        return self._name("checkpoints", key, ".safetensors")

    def checkpoint(self, key: str) -> Path:
        """A path on this machine with the checkpoint of a job, if it is there."""
        record = self._fact("jobs", key)
        return self.objects.local(self._checkpoint(key), record.digests.get("checkpoint") if record else None)

    def put_checkpoint(self, key: str, state: dict[str, Any]) -> str:
        """Write the state that a job leaves; returns its digest."""
        from lrctl.storage import checkpoint  # which takes torch

        return self.objects.put_file(self._checkpoint(key), partial(checkpoint.write, state=state))

    def has_checkpoint(self, key: str) -> bool:
        """Whether the checkpoint that a job wrote is there, as long as it says; its content is checked when read."""
        name = self._checkpoint(key)
        about = self.objects.about(name)
        if about is None:
            return False
        # Safetensors: the length of a JSON header, the header, the tensors.
        start = self.objects.start(name, HEAD)
        length = int.from_bytes(start[:8], "little")
        if len(start) < 8 + length <= about.size:
            start = self.objects.start(name, 8 + length)
        try:
            header = json.loads(start[8 : 8 + length])
            written = header.pop("__metadata__")["digest"]
            ends = [tensor["data_offsets"][1] for tensor in header.values()]
            whole = about.size == 8 + length + max(ends, default=0)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return False
        record = self._fact("jobs", key)
        return whole and written == (record and record.digests.get("checkpoint"))

    def load_checkpoint(self, key: str) -> dict[str, Any]:
        """The state that a job left. A damaged checkpoint is deleted, so that it will be made again.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        try:
            return self.read_checkpoint(key)
        except CheckpointError:
            self.remove(self._checkpoint(key))
            raise

    def read_checkpoint(self, key: str) -> dict[str, Any]:
        """The same, and a damaged one stays.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        record = self.record(key)
        if record is None:
            raise CheckpointError(f"the job {key[:12]} that left this checkpoint is not known")
        if not self.has_checkpoint(key):  # never opened otherwise: it may be a link, or a pipe that never ends
            raise CheckpointError(f"the checkpoint of job {key[:12]} is missing or damaged")
        name, written = self._checkpoint(key), record.digests.get("checkpoint")
        try:
            return self._state(name, written)
        except CheckpointError:
            if not self.objects.forget(name, written):
                raise
            return self._state(name, written)

    def _state(self, name: str, digest: str | None) -> dict[str, Any]:
        from lrctl.storage import checkpoint  # which takes torch

        path = self.objects.local(name, digest)
        state: dict[str, Any] = checkpoint.load(path, digest, self.objects.where(name))
        return state

    def drop_checkpoints(self, keys: set[str]) -> set[str]:
        """Delete the checkpoints of these jobs, except those that a run handed over. Returns what stays."""
        marked = {key for key in keys if self.is_handed_over(key)}
        for key in keys - marked:
            self.remove(self._checkpoint(key))
        return marked

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
        results = (self.run_result(name) or self.partial_result(name) for name in self.runs())
        if not any(before.checkpoint in result.handed_over for result in results if result):
            self.remove(self._mark_of(before.checkpoint))

    # Checkpoints that were given

    def import_checkpoint(self, key: str, state: dict[str, Any], lrs: Sequence[float]) -> None:
        """Take in the state of a run that was trained elsewhere, as job `key`. Its losses are not known."""
        import numpy as np

        if self.record(key) and self.has_checkpoint(key):
            return
        losses = self.put_losses(key, np.full(len(lrs), np.nan), lrs)
        digests = {"losses": losses, "checkpoint": self.put_checkpoint(key, state)}
        self.put_record(JobRecord(key, "ok", steps=len(lrs), digests=digests))

    def note_import(self, start: Start, spec: TrainSpec, key: str, notes: Sequence[str]) -> None:
        """Remember which job stands for what was given, for when the file is gone."""
        self.write_signed(self._import(start, spec), {"job": key, "notes": [*notes]})

    def imported(self, start: Start, spec: TrainSpec) -> tuple[str, tuple[str, ...]] | None:
        """The job that stands for what was given before to be trained as this spec says, and what was noted of it."""
        known = self.read_signed(self._import(start, spec))
        if known is None or not self.record(known["job"]):
            return None
        return known["job"], tuple(known["notes"])

    def _import(self, start: Start, spec: TrainSpec) -> str:
        return f"imported/{digest({**asdict(start), 'spec': spec.identity})}.json"

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
        mark = self.objects.about(f"{self._run(run)}/ahead/{key}")
        return mark is None or mark.size > 0

    def trained_ahead(self, run: str) -> dict[str, JobRecord]:
        """What is known of the jobs that were trained ahead for a run, in all its goes, asked for since or not."""
        noted = [mark.name for mark in self.objects.entries(self._ahead(run))]
        records = {key: self.record(key) or self.stopped(key) for key in noted}
        return {key: record for key, record in records.items() if record}

    def _ahead(self, run: str) -> str:
        folder = f"{self.run(run)}/ahead"
        opening.check_no_link(self.path, folder, self.objects.beside)
        return folder

    # Programs

    def log(self, key: str) -> str:
        """Where what the program printed that did a job is kept, for a message."""
        return self.objects.where(self._name("logs", key, ".log"))

    def logged(self, key: str) -> AbstractContextManager[Path]:
        """A path that the program prints to that does a job; what it printed is kept once the block has ended."""
        return self.objects.grown(self._name("logs", key, ".log"))

    def working_folder(self) -> AbstractContextManager[Path]:
        """A new folder for the length of a block: where a program's files pass through, checkpoints among them."""
        return files.folder_aside(self.objects.scratch())

    # Runs

    def runs(self) -> list[str]:
        """The names of the runs: of folders, and of no link to one."""
        return self.objects.folders("runs")

    def links(self) -> list[str]:
        """The names of links that lie among the runs."""
        return self.objects.links("runs")

    def run(self, name: str) -> str:
        """The name of a run's folder, which there may not be yet.

        Raises:
            UsageError: the name leads elsewhere.
        """
        folder = self._run(name)
        if self.objects.is_link(folder):
            raise UsageError(
                f"run {name}: it is a link, and no link is followed out of a store; "
                f"`lrctl runs remove {name}` deletes the link, or choose another --name"
            )
        return folder

    def _run(self, name: str) -> str:
        # A run's folder can be deleted, so this must never be another folder.
        if not files.is_plain(name):
            raise UsageError(f"--name {name!r}: must be the name of one folder, without a dot in front")
        return f"runs/{name}"

    def check_name(self, name: str) -> None:
        """Refuse a name for a run that no folder can have, or that would be hard to read or to type."""
        if printable(name) != name:
            raise UsageError(f"--name {name!r}: must hold no control characters, line breaks or the like")
        self.run(name)

    def run_result(self, name: str) -> RunResult | None:
        """The result of a run; None if the run is not finished, or its result is damaged."""
        return self._result(f"{self.run(name)}/result.json")

    def partial_result(self, name: str) -> RunResult | None:
        """What a run came to whose budget was reached; None if it did not, or that is damaged."""
        return self._result(f"{self.run(name)}/{PARTIAL_RESULT}")

    def _result(self, name: str) -> RunResult | None:
        document = self.read_signed(name)
        try:
            return RunResult.from_json(document) if document else None
        except (KeyError, TypeError, ValueError):
            return None

    def identity(self, name: str) -> RunIdentity | None:
        """What decides the result of a run; None if that is missing or damaged."""
        document = self.read_signed(f"{self.run(name)}/identity.json")
        try:
            return RunIdentity.from_json(document) if document else None
        except (KeyError, TypeError, ValueError):
            return None

    def recipe(self, name: str) -> str | None:
        """The frozen recipe of a run; None if it is missing, or not the one that the run was begun with."""
        text = self.objects.read(f"{self.run(name)}/recipe.toml")
        known = self.read_signed(f"{self.run(name)}/identity.json")
        whole = text is not None and known is not None and sha256(text).hexdigest() == known.get("recipe")
        return text.decode() if text is not None and whole else None

    def recipe_file(self, name: str) -> Path:
        """A path on this machine with the recipe of a run, if it is there."""
        return self.objects.local(f"{self.run(name)}/recipe.toml")

    def environment(self, name: str) -> dict[str, Any] | None:
        """What a run ran on; None if that is missing or damaged."""
        return self.read_signed(f"{self.run(name)}/environment.json")

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
        run, key = self.run(result.run), result.checkpoint
        if what == "checkpoint":
            return self._checkpoint(key) if key else None
        if what == "schedule":
            return f"{run}/schedule.json" if result.schedule else None
        return f"{run}/{PARTIAL_RESULT if result.status == PARTIAL else 'result.json'}"

    def report(self, name: str) -> Path:
        """Where the report of a run is, unless it is to be elsewhere."""
        folder = f"{self.run(name)}/report"
        opening.check_no_link(self.path, folder, self.objects.beside)
        return self.objects.beside / folder

    def begin(self, name: str, identity: RunIdentity, recipe: str, environment: dict[str, Any]) -> None:
        """Open a run with its identity, its recipe as TOML, and what it runs on."""
        folder = self.run(name)
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
        before, folder = self.partial_result(result.run), self.run(result.run)
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
        before, folder = self.partial_result(result.run), self.run(result.run)
        if result.schedule:
            self.write_signed(f"{folder}/schedule.json", schedule_document(result))
        self._mark({result.checkpoint} if result.checkpoint else ())
        self.write_signed(f"{folder}/{PARTIAL_RESULT}", result.to_json())
        self._let_go(before)

    def used_bytes(self) -> int:
        """The size of all files that are in it at the moment."""
        return self.objects.size()

    def has_schedule(self, name: str, result: RunResult) -> bool:
        """Whether the schedule.json of a run is there, and is what the run found, if it found one."""
        written = self.read_signed(f"{self.run(name)}/schedule.json") or {}
        expected = finite(schedule_document(result))
        told = ("format", "steps", "schedule")
        return result.schedule is None or [written.get(each) for each in told] == [expected[each] for each in told]

    def remove_run(self, name: str) -> None:
        """Delete a run's folder, at once; its jobs stay. Of a link only itself goes.

        Raises:
            StoreError: it cannot be deleted.
        """
        self.objects.take_away(self._run(name), "result.json")

    def restart_run(self, name: str) -> None:
        """Take away what a run came to, and what it was, at once."""
        self.objects.take_away(self.run(name), "result.json")


def schedule_document(result: RunResult) -> dict[str, Any]:
    """The schedule.json of a run that found a schedule."""
    document = {
        "format": SCHEDULE_FORMAT,
        "steps": result.steps,
        "schedule": result.schedule and asdict(result.schedule),
    }
    return document | {"made_by": {"lrctl": __version__, "command": result.command, "run": result.run}}
