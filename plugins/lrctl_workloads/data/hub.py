"""The Hugging Face hub: which state of a model or data set is used, asked for once and recorded."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lrctl.documents import text as text_of
from lrctl.errors import MissingError, UsageError
from lrctl_workloads.data.cache import folder, put, writable

COMMIT = re.compile(r"[0-9a-f]{40}")
DATASET = re.compile(r"([\w.-]+/[\w.-]+)(?:/([\w.-]+))?(?:@([\w./-]+))?")
CONVERTED = "refs/convert/"
"""The hub's own conversions: branches with a folder for each configuration."""
TIMEOUT = 10.0
"""Seconds the hub has to answer the first question; what follows is only asked if it did."""


@dataclass(frozen=True, slots=True)
class Repository:
    kind: Literal["model", "dataset"]
    repo: str
    """`OWNER/NAME`, or `NAME` for old models."""
    revision: str
    """A commit, branch or tag. "" is what `main` is when it is first used on this machine: that commit is recorded in
    the cache folder and kept to.
    """
    where: str = field(compare=False)
    """The parameter that names it and what it says, for errors."""

    @property
    def record(self) -> Path:
        """The file that says which commit the revision stood for, and whether all that is needed was fetched."""
        name = f"{self.kind} {self.repo}@{self.revision}"
        return folder() / f"hub-{self.kind}-{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def recorded(self) -> dict[str, Any]:
        """What is known without asking the hub; empty unless the commit is. A revision that is one needs no record."""
        try:
            facts = dict(json.loads(text_of(self.record)))
        except (OSError, ValueError, TypeError):  # No record, or a damaged one.
            facts = {}
        if COMMIT.fullmatch(self.revision):
            facts["commit"] = self.revision
        return facts if COMMIT.fullmatch(str(facts.get("commit"))) else {}

    def note(self, **facts: Any) -> None:
        said = json.dumps({"name": self.repo, **self.recorded(), **facts}) + "\n"
        with writable():
            put(self.record, lambda file: file.write(said.encode()))

    def commit(self) -> str:
        """The commit that is used; unless it is given, asks the hub the first time, and records the answer."""
        if known := self.recorded().get("commit"):
            return str(known)
        commit = self.ask(self.revision or None).sha
        if commit is None:
            raise self.out_of_reach(LookupError("the answer names no commit"))
        self.note(commit=commit)
        return str(commit)

    def ask(self, revision: str | None) -> Any:
        """What the hub says of a revision: one small request, made once, that shows whether it answers."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

        try:
            return HfApi().repo_info(self.repo, repo_type=self.kind, revision=revision, timeout=TIMEOUT)
        except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
            raise UsageError(
                f"{self.where}: the hub shows no such {self.kind} or revision ({type(error).__name__}); check the "
                "name, or run 'hf auth login' if it is private or gated"
            ) from error
        except Exception as error:  # Offline mode, and many types of the HTTP library below.
            raise self.out_of_reach(error) from error

    def out_of_reach(self, error: Exception) -> MissingError:
        return MissingError(
            f"{self.where} could not be fetched from the hub ({first_line(error)}); connect to the network and "
            "give the same command again, or give local files"
        )


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A data set of the hub in one of its configurations; "" is the default one."""

    repository: Repository
    config: str

    @classmethod
    def parse(cls, name: str, where: str) -> HubDataset:
        """The data set that `OWNER/NAME[/CONFIG][@REVISION]` names; `where` is the parameter and what it says."""
        found = DATASET.fullmatch(name)
        if not found:
            raise UsageError(
                f"{where} is neither a file, a folder nor a data set of the hub, OWNER/NAME or OWNER/NAME/CONFIG, "
                "either with @REVISION; write it as in Salesforce/wikitext/wikitext-103-raw-v1"
            )
        repo, config, revision = found.groups(default="")
        return cls(Repository("dataset", repo, revision, where), config)

    @property
    def selection(self) -> dict[str, str | None]:
        """The argument that tells the `datasets` library which configuration is meant."""
        converted = self.repository.revision.startswith(CONVERTED)
        return {"data_dir" if converted else "name": self.config or None}

    def stream(self, split: str | None = None) -> Any:
        """The rows of a split, or those of every split by its name, as a stream; with the library's own errors."""
        repository, repo = self.repository, self.repository.repo
        if Path(repo).is_dir():  # which the library would take instead
            raise UsageError(
                f"{repository.where} is meant for the hub, but there is a folder {repo} here; rename it, or give it as "
                f"./{repo} if it is meant"
            )
        commit = repository.commit()
        repository.ask(commit)  # The library itself would try for minutes.
        from datasets import load_dataset

        return load_dataset(repo, split=split, streaming=True, revision=commit, **self.selection)


def first_line(error: BaseException) -> str:
    """An exception's type and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}".removesuffix(": ")
