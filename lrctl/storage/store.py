"""Jobs, losses, checkpoints and runs on disk: one small file per fact, so that no lock is ever needed.

Every file is written aside, fsynced and renamed: a kill at any byte leaves whole facts only. A job's losses and
checkpoint are in place before its `jobs/<key>.json` is: that file is the fact.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.canonical import digest, finite
from lrctl.contracts.result import JobResult
from lrctl.errors import StoreError, UsageError
from lrctl.storage.files import ASIDE, aside, cannot_write, file_digest, read_json, write_json, write_text

if TYPE_CHECKING:
    import numpy as np

FORMAT = "lrctl-store/1"

FOLDERS = ("jobs", "stopped", "losses", "checkpoints", "runs")

STALE = 3600.0
"""Seconds after which a file that a killed process left aside is swept away."""


class Store:
    """A folder of facts. Any number of processes may share one.

    Raises:
        StoreError: the folder cannot be made or written.
        UsageError: it holds something else, or was written by a newer lrctl.
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
        if marker.exists():
            self._check_format(marker)
        else:
            write_json(marker, {"format": FORMAT})
        self._sweep()

    def _check_ours(self, marker: Path) -> None:
        """Refuse a folder with other things in it: files are deleted in a store."""
        if not self.path.is_dir() or marker.exists():
            return
        others = [p.name for p in self.path.iterdir() if p.name not in FOLDERS and not p.name.startswith(ASIDE)]
        if others and not marker.exists():  # another process may have made it a store meanwhile
            raise UsageError(
                f"--store {self.path}: the folder is not a store and holds other things ({sorted(others)[0]}, ...); "
                "choose an empty or new folder"
            )

    @staticmethod
    def _check_format(marker: Path) -> None:
        found = (read_json(marker) or {}).get("format")
        if found != FORMAT:
            raise UsageError(
                f"{marker}: the store's format is {found!r}, this lrctl reads {FORMAT!r}; "
                "update lrctl or choose another --store"
            )

    def _sweep(self) -> None:
        """Delete what killed processes left aside, unless it may still be in use."""
        for pattern in ("", "jobs/", "stopped/", "losses/", "checkpoints/", "runs/*/", "runs/*/report/"):
            for left in self.path.glob(f"{pattern}{ASIDE}*"):
                try:
                    if left.is_file() and time.time() - left.stat().st_mtime > STALE:
                        left.unlink()
                except FileNotFoundError:
                    pass  # another process swept it first

    # Jobs

    def result(self, key: str) -> JobResult | None:
        """The result of a job, or None if it is not known; one that is damaged, or its losses, is not known."""
        result = self._fact("jobs", key)
        damaged = result and "losses" in result.digests and file_digest(self._losses(key)) != result.digests["losses"]
        return None if damaged else result

    def stopped(self, key: str) -> JobResult | None:
        """What is known of a job that was stopped: a bound of its mean loss; None if it was not, or was done since."""
        return self._fact("stopped", key)

    def _fact(self, folder: str, key: str) -> JobResult | None:
        document = read_json(self.path / folder / f"{key}.json") or {}
        written = document.pop("digest", None)
        if document.get("key") != key or written != digest(finite(document)):
            return None
        return JobResult.from_json(document)

    def put_result(self, result: JobResult) -> None:
        """Record a result, with a digest of it: the last write of a job. What a stopped job gave is kept apart."""
        document = result.to_json()
        folder = "stopped" if result.status == "stopped" else "jobs"
        write_json(self.path / folder / f"{result.key}.json", document | {"digest": digest(document)})
        if folder == "jobs":
            (self.path / "stopped" / f"{result.key}.json").unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """Delete all that is known of a job, but for a checkpoint that a finished run handed over."""
        facts = [self.path / folder / f"{key}.json" for folder in ("jobs", "stopped")]
        for path in (*facts, self._losses(key)):
            path.unlink(missing_ok=True)
        self.drop_checkpoints({key})

    def lineage(self, key: str | None) -> list[str]:
        """The jobs that lead to this one, oldest first, itself last.

        Raises:
            StoreError: one of them is not known.
        """
        keys: list[str] = []
        while key is not None:
            keys.append(key)
            result = self.result(key)
            if result is None:
                raise StoreError(f"{self.path}: job {key[:12]} is missing or damaged; run the search again")
            key = result.parent
        return keys[::-1]

    # Losses

    def _losses(self, key: str) -> Path:
        return self.path / "losses" / f"{key}.npy"

    def put_losses(self, key: str, losses: np.ndarray[Any, Any], lrs: Sequence[float]) -> str:
        """Write the loss of each step (float32) and the LR really used for it (float64); returns the digest."""
        import numpy as np

        table = np.empty(len(losses), dtype=[("loss", "<f4"), ("lr", "<f8")])
        table["loss"], table["lr"] = losses, lrs
        with aside(self._losses(key)) as temporary:
            np.save(temporary, table, allow_pickle=False)
        return file_digest(self._losses(key)) or ""

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

    def drop_checkpoints(self, keys: set[str]) -> None:
        """Delete the checkpoints of these jobs, except those that a finished run handed over."""
        keys = keys - self._handed_over()
        for key in keys:
            self.checkpoint(key).unlink(missing_ok=True)

    def _handed_over(self) -> set[str]:
        return {key for name in self.runs() for key in handed_over(self.document(name) or {})}

    # Runs

    def runs(self) -> list[str]:
        """The names of all runs, finished or not."""
        return sorted(p.name for p in (self.path / "runs").iterdir() if p.is_dir() and not p.name.startswith("."))

    def run(self, name: str) -> Path:
        """The folder of a run.

        Raises:
            UsageError: the name would lead out of `runs`.
        """
        # A run's folder can be deleted, so this must never be another folder.
        if name.startswith(".") or set(name) & set("/\\\0") or not 0 < len(name.encode()) < 256:
            raise UsageError(f"--name {name!r}: must be the name of one folder, without a dot in front")
        return self.path / "runs" / name

    def document(self, name: str) -> dict[str, Any] | None:
        """The result document of a run, or None if the run is not finished."""
        return read_json(self.run(name) / "result.json")

    def recipe(self, name: str) -> str:
        """The frozen recipe of a run; empty if there is none."""
        try:
            return (self.run(name) / "recipe.toml").read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def files(self, document: dict[str, Any]) -> dict[str, str | None]:
        """Where a finished run's files are: None for a checkpoint or schedule that it does not have."""
        run, key = self.run(document["run"]), document["checkpoint"]
        return {
            "schedule": str(run / "schedule.json") if document["schedule"] else None,
            "checkpoint": str(self.checkpoint(key)) if key else None,
            "result": str(run / "result.json"),
        }

    def begin(self, name: str, recipe: str, environment: dict[str, Any]) -> None:
        """Open a run with its frozen recipe.

        Raises:
            UsageError: there is a run of this name with another recipe.
        """
        frozen = self.run(name) / "recipe.toml"
        if frozen.exists() and frozen.read_text(encoding="utf-8") != recipe:
            raise UsageError(
                f"--name {name}: this run was made with other settings ({frozen}); choose another name, or --fresh"
            )
        try:
            self.run(name).mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(self.run(name), error) from error
        write_text(frozen, recipe)
        write_json(self.run(name) / "environment.json", environment)

    def finish(self, name: str, document: dict[str, Any], schedule: dict[str, Any] | None) -> None:
        """Close a run: its schedule if it has one, then its result document: the fact that it is finished."""
        if schedule:
            write_json(self.run(name) / "schedule.json", schedule)
        write_json(self.run(name) / "result.json", document)

    def remove_run(self, name: str) -> None:
        """Delete a run's folder; its jobs stay."""
        shutil.rmtree(self.run(name), ignore_errors=True)


def handed_over(document: Mapping[str, Any]) -> set[str]:
    """The jobs whose checkpoints a finished run hands over: its own, and that of each of its `results`."""
    results = document.get("results")
    each = [document, *(results if isinstance(results, list) else [])]
    keys = (entry.get("checkpoint") for entry in each if isinstance(entry, Mapping))
    return {key for key in keys if isinstance(key, str)}
