from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from lrctl.training.quiet import quiet_torch
from workloads.finetune import tiny_models as tiny

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
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model, made when it is first asked for."""
    return cache(lambda name: tiny.save_model(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The data of a task, made when it is first asked for."""
    return cache(lambda task: tiny.save_data(task, tmp_path_factory.mktemp(task)))
