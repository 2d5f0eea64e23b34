"""Rows of tables as the `datasets` library streams them, which leaves no second copy of the data on the disk."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lrctl.errors import LrctlError, UsageError
from lrctl_workloads.data.cache import sha256
from lrctl_workloads.data.hub import HubDataset, first_line

FORMATS = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}
"""Suffixes of tables, and what the library calls their format."""


def stream(files: Sequence[Path], split: str = "train") -> Any:
    """The rows of files of one format, one file after another, as a split of that name."""
    from datasets import load_dataset  # 0.8 s, so only where it is needed

    names = [glob.escape(str(file)) for file in files]
    return load_dataset(FORMATS[files[0].suffix], data_files={split: names}, split=split, streaming=True)


@contextmanager
def reading(where: str, hub: HubDataset | None) -> Iterator[None]:
    """Tell what is wrong with the data that the block reads, from the hub or, if there is none, from local files."""
    try:
        yield
    except LrctlError:
        raise
    except Exception as error:  # The library lets many types through, of its own and of those below it.
        if hub is None:
            raise UsageError(f"{where} cannot be read ({first_line(error)}); check the files") from error
        if not isinstance(error, ValueError | FileNotFoundError):
            raise hub.repository.out_of_reach(error) from error
        raise UsageError(
            f"{where} cannot be used ({first_line(error)}); check the name and the configuration, or give .jsonl or "
            ".parquet files"
        ) from error


def file_digest(file: Path) -> str:
    """The sha256 of a file that the user named in `workload.path`."""
    with readable(file):
        return sha256(file)


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Tell which file of `workload.path` the block could not read."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"workload.path: '{file}' cannot be read ({error.strerror}); check the file and its permissions"
        ) from error
