from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lrctl.recipe.workloads import load_workload
from lrctl.training.quiet import quiet_torch
from workloads.finetune import tiny_models as tiny
from workloads.finetune.tiny_models import Folder

pytest.importorskip("transformers")


@pytest.fixture(autouse=True, scope="module")
def as_in_a_job() -> Iterator[None]:
    with quiet_torch(1):
        yield


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests share: encoded data is named by what decides it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def offline(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own cache, and no hub."""
    monkeypatch.setenv("LRCTL_CACHE", str(cache_folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The folder of a tiny model, made when it is first asked for."""
    return cache(lambda name: tiny.save_model(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The data of a task, made when it is first asked for."""
    return cache(lambda task: tiny.save_data(task, tmp_path_factory.mktemp(task)))


@pytest.fixture
def made(model: Folder, data: Folder) -> Callable[..., Any]:
    """A workload of a task on the first of its models."""

    def make(task: str = "summarization", seed: int = 0, **changes: Any) -> Any:
        given = tiny.workload(task, model(tiny.ABLE[task][0]), data(task))
        return load_workload(task, given | changes, seed)

    return make
