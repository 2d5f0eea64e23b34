"""Data sets by name, file or folder: their splits, and which part of the workload each row belongs to."""

from __future__ import annotations

import glob
import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from lrctl.errors import LrctlError, UsageError, unknown
from lrctl_transformers.files import digest, first_line
from lrctl_transformers.hub import Repository
from lrctl_transformers.parameters import Shared

NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:/([\w.-]+))?(?:@([\w./-]+))?")
TABLES = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}
"""Suffixes of files, and what the `datasets` library calls their format."""
CONVERTED = "refs/convert/"
"""The hub's own conversions: branches with a folder for each configuration."""

SHARES = 20
"""A part that is dealt out of the training split gets about one in so many of its rows."""
VALIDATION, TEST = ("validation", "valid", "dev", "val"), ("test",)
"""Usual names of splits."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """A data set: a file, a folder, or the hub's OWNER/NAME[/CONFIG][@REVISION]."""

    name: str

    @property
    def local(self) -> Path | None:
        """The file or folder, if it is one."""
        path = Path(self.name).expanduser()
        return path if path.exists() else None

    @cached_property
    def parsed(self) -> tuple[Repository, str]:
        """The data set on the hub, and its configuration.

        Raises:
            UsageError: the name is none.
        """
        found = NAME.fullmatch(self.name)
        if not found:
            raise UsageError(
                f"workload.data: '{self.name}' is neither a file, a folder nor a name of the hub; write OWNER/NAME or "
                "OWNER/NAME/CONFIG, either with @REVISION"
            )
        repo, config, revision = found.groups(default="")
        return Repository("dataset", repo, revision), config

    @property
    def choice(self) -> dict[str, str | None]:
        """What tells the `datasets` library which configuration of the hub's data set is meant."""
        repository, config = self.parsed
        return {"data_dir" if repository.revision.startswith(CONVERTED) else "name": config or None}

    def digest(self) -> str:
        """What names the state of the data: the files' sha256, or the hub's commit.

        Raises:
            MissingError: the commit is not known, and the hub cannot be reached.
            UsageError: there is no such data set.
        """
        if self.local is None:
            return f"{self.parsed[0].commit()} {self.choice}"
        if self.local.is_file():
            return digest([self.local], self.local.parent)
        return digest((path for path in self.local.rglob("*") if path.is_file()), self.local)

    def splits(self) -> dict[str, Any]:
        """Every split by name: the rows as a stream, which leaves no second copy of the data on the disk.

        Raises:
            MissingError: the hub cannot be reached.
            UsageError: the data cannot be read.
        """
        try:
            return dict(self.load())
        except LrctlError:
            raise
        except Exception as error:  # The library lets many types through, of its own and of those below it.
            raise UsageError(
                f"workload.data: '{self.name}' cannot be used ({first_line(error)}); check the name and the "
                "configuration, or give .jsonl or .parquet files"
            ) from error

    def load(self) -> Any:
        """The same, with the library's own errors."""
        import datasets

        if self.local is None:
            repository = self.parsed[0]
            commit = repository.commit()
            repository.ask(commit)  # The library itself would try for minutes.
            if Path(repository.repo).is_dir():  # which the library would take instead
                raise UsageError(
                    f"workload.data: '{self.name}' is meant for the hub, but there is a folder {repository.repo} here; "
                    f"give it as ./{repository.repo} if it is meant, or work in another folder"
                )
            return datasets.load_dataset(repository.repo, revision=commit, streaming=True, **self.choice)
        if self.local.is_file():
            if self.local.suffix not in TABLES:
                raise UsageError(f"workload.data: '{self.name}' must be a .jsonl or a .parquet file, or a folder")
            files = {"train": glob.escape(str(self.local))}
            return datasets.load_dataset(TABLES[self.local.suffix], data_files=files, streaming=True)
        if (self.local / "dataset_dict.json").is_file() or (self.local / "state.json").is_file():
            saved = datasets.load_from_disk(str(self.local))
            return saved if isinstance(saved, Mapping) else {"train": saved}
        return datasets.load_dataset(str(self.local), streaming=True)


def parts_of(splits: Mapping[str, Any], params: Shared) -> dict[str, str]:
    """Which split each part is; a part that is missing here is dealt out of the training split.

    Where a data set has one held-out split only, that is the test split.

    Raises:
        UsageError: a split that was asked for does not exist.
    """
    chosen = {"training": params.train_split, "validation": params.validation_split, "test": params.test_split}
    for name, split in chosen.items():
        if split and split not in splits:
            raise unknown("split", split, splits, f"workload.{name.replace('ing', '')}_split: '{params.data}'")
    free = [split for split in splits if split not in chosen.values()]
    for name, usual in (("test", (*TEST, *VALIDATION)), ("validation", VALIDATION)):
        if not chosen[name]:
            chosen[name] = next((split for split in usual if split in free), "")
            free = [split for split in free if split != chosen[name]]
    return {name: split for name, split in chosen.items() if split}


def dealt(splits: Mapping[str, Any], params: Shared, key: Callable[[Row], bytes]) -> Iterator[tuple[str, Row]]:
    """Every row that is used, with its part: training, validation, test or score.

    Of the training split, rows with equal keys go to one part, so that no text or image is in two of them. What is
    used of each part are its first rows.
    """
    parts = parts_of(splits, params)
    for part in ("validation", "test"):
        if part in parts:
            yield from ((part, row) for row in islice(splits[parts[part]], params.held_out_examples))
    places = [part for part in ("validation", "test", "score") if part not in parts]
    wanted = dict.fromkeys(places, float(params.held_out_examples))
    wanted["training"] = params.train_examples or math.inf
    for row in splits[parts["training"]]:
        part = place(key(row), places)
        if wanted[part]:
            wanted[part] -= 1
            yield part, row
        if not any(wanted.values()):
            return


def place(key: bytes, parts: list[str]) -> str:
    """The part that rows with this key belong to: about one in 20 to each of these, the rest to training."""
    number = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % SHARES
    return parts[number] if number < len(parts) else "training"
