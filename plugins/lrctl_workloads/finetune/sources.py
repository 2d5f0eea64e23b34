"""Data sets by name, file or folder, and their splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrctl.errors import UsageError
from lrctl_workloads.data.cache import files_digest
from lrctl_workloads.data.hub import HubDataset
from lrctl_workloads.data.tables import FORMATS, reading, stream


@dataclass(frozen=True)
class Source:
    """A data set: a file, a folder, or the hub's OWNER/NAME[/CONFIG][@REVISION]."""

    name: str

    @property
    def local(self) -> Path | None:
        path = Path(self.name).expanduser()
        return path if path.exists() else None

    @property
    def where(self) -> str:
        return f"workload.data: '{self.name}'"

    @property
    def hub(self) -> HubDataset | None:
        return HubDataset.parse(self.name, self.where) if self.local is None else None

    def digest(self) -> str:
        """What names the state of the data: the files' sha256, or the hub's commit."""
        if hub := self.hub:
            return f"{hub.repository.commit()} {hub.selection}"
        assert self.local is not None
        if self.local.is_file():
            return files_digest([self.local], self.local.parent)
        return files_digest((path for path in self.local.rglob("*") if path.is_file()), self.local)

    def splits(self) -> dict[str, Any]:
        """Every split by name: the rows as a stream, which leaves no second copy of the data on the disk."""
        hub = self.hub
        with reading(self.where, hub):
            return dict(hub.stream() if hub else self.local_splits())

    def local_splits(self) -> Any:
        """The splits of a file or folder, with the library's own errors."""
        import datasets

        assert self.local is not None
        if self.local.is_file():
            if self.local.suffix not in FORMATS:
                raise UsageError(f"{self.where} must be a .jsonl or a .parquet file, or a folder")
            return {"train": stream([self.local])}
        if (self.local / "dataset_dict.json").is_file() or (self.local / "state.json").is_file():
            saved = datasets.load_from_disk(str(self.local))
            return saved if isinstance(saved, Mapping) else {"train": saved}
        return datasets.load_dataset(str(self.local), streaming=True)


def text_of(value: Any, where: str) -> str:
    """A text of a row; nothing is no text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"{where}: must be a column of texts, got {type(value).__name__} {str(value)[:40]!r}")
    return value
