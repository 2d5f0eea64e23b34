from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

TEXT = "the of law peace war year people state treaty revenue naïve 1860 don't land, gold; sea. shall have"


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LRCTL_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as a worker has: several test processes on few cores would wait for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def documents() -> list[str]:
    """30 documents of 400 words, unlike each other in nothing but their words' order."""
    words = random.Random(0)
    return [" ".join(words.choices(TEXT.split(), k=400)) for _ in range(30)]


@pytest.fixture
def folder(tmp_path: Path, documents: list[str]) -> Path:
    """The documents as a folder of .txt files."""
    path = tmp_path / "texts"
    path.mkdir()
    for number, document in enumerate(documents):
        (path / f"{number:03}.txt").write_bytes(document.encode())
    return path
