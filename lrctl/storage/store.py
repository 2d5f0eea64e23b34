"""Jobs, losses, checkpoints and runs on disk: one small file per fact, so that no lock is ever needed.

Every file is written aside, fsynced and renamed: a kill at any byte leaves whole facts only. A job's losses and
checkpoint are in place before its `jobs/<key>.json` is: that file is the fact.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl import documents
from lrctl._version import __version__
from lrctl.analysis.printable import printable
from lrctl.contracts.canonical import digest, finite
from lrctl.contracts.result import JobRecord
from lrctl.errors import CheckpointError, StoreError, UsageError
from lrctl.registry.schedules import SCHEDULE_FORMAT
from lrctl.storage import files, opening
from lrctl.storage.identity import RunIdentity
from lrctl.storage.records import job_record, record_document
from lrctl.storage.run_result import PARTIAL, RunResult

if TYPE_CHECKING:
    import numpy as np

    from lrctl.contracts.job import TrainSpec
    from lrctl.recipe.start import Start

GIVEN_UP = "given up\n"
"""What the mark of a job that is trained ahead holds once it is not needed any more; before that it is empty."""

PARTIAL_RESULT = "partial.json"
"""What a run holds in place of a result while its budget is reached."""


class Store:
    """A folder of facts. Any number of processes may share one.

    Attributes:
        path: where it is, wherever the process goes.
        shown: where it is as the user gave it, for messages.

    Raises:
        StoreError: the folder cannot be made or written.
        UsageError: it holds something else, or was written by an lrctl of another format.
    """

    def __init__(self, path: str | Path) -> None:
        self.shown, self.path = Path(path), Path(path).absolute()
        try:
            opening.make(self.path, self.shown)
            opening.sweep([self.path, *self._folders()])
        except OSError as error:
            reason = f"{error.strerror} ({error.filename})" if error.filename else error
            raise StoreError(f"--store {path}: {reason}; choose a folder that can be read and written") from error

    def _folders(self) -> list[Path]:
        runs = [self.path / "runs" / name for name in self.runs()]
        inside = [run / part for run in runs for part in ("report", "ahead")]
        return [*(self.path / name for name in opening.FOLDERS), *runs, *inside]

    def _file(self, folder: str, key: str, suffix: str = "") -> Path:
        # Keys are read from files too, and files of jobs can be deleted, so this must never be another file.
        if not files.is_plain(key):
            raise StoreError(
                f"{self.shown}: {key!r} is no key of a job, so the store is damaged; choose another --store"
            )
        return self.path / folder / f"{key}{suffix}"

    # Jobs

    def record(self, key: str) -> JobRecord | None:
        """The record of a job, or None if it is not known; one that is damaged, or its losses, is not known."""
        record = self._fact("jobs", key)
        written = record.digests.get("losses") if record else None
        return None if written is not None and files.file_digest(self._losses(key)) != written else record

    def stopped(self, key: str) -> JobRecord | None:
        """What is known of a job that was stopped: a bound of its mean loss; None if it was not, or was done since."""
        return self._fact("stopped", key)

    def _fact(self, folder: str, key: str) -> JobRecord | None:
        document = files.read_signed(self._file(folder, key, ".json"))
        try:
            return job_record(document) if document and document.get("key") == key else None
        except (KeyError, TypeError, ValueError):
            return None

    def put_record(self, record: JobRecord) -> None:
        """Record a job, the last write of it. What a stopped job gave is kept apart."""
        folder = "stopped" if record.status == "stopped" else "jobs"
        files.write_signed(self._file(folder, record.key, ".json"), record_document(record))
        if folder == "jobs":
            files.remove(self._file("stopped", record.key, ".json"))

    def forget_stopped(self, key: str) -> None:
        """Delete what is known of a job that was stopped."""
        files.delete(self._file("stopped", key, ".json"))

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

    def _losses(self, key: str) -> Path:
        return self._file("losses", key, ".npy")

    def put_losses(self, key: str, losses: np.ndarray[Any, Any], lrs: Sequence[float]) -> str:
        """Write the loss of each step (float32) and the LR really used for it (float64); returns the digest."""
        import numpy as np

        table = np.empty(len(losses), dtype=[("loss", "<f4"), ("lr", "<f8")])
        table["loss"], table["lr"] = losses, lrs
        with files.aside(self._losses(key)) as temporary:
            np.save(temporary, table, allow_pickle=False)
        return files.file_digest(self._losses(key)) or ""

    def losses(self, key: str) -> np.ndarray[Any, Any]:
        """The loss and LR of each step of one job: a structured array with fields `loss` and `lr`."""
        import numpy as np

        try:
            with documents.open_regular(self._losses(key), follow=False) as file:
                table: np.ndarray[Any, Any] = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self.lost(key) from error
        return table

    def history(self, key: str) -> np.ndarray[Any, Any]:
        """The loss and LR of every step from initialisation to the end of job `key`."""
        import numpy as np

        return np.concatenate([self.losses(each) for each in self.lineage(key)])

    # Checkpoints

    def checkpoint(self, key: str) -> Path:
        """Where the checkpoint of a job is, if it is there."""
        return self._file("checkpoints", key, ".safetensors")

    def has_checkpoint(self, key: str) -> bool:
        """Whether the checkpoint that a job wrote is there, as long as it says; its content is checked when read."""
        try:
            with documents.open_regular(self.checkpoint(key), follow=False) as file:
                # Safetensors: the length of a JSON header, the header, the tensors.
                size, length = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(min(length, size)))
            written = header.pop("__metadata__")["digest"]
            ends = [tensor["data_offsets"][1] for tensor in header.values()]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return False
        record = self._fact("jobs", key)
        return size == 8 + length + max(ends, default=0) and written == (record and record.digests.get("checkpoint"))

    def load_checkpoint(self, key: str) -> dict[str, Any]:
        """The state that a job left. A damaged checkpoint is deleted, so that it will be made again.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        from lrctl.storage import checkpoint  # which takes torch

        record = self.record(key)
        try:
            if record is None:
                raise CheckpointError(f"the job {key[:12]} that left this checkpoint is not known")
            if not self.has_checkpoint(key):  # never opened otherwise: it may be a link, or a pipe that never ends
                raise CheckpointError(f"the checkpoint of job {key[:12]} is missing or damaged")
            state: dict[str, Any] = checkpoint.load(self.checkpoint(key), record.digests.get("checkpoint"))
        except CheckpointError:
            files.remove(self.checkpoint(key))
            raise
        return state

    def drop_checkpoints(self, keys: set[str]) -> set[str]:
        """Delete the checkpoints of these jobs, except those that a run handed over. Returns what stays."""
        marked = {key for key in keys if self.handed_over(key).exists()}
        for key in keys - marked:
            files.remove(self.checkpoint(key))
        return marked

    def handed_over(self, key: str) -> Path:
        """The mark that a run handed this checkpoint over; `lrctl gc` takes it away with the last such run."""
        return self._file("handed_over", key)

    def _mark(self, keys: Iterable[str]) -> None:
        for mark in map(self.handed_over, keys):
            self._put_mark(mark)

    def _put_mark(self, mark: Path) -> None:
        try:  # one that is there already is young again
            os.close(os.open(mark, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o666))
        except OSError as error:
            raise files.cannot_write(mark, error) from error

    def _let_go(self, before: RunResult | None) -> None:
        """Take away the mark of what a partial result handed over, unless a run still hands that over."""
        if before is None or before.checkpoint is None:
            return
        results = (self.run_result(name) or self.partial_result(name) for name in self.runs())
        if not any(before.checkpoint in result.handed_over for result in results if result):
            files.remove(self.handed_over(before.checkpoint))

    # Checkpoints that were given

    def import_checkpoint(self, key: str, state: dict[str, Any], lrs: Sequence[float]) -> None:
        """Take in the state of a run that was trained elsewhere, as job `key`. Its losses are not known."""
        import numpy as np

        from lrctl.storage import checkpoint

        if self.record(key) and self.has_checkpoint(key):
            return
        losses = self.put_losses(key, np.full(len(lrs), np.nan), lrs)
        digests = {"losses": losses, "checkpoint": checkpoint.save(self.checkpoint(key), state)}
        self.put_record(JobRecord(key, "ok", steps=len(lrs), digests=digests))

    def note_import(self, start: Start, spec: TrainSpec, key: str, notes: Sequence[str]) -> None:
        """Remember which job stands for what was given, for when the file is gone."""
        files.write_signed(self._import(start, spec), {"job": key, "notes": [*notes]})

    def imported(self, start: Start, spec: TrainSpec) -> tuple[str, tuple[str, ...]] | None:
        """The job that stands for what was given before to be trained as this spec says, and what was noted of it."""
        known = files.read_signed(self._import(start, spec))
        if known is None or not self.record(known["job"]):
            return None
        return known["job"], tuple(known["notes"])

    def _import(self, start: Start, spec: TrainSpec) -> Path:
        return self.path / "imported" / f"{digest({**asdict(start), 'spec': spec.identity})}.json"

    # What is trained before a search asks for it

    def begin_ahead(self, run: str, key: str) -> None:
        """Note that a job is trained for a run which has not asked for it, and that it is to go on.

        Raises:
            StoreError: the run was taken away, or the mark cannot be written.
        """
        folder = self._ahead(run)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise files.cannot_write(folder, error) from error
        self._put_mark(folder / key)

    def give_up_ahead(self, run: str, key: str) -> None:
        """Have whoever trains such a job give it up."""
        files.write_text(self._ahead(run) / key, GIVEN_UP)

    def given_up(self, run: str, key: str) -> bool:
        """Whether a job that is trained ahead is to be given up, as it is too where its run was taken away."""
        try:
            return (self.path / "runs" / run / "ahead" / key).lstat().st_size > 0
        except OSError:
            return True

    def trained_ahead(self, run: str) -> dict[str, JobRecord]:
        """What is known of the jobs that were trained ahead for a run, in all its goes, asked for since or not."""
        noted = sorted(path.name for path in self._ahead(run).glob("[!.]*"))
        records = {key: self.record(key) or self.stopped(key) for key in noted}
        return {key: record for key, record in records.items() if record}

    def _ahead(self, run: str) -> Path:
        opening.check_no_link(self.path, f"runs/{run}/ahead", self.shown)
        return self.run(run) / "ahead"

    # Programs

    def log(self, key: str) -> Path:
        """Where the program that does a job prints to."""
        return self._file("logs", key, ".log")

    def working_folder(self) -> AbstractContextManager[Path]:
        """A new folder for the length of a block: where a program's files pass through, checkpoints among them."""
        return files.folder_aside(self.path / "checkpoints")

    # Runs

    def runs(self) -> list[str]:
        """The names of the runs: of folders, and of no link to one."""
        return sorted(each.name for each in self._in_runs() if each.is_dir(follow_symlinks=False))

    def links(self) -> list[str]:
        """The names of links that lie among the runs."""
        return sorted(each.name for each in self._in_runs() if each.is_symlink())

    def _in_runs(self) -> list[os.DirEntry[str]]:
        with os.scandir(self.path / "runs") as entries:
            return [each for each in entries if not each.name.startswith(".")]

    def run(self, name: str) -> Path:
        """The folder of a run, which there may not be yet.

        Raises:
            UsageError: the name leads elsewhere.
        """
        folder = self._run(name)
        if folder.is_symlink():
            raise UsageError(
                f"run {name}: it is a link, and no link is followed out of a store; "
                f"`lrctl runs remove {name}` deletes the link, or choose another --name"
            )
        return folder

    def _run(self, name: str) -> Path:
        # A run's folder can be deleted, so this must never be another folder.
        if not files.is_plain(name):
            raise UsageError(f"--name {name!r}: must be the name of one folder, without a dot in front")
        return self.path / "runs" / name

    def check_name(self, name: str) -> None:
        """Refuse a name for a run that no folder can have, or that would be hard to read or to type."""
        if printable(name) != name:
            raise UsageError(f"--name {name!r}: must hold no control characters, line breaks or the like")
        self.run(name)

    def run_result(self, name: str) -> RunResult | None:
        """The result of a run; None if the run is not finished, or its result is damaged."""
        return self._result(self.run(name) / "result.json")

    def partial_result(self, name: str) -> RunResult | None:
        """What a run came to whose budget was reached; None if it did not, or that is damaged."""
        return self._result(self.run(name) / PARTIAL_RESULT)

    def _result(self, path: Path) -> RunResult | None:
        document = files.read_signed(path)
        try:
            return RunResult.from_json(document) if document else None
        except (KeyError, TypeError, ValueError):
            return None

    def identity(self, name: str) -> RunIdentity | None:
        """What decides the result of a run; None if that is missing or damaged."""
        document = files.read_signed(self.run(name) / "identity.json")
        try:
            return RunIdentity.from_json(document) if document else None
        except (KeyError, TypeError, ValueError):
            return None

    def recipe(self, name: str) -> str | None:
        """The frozen recipe of a run; None if it is missing, or not the one that the run was begun with."""
        text = files.read(self.run(name) / "recipe.toml")
        known = files.read_signed(self.run(name) / "identity.json")
        whole = text is not None and known is not None and sha256(text).hexdigest() == known.get("recipe")
        return text.decode() if text is not None and whole else None

    def environment(self, name: str) -> dict[str, Any] | None:
        """What a run ran on; None if that is missing or damaged."""
        return files.read_signed(self.run(name) / "environment.json")

    def document(self, result: RunResult) -> dict[str, Any]:
        """The result of a finished run as `--json` prints it: signed, and with where its files are."""
        return files.signed(result.to_json()) | {"files": self.files(result)}

    def files(self, result: RunResult) -> dict[str, str | None]:
        """Where a run's files are: None for a checkpoint or schedule that it does not have."""
        run, key = self.run(result.run), result.checkpoint
        found = {
            "schedule": run / "schedule.json" if result.schedule else None,
            "checkpoint": self.checkpoint(key) if key else None,
            "result": run / (PARTIAL_RESULT if result.status == PARTIAL else "result.json"),
        }
        return {what: str(self.shown / path.relative_to(self.path)) if path else None for what, path in found.items()}

    def report(self, name: str) -> Path:
        """Where the report of a run is, unless it is to be elsewhere."""
        self.run(name)
        opening.check_no_link(self.path, f"runs/{name}/report", self.shown)
        return self.shown / "runs" / name / "report"

    def begin(self, name: str, identity: RunIdentity, recipe: str, environment: dict[str, Any]) -> None:
        """Open a run with its identity, its recipe as TOML, and what it runs on."""
        folder = self.run(name)
        if self.identity(name) not in (None, identity):
            made = self.shown / "runs" / name / "recipe.toml"
            raise UsageError(
                f"--name {name}: this run was made with other settings, data or code ({made}); "
                "choose another name, or --fresh"
            )
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise files.cannot_write(folder, error) from error
        known = identity.to_json() | {"recipe": sha256(recipe.encode()).hexdigest()}
        try:
            files.write_text(folder / "recipe.toml", recipe)
            files.write_signed(folder / "environment.json", environment)
            files.write_signed(folder / "identity.json", known)
        except StoreError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            self.begin(name, identity, recipe, environment)  # it was removed meanwhile

    def finish(self, result: RunResult) -> None:
        """Close a run: its schedule if it has one, then its result: the fact that it is finished."""
        before = self.partial_result(result.run)
        if result.schedule:
            files.write_signed(self.run(result.run) / "schedule.json", schedule_document(result))
        self._mark(result.handed_over)
        files.write_signed(self.run(result.run) / "result.json", result.to_json())
        files.remove(self.run(result.run) / PARTIAL_RESULT)
        self._let_go(before)

    def leave(self, result: RunResult) -> None:
        """Keep what a search has found whose run is not finished: its schedule if it has one, and its result.

        Of what it names only the checkpoint that is handed over is there for sure, and no search deletes that.
        """
        before = self.partial_result(result.run)
        if result.schedule:
            files.write_signed(self.run(result.run) / "schedule.json", schedule_document(result))
        self._mark({result.checkpoint} if result.checkpoint else ())
        files.write_signed(self.run(result.run) / PARTIAL_RESULT, result.to_json())
        self._let_go(before)

    def used_bytes(self) -> int:
        """The size of all files that are in it at the moment."""
        return sum(files.size(Path(folder, name)) for folder, _, names in os.walk(self.path) for name in names)

    def has_schedule(self, name: str, result: RunResult) -> bool:
        """Whether the schedule.json of a run is there, and is what the run found, if it found one."""
        written = files.read_signed(self.run(name) / "schedule.json") or {}
        expected = finite(schedule_document(result))
        told = ("format", "steps", "schedule")
        return result.schedule is None or [written.get(each) for each in told] == [expected[each] for each in told]

    def remove_run(self, name: str) -> None:
        """Delete a run's folder, at once; its jobs stay. Of a link only itself goes.

        Raises:
            StoreError: it cannot be deleted.
        """
        files.take_away(self._run(name))

    def restart_run(self, name: str) -> None:
        """Take away what a run came to, and what it was, at once."""
        files.take_away(self.run(name))


def schedule_document(result: RunResult) -> dict[str, Any]:
    """The schedule.json of a run that found a schedule."""
    document = {
        "format": SCHEDULE_FORMAT,
        "steps": result.steps,
        "schedule": result.schedule and asdict(result.schedule),
    }
    return document | {"made_by": {"lrctl": __version__, "command": result.command, "run": result.run}}
