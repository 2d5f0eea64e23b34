"""The Hugging Face hub: which state of a model or data set is used, asked for once and recorded."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.finetune.files import first_line, folder, package, put, writable

COMMIT = re.compile(r"[0-9a-f]{40}")
PATIENCE = 10.0
"""Seconds the hub has to answer the first question; what follows is only asked if it did."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A model or data set of the hub.

    Attributes:
        kind: what it is; the parameter that names it is `workload.model` or `workload.data`.
        repo: `OWNER/NAME`, or `NAME` for old models.
        revision: a commit, branch or tag. "" is what `main` is when it is first used on this machine: that commit is
            recorded in the cache folder and kept to.
    """

    kind: Literal["model", "dataset"]
    repo: str
    revision: str

    @property
    def where(self) -> str:
        """The parameter and what it says, for errors."""
        parameter = "model" if self.kind == "model" else "data"
        return f"workload.{parameter}: '{self.repo}{'@' if self.revision else ''}{self.revision}'"

    @property
    def record(self) -> Path:
        """The file that says which commit the revision stood for, and whether all that is needed was fetched."""
        name = f"{self.kind} {self.repo}@{self.revision}"
        return folder() / f"hub-{self.kind}-{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def recorded(self) -> dict[str, Any]:
        """What was recorded; empty if nothing was, but for a revision that is a commit, which needs no record."""
        commit = {"commit": self.revision} if COMMIT.fullmatch(self.revision) else {}
        try:
            found = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return dict(commit)
        whole = isinstance(found, dict) and COMMIT.fullmatch(str((found | commit).get("commit")))
        return found | commit if whole else dict(commit)

    def note(self, **facts: Any) -> None:
        """Record facts beside those that are recorded already.

        Raises:
            UsageError: the cache folder cannot be written.
        """
        with writable():
            put(self.record, (json.dumps({"name": self.repo, **self.recorded(), **facts}) + "\n").encode())

    def commit(self) -> str:
        """The commit that is used; unless it is given, asks the hub the first time, and records the answer.

        Raises:
            UsageError: the hub has no such repository, or the cache folder cannot be written.
            MissingError: the hub cannot be reached.
        """
        if known := self.recorded().get("commit"):
            return str(known)
        commit = str(self.ask(self.revision or None).sha)
        self.note(commit=commit)
        return commit

    def ask(self, revision: str | None) -> Any:
        """What the hub says of a revision: one small request, made once, that shows whether it answers.

        Raises:
            UsageError: there is no such repository or revision, or it is not shown without a login.
            MissingError: the hub cannot be reached.
        """
        hub, errors = package("huggingface_hub"), package("huggingface_hub.errors")
        unknown = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError)
        try:
            about = hub.HfApi().repo_info(self.repo, repo_type=self.kind, revision=revision, timeout=PATIENCE)
        except unknown as error:
            raise UsageError(
                f"{self.where}: the hub shows no such {self.kind} or revision ({type(error).__name__}); check the "
                "name, or run 'hf auth login' if it is private or gated"
            ) from error
        except Exception as error:  # Offline mode, and many types of the HTTP library below.
            raise self.out_of_reach(error) from error
        return about

    def out_of_reach(self, error: Exception) -> MissingError:
        """The error for what cannot be fetched now."""
        return MissingError(
            f"{self.where} is not on this machine and could not be fetched from the hub ({first_line(error)}); connect "
            "to the network once, or give a local folder"
        )
