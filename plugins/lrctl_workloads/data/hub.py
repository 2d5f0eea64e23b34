"""Text of the Hugging Face hub: which data set, which state of it, and its rows as a stream."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.data.cache import folder, put, writable

PREFIX = "hub:"
NAME = re.compile(r"hub:([\w.-]+/[\w.-]+)(?:/([\w.-]+))?(?:@([\w./-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
PATIENCE = 10.0
"""Seconds the hub has to answer the first question."""


@dataclass(frozen=True, slots=True)
class Hub:
    """The `train` split of a data set of the hub; splits for evaluation are not used, as lrctl makes its own.

    Attributes:
        repo: `OWNER/NAME`.
        config: which of the data set's configurations; "" is its default.
        revision: a commit, branch or tag. "" is what `main` is when the data set is first used on this machine:
            that commit is recorded in the cache folder and kept to.
    """

    repo: str
    config: str
    revision: str

    @classmethod
    def parse(cls, path: str) -> Hub:
        """The data set that `hub:OWNER/NAME[/CONFIG][@REVISION]` names.

        Raises:
            UsageError: it is not of that form.
        """
        found = NAME.fullmatch(path)
        if not found:
            raise UsageError(
                f"workload.path: '{path}' is not of the form hub:OWNER/NAME, hub:OWNER/NAME/CONFIG or either with "
                "@REVISION; write it as in hub:Salesforce/wikitext/wikitext-103-raw-v1"
            )
        repo, config, revision = found.groups(default="")
        return cls(repo, config, revision)

    def __str__(self) -> str:
        """The name as the user writes it."""
        return PREFIX + self.repo + f"/{self.config}" * bool(self.config) + f"@{self.revision}" * bool(self.revision)

    @property
    def record(self) -> Path:
        """The file that says which commit the revision stood for when it was first used."""
        return folder() / f"hub-{hashlib.sha256(f'{self.repo}@{self.revision}'.encode()).hexdigest()[:32]}.json"

    def known_commit(self) -> str | None:
        """The commit, if it is known without asking the hub."""
        if COMMIT.fullmatch(self.revision):
            return self.revision
        try:
            commit = json.loads(self.record.read_text(encoding="utf-8"))["commit"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return commit if isinstance(commit, str) and COMMIT.fullmatch(commit) else None

    def commit(self) -> str:
        """The commit whose text is used; asks the hub the first time, and records the answer.

        Raises:
            UsageError: the hub has no such data set, or the cache folder cannot be written.
            MissingError: the hub cannot be reached.
        """
        if known := self.known_commit():
            return known
        commit = self.ask(self.revision or None)
        said = json.dumps({"path": str(self), "commit": commit}) + "\n"
        with writable():
            put(self.record, lambda file: file.write(said.encode()))
        return commit

    def ask(self, revision: str | None) -> str:
        """The commit a revision stands for now: one small request, made once, that shows whether the hub answers.

        Raises:
            UsageError: the hub has no such data set or revision, or does not show it without a login.
            MissingError: the hub cannot be reached.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

        try:
            commit = HfApi().dataset_info(self.repo, revision=revision, timeout=PATIENCE).sha
        except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
            raise UsageError(
                f"workload.path: '{self}': the hub shows no such data set or revision ({type(error).__name__}); "
                "check the name, or run 'hf auth login' if the data set is private or gated"
            ) from error
        except Exception as error:  # Offline mode, and many types of the HTTP library below.
            raise self.out_of_reach(error) from error
        if commit is None:
            raise self.out_of_reach(LookupError("the answer names no commit"))
        return str(commit)

    def rows(self, skip: int) -> Iterator[dict[str, Any]]:
        """The rows but for the first `skip`, one after another, streamed; nothing is written to the library's cache.

        Raises:
            UsageError: the data set has no such configuration, or no split `train`.
            MissingError: the hub cannot be reached, or a package that unpacks the files is not installed.
        """
        if Path(self.repo).is_dir():  # which the library would take instead
            raise UsageError(
                f"workload.path: '{self}' is meant for the hub, but there is a folder {self.repo} here; rename "
                f"it, or give it as ./{self.repo} if it is meant"
            )
        commit = self.commit()
        self.ask(commit)  # The library itself would try for minutes.
        from datasets import load_dataset

        try:
            stream = load_dataset(self.repo, self.config or None, split="train", streaming=True, revision=commit)
            yield from stream.skip(skip) if skip else stream
        except ValueError as error:
            raise UsageError(
                f"workload.path: '{self}' cannot be used ({first_line(error)}); check the name and the configuration"
            ) from error
        except Exception as error:  # The library lets many types through, of its own and of those below it.
            raise self.out_of_reach(error) from error

    def out_of_reach(self, error: Exception) -> MissingError:
        """The error for text that cannot be fetched now."""
        return MissingError(
            f"workload.path: '{self}' could not be fetched from the hub ({first_line(error)}); connect to the network "
            "and give the same command again, which goes on from the last whole piece, or give a local folder of "
            ".jsonl or .parquet files"
        )


def first_line(error: Exception) -> str:
    """An exception's type and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}".removesuffix(": ")
