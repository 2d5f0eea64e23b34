"""A working directory, a store in it, and a job that lrctl tells this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lrctl.storage.store import Store
from program.told import Told
from programs import tell_job


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own, in a process that lrctl has not started."""
    monkeypatch.chdir(tmp_path)
    for name in ("LRCTL_JOB", "LRCTL_SCHEDULE", "LRCTL_STORE", "RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Store:
    return Store(folder / "store")


@pytest.fixture
def told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Has lrctl tell this process a job."""

    def tell(start: int = 0, stop: int = 3, **changed: Any) -> dict[str, Any]:
        path = tell_job(folder, start, stop, **changed)
        monkeypatch.setenv("LRCTL_JOB", str(path))
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    return tell
