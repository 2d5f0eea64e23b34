"""A model of Hugging Face transformers by name or folder: its files, its digest, its parts."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lrctl.errors import LrctlError, MissingError, UsageError
from lrctl_workloads.data.cache import files_digest
from lrctl_workloads.data.hub import COMMIT, Repository, first_line
from lrctl_workloads.data.packages import INSTALL, package
from lrctl_workloads.network import Module

NAME = re.compile(r"((?:[\w.-]+/)?[\w.-]+)(?:@([\w./-]+))?")
SMALL = ["*.json", "*.txt", "*.model", "*.tiktoken"]
"""Files of the hub that are not weights: configurations, tokenizers, processors."""
LOADED = (".safetensors", ".bin")
"""Suffixes of weights that are loaded. Those of the second are pickles, of which torch takes tensors only."""
WEIGHTS = (*LOADED, ".h5", ".msgpack", ".onnx", ".ot", ".pt", ".pth")


@dataclass(frozen=True)
class Pretrained:
    """A model as transformers' `from_pretrained` takes it, always in one state."""

    name: str
    """A folder, or the hub's NAME, OWNER/NAME or either with @REVISION."""
    weights: bool
    """Whether its weights are wanted, or its architecture with fresh ones."""

    @property
    def local(self) -> Path | None:
        path = Path(self.name).expanduser()
        return path if path.is_dir() else None

    @cached_property
    def repository(self) -> Repository:
        found = NAME.fullmatch(self.name)
        if not found:
            raise UsageError(
                f"workload.model: '{self.name}' is neither a folder nor a name of the hub; write t5-base, OWNER/NAME, "
                "or either with @REVISION"
            )
        return Repository("model", found[1], found[2] or "", f"workload.model: '{self.name}'")

    def digest(self) -> str:
        """What names the state of everything that is used: the files' sha256, or the hub's commit."""
        if self.local is None:
            return self.repository.commit() + ("" if self.weights else " fresh")
        used = [
            path for path in self.local.iterdir() if path.is_file() and (self.weights or path.suffix not in WEIGHTS)
        ]
        return files_digest(used, self.local)

    def is_here(self, *, weights: bool) -> bool:
        """Whether the files are on this machine; looks, and fetches nothing."""
        return self.local is not None or self.fetched(weights) is not None

    def folder(self, *, weights: bool) -> Path:
        """The folder that holds the files, fetched from the hub unless they are there."""
        if self.local and weights and not any(path.suffix in LOADED for path in self.local.iterdir()):
            raise UsageError(
                f"workload.model: the folder '{self.name}' holds no weights ({' or '.join(LOADED)}); give one that "
                "does, or set workload.pretrained=false"
            )
        return self.local or self.fetched(weights) or self.fetch(weights)

    def fetched(self, weights: bool) -> Path | None:
        """Where the files lie that were fetched before; None if they were not, or are gone."""
        known = self.repository.recorded()
        return self.snapshot(known["commit"]) if known.get("weights" if weights else "fetched") else None

    def snapshot(self, revision: str | None) -> Path | None:
        """The folder of a revision in the hub's own cache; None if there is none."""
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(self.repository.repo, revision=revision, local_files_only=True))
        except (OSError, ValueError):
            return None

    def fetch(self, weights: bool) -> Path:
        """Fetch the files; where the hub cannot be reached, those that something else has fetched will do."""
        repository = self.repository
        try:
            path = self.download(weights)
        except MissingError:
            found = self.snapshot(repository.recorded().get("commit") or repository.revision or None)
            if found is None or not is_whole(found, weights):
                raise
            path = found
            repository.note(commit=path.name)
        repository.note(fetched=True, **({"weights": True} if weights else {}))
        return path

    def download(self, weights: bool) -> Path:
        from huggingface_hub import snapshot_download

        repository = self.repository
        commit = repository.commit()
        files = [str(file.rfilename) for file in repository.ask(commit).siblings or []]
        safe = any(file.endswith(".safetensors") and "/" not in file for file in files)
        wanted = [*SMALL, "*.safetensors" if safe else "pytorch_model*.bin"] if weights else SMALL
        try:
            return Path(
                snapshot_download(repository.repo, revision=commit, allow_patterns=wanted, ignore_patterns=["*/*"])
            )
        except Exception as error:  # Many types of the HTTP library below.
            raise repository.out_of_reach(error) from error

    @cached_property
    def parts(self) -> Path:
        """The folder with the configuration and the tokenizer or processor."""
        return self.folder(weights=False)

    def config(self) -> Any:
        """A configuration of one's own, in float32 whatever the weights are stored in."""
        config = self.load("AutoConfig", "configuration")
        config.dtype = package("torch").float32
        return config

    def fast_tokenizer(self, **settings: Any) -> Any:
        """The model's tokenizer, of the kind that knows where in a text each token stands."""
        tokenizer = self.load("AutoTokenizer", "tokenizer", **settings)
        if not tokenizer.is_fast:
            raise UsageError(
                f"workload.model: the tokenizer of '{self.name}' does not tell where its tokens come from (it is not a "
                "fast one); take another model"
            )
        return tokenizer

    def load(self, auto: str, what: str, **settings: Any) -> Any:
        transformers, path = package("transformers"), self.parts
        try:
            with quiet(), self.no_code():
                # Else transformers asks on the terminal whether to run Python that a recipe's model names.
                return getattr(transformers, auto).from_pretrained(path, trust_remote_code=False, **settings)
        except LrctlError:
            raise
        except ImportError as error:
            raise MissingError(
                f"workload.model: the {what} of '{self.name}' needs more ({first_line(error)}); {INSTALL}"
            ) from error
        except Exception as error:  # Many types, as tokenizers are of many makes.
            raise UsageError(
                f"workload.model: '{self.name}' has no {what} that can be used ({first_line(error)}); "
                "take another model"
            ) from error

    @contextmanager
    def no_code(self) -> Iterator[None]:
        """Say clearly, for the length of a block, that a model needs Python of its own, which is not run."""
        try:
            yield
        except ValueError as error:
            if "trust_remote_code" not in str(error):
                raise
            raise UsageError(
                f"workload.model: '{self.name}' can only be used by running Python code that it brings, which lrctl "
                "never does; take a model that transformers itself knows"
            ) from error

    def build(self, auto: str, config: Any, *, weights: bool) -> Module:
        """The model itself: from its weights, with fresh ones where a layer has none that fit, or all fresh."""
        model_class, settings = getattr(package("transformers"), auto), {"config": config, "trust_remote_code": False}
        with quiet(), self.no_code():
            if weights:
                path = self.folder(weights=True)
                model = model_class.from_pretrained(path, ignore_mismatched_sizes=True, **settings)
            else:
                model = model_class.from_config(**settings)
        built: Module = model.float()
        return built


def is_whole(folder: Path, weights: bool) -> bool:
    """Whether all files of a model are in the hub's cache, as far as can be seen."""
    suffixes = {file.suffix for file in folder.iterdir()}
    found = (folder / "config.json").is_file() and (not weights or not suffixes.isdisjoint(LOADED))
    return found and COMMIT.fullmatch(folder.name) is not None


@contextmanager
def quiet() -> Iterator[None]:
    """Transformers without its reports and progress bars, for the length of a block."""
    logging = package("transformers.utils.logging")
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # Some versions of numpy say so when they are first asked, as jobs have denormal numbers flushed.
            warnings.filterwarnings("ignore", "The value of the smallest subnormal")
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
