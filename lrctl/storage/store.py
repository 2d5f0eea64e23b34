"""Jobs, losses, checkpoints and runs: one small object per fact, so that no lock is ever needed.

Every object is put whole: a kill at any byte leaves whole facts only. A job's losses and checkpoint are in place before
its `jobs/<key>.json` is: that object is the fact.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.canonical import digest
from lrctl.contracts.result import JobRecord
from lrctl.documents import LONGEST_RUN
from lrctl.errors import CheckpointError, StoreError
from lrctl.storage import files
from lrctl.storage.facts import Facts
from lrctl.storage.places import objects_at
from lrctl.storage.records import job_record, record_document
from lrctl.storage.run_facts import RunFacts

if TYPE_CHECKING:
    import numpy as np

    from lrctl.contracts.job import TrainSpec
    from lrctl.recipe.start import Start

HEAD = 2**16
"""Bytes at the start of a checkpoint in which its header ends, as a rule."""

LARGEST_LOSSES = 16 * LONGEST_RUN


class Store(Facts):
    """Facts in a folder, or at a URL. Any number of processes may share one.

    Attributes:
        objects: what it is kept in.
        shown: where it is as the user gave it, for messages.
        address: where it is for another process, wherever that goes.
        path: where files lie that people look at, wherever the process goes: the folder itself, or one beside.
        runs: the facts of runs; all else here is of jobs.

    Raises:
        MissingError: what a URL needs is not installed.
        StoreError: it cannot be made or written.
        UsageError: it holds something else, or was written by an lrctl of another format.
    """

    def __init__(self, place: str | Path) -> None:
        super().__init__(objects_at(place))
        self.shown, self.address, self.path = self.objects.shown, self.objects.address, self.objects.beside.absolute()
        self.runs = RunFacts(self.objects)
        self.objects.prepare()

    def used_bytes(self) -> int:
        """The size of all files that are in it at the moment."""
        return self.objects.size()

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
            _, written, _ = header.pop("__metadata__")["lrctl"].split("\n", 2)  # as `checkpoint`, which takes torch
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
        marked = {key for key in keys if self.runs.is_handed_over(key)}
        for key in keys - marked:
            self.remove(self._checkpoint(key))
        return marked

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

    def trained_ahead(self, run: str) -> dict[str, JobRecord]:
        """What is known of the jobs that were trained ahead for a run, in all its goes, asked for since or not."""
        records = {key: self.record(key) or self.stopped(key) for key in self.runs.ahead(run)}
        return {key: record for key, record in records.items() if record}

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
