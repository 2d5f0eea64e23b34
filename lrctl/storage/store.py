"""Jobs, losses, checkpoints and runs on disk: one small file per fact, so that no lock is ever needed.

Every file is written aside, fsynced and renamed: a kill at any byte leaves whole facts only. A job's losses and
checkpoint are in place before its `jobs/<key>.json` is: that file is the fact.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl._version import __version__
from lrctl.analysis.printable import printable
from lrctl.contracts.result import JobRecord
from lrctl.errors import StoreError, UsageError
from lrctl.registry.schedules import SCHEDULE_FORMAT
from lrctl.storage import files
from lrctl.storage.documents import job_record, record_document
from lrctl.storage.identity import RunIdentity
from lrctl.storage.run_result import RunResult

if TYPE_CHECKING:
    import numpy as np

FORMAT = "lrctl-store/2"

FOLDERS = ("jobs", "stopped", "losses", "checkpoints", "handed_over", "runs")

STALE = 3600.0
"""Seconds after which a file that a killed process left aside is swept away."""


class Store:
    """A folder of facts. Any number of processes may share one.

    Raises:
        StoreError: the folder cannot be made or written.
        UsageError: it holds something else, or was written by an lrctl of another format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        marker = self.path / "store.json"
        self._check_ours(marker)
        try:
            for folder in FOLDERS:
                (self.path / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"--store {self.path}: {error.strerror}; choose a folder that can be written") from error
        if not marker.exists():
            files.write_json(marker, {"format": FORMAT})
        if (found := (files.read_json(marker) or {}).get("format")) != FORMAT:
            raise UsageError(
                f"{marker}: the store's format is {found!r}, this lrctl reads {FORMAT!r}; "
                "choose another --store, or give the command to the lrctl that wrote this one"
            )
        self._sweep()

    def _check_ours(self, marker: Path) -> None:
        """Refuse a folder with other things in it: files are deleted in a store."""
        if not self.path.is_dir() or marker.exists():
            return
        others = [p.name for p in self.path.iterdir() if p.name not in FOLDERS and not p.name.startswith(files.ASIDE)]
        if others and not marker.exists():  # another process may have made it a store meanwhile
            raise UsageError(
                f"--store {self.path}: the folder is not a store and holds other things ({sorted(others)[0]}, ...); "
                "choose an empty or new folder"
            )

    def _sweep(self) -> None:
        """Delete what killed processes left aside, unless it may still be in use."""
        for pattern in ("", "jobs/", "stopped/", "losses/", "checkpoints/", "runs/*/", "runs/*/report/"):
            for left in self.path.glob(f"{pattern}{files.ASIDE}*"):
                try:
                    if left.is_file() and time.time() - left.stat().st_mtime > STALE:
                        left.unlink()
                except FileNotFoundError:
                    pass  # another process swept it first

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
        document = files.read_signed(self.path / folder / f"{key}.json")
        return job_record(document) if document and document.get("key") == key else None

    def put_record(self, record: JobRecord) -> None:
        """Record a job, the last write of it. What a stopped job gave is kept apart."""
        folder = "stopped" if record.status == "stopped" else "jobs"
        files.write_signed(self.path / folder / f"{record.key}.json", record_document(record))
        if folder == "jobs":
            files.remove(self.path / "stopped" / f"{record.key}.json")

    def forget(self, key: str) -> None:
        """Delete all that is known of a job, but for a checkpoint that a finished run handed over."""
        facts = [self.path / folder / f"{key}.json" for folder in ("jobs", "stopped")]
        for path in (*facts, self._losses(key)):
            files.remove(path)
        self.drop_checkpoints({key})

    def lineage(self, key: str | None) -> list[str]:
        """The jobs that lead to this one, oldest first, itself last."""
        keys: list[str] = []
        while key is not None:
            keys.append(key)
            record = self.record(key)
            if record is None:
                raise StoreError(f"{self.path}: job {key[:12]} is missing or damaged; run the search again")
            key = record.parent
        return keys[::-1]

    # Losses

    def _losses(self, key: str) -> Path:
        return self.path / "losses" / f"{key}.npy"

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

        table: np.ndarray[Any, Any] = np.load(self._losses(key), allow_pickle=False)
        return table

    def history(self, key: str) -> np.ndarray[Any, Any]:
        """The loss and LR of every step from initialisation to the end of job `key`."""
        import numpy as np

        return np.concatenate([self.losses(each) for each in self.lineage(key)])

    # Checkpoints

    def checkpoint(self, key: str) -> Path:
        """Where the checkpoint of a job is, if it is there."""
        return self.path / "checkpoints" / f"{key}.safetensors"

    def has_checkpoint(self, key: str) -> bool:
        """Whether the checkpoint of a job is there, and as long as it says; its digest is checked when it is read."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.checkpoint(key), framework="np"):
                return True
        except (OSError, SafetensorError):
            return False

    def drop_checkpoints(self, keys: set[str]) -> None:
        """Delete the checkpoints of these jobs, except those that a finished run handed over."""
        for key in keys:
            if not self.handed_over(key).exists():
                files.remove(self.checkpoint(key))

    def handed_over(self, key: str) -> Path:
        """The mark that a finished run handed this checkpoint over; `lrctl gc` takes it away with the last such run."""
        return self.path / "handed_over" / key

    # Runs

    def runs(self) -> list[str]:
        return sorted(p.name for p in (self.path / "runs").iterdir() if p.is_dir() and not p.name.startswith("."))

    def run(self, name: str) -> Path:
        # A run's folder can be deleted, so this must never be another folder.
        if name.startswith(".") or set(name) & set("/\\\0") or not 0 < len(os.fsencode(name)) < 256:
            raise UsageError(f"--name {name!r}: must be the name of one folder, without a dot in front")
        return self.path / "runs" / name

    def check_name(self, name: str) -> None:
        """Refuse a name for a run that no folder can have, or that would be hard to read or to type."""
        if printable(name) != name:
            raise UsageError(f"--name {name!r}: must hold no control characters, line breaks or the like")
        self.run(name)

    def run_result(self, name: str) -> RunResult | None:
        """The result of a run; None if the run is not finished, or its result is damaged."""
        document = files.read_signed(self.run(name) / "result.json")
        try:
            return RunResult.from_json(document) if document else None
        except (KeyError, TypeError, ValueError):
            return None

    def identity(self, name: str) -> RunIdentity | None:
        """What decides the result of a run; None if that is missing or damaged."""
        document = files.read_signed(self.run(name) / "identity.json")
        try:
            return RunIdentity.from_json(document) if document else None
        except KeyError:
            return None

    def recipe(self, name: str) -> str:
        """The frozen recipe of a run; empty if there is none."""
        try:
            return (self.run(name) / "recipe.toml").read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def document(self, result: RunResult) -> dict[str, Any]:
        """The result of a finished run as `--json` prints it: signed, and with where its files are."""
        return files.signed(result.to_json()) | {"files": self.files(result)}

    def files(self, result: RunResult) -> dict[str, str | None]:
        """Where a finished run's files are: None for a checkpoint or schedule that it does not have."""
        run, key = self.run(result.run), result.checkpoint
        return {
            "schedule": str(run / "schedule.json") if result.schedule else None,
            "checkpoint": str(self.checkpoint(key)) if key else None,
            "result": str(run / "result.json"),
        }

    def begin(self, name: str, identity: RunIdentity, recipe: str, environment: dict[str, Any]) -> None:
        """Open a run with its identity, its recipe as TOML, and what it runs on."""
        frozen = self.run(name) / "recipe.toml"
        if self.identity(name) not in (None, identity):
            raise UsageError(
                f"--name {name}: this run was made with other settings, data or code ({frozen}); "
                "choose another name, or --fresh"
            )
        try:
            self.run(name).mkdir(exist_ok=True)
        except OSError as error:
            raise files.cannot_write(self.run(name), error) from error
        files.write_text(frozen, recipe)
        files.write_json(self.run(name) / "environment.json", environment)
        files.write_signed(self.run(name) / "identity.json", identity.to_json())

    def finish(self, result: RunResult) -> None:
        """Close a run: its schedule if it has one, then its result: the fact that it is finished."""
        if result.schedule:
            document = {"format": SCHEDULE_FORMAT, "steps": result.steps, "schedule": asdict(result.schedule)}
            made_by = {"lrctl": __version__, "command": result.command, "run": result.run}
            files.write_json(self.run(result.run) / "schedule.json", document | {"made_by": made_by})
        for key in result.handed_over:
            try:
                self.handed_over(key).touch()
            except OSError as error:
                raise files.cannot_write(self.handed_over(key), error) from error
        files.write_signed(self.run(result.run) / "result.json", result.to_json())

    def remove_run(self, name: str) -> None:
        """Delete a run's folder, and the marks of what only it handed over; its jobs stay."""
        folder, result = self.run(name), self.run_result(name)
        files.remove(folder)
        if result:
            others = [other for run in self.runs() if (other := self.run_result(run))]
            for key in result.handed_over.difference(*(other.handed_over for other in others)):
                files.remove(self.handed_over(key))
