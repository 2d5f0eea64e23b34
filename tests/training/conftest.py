from __future__ import annotations

from pathlib import Path

import pytest

from lrctl.contracts.workload import Workload
from lrctl.recipe.workloads import load_workload
from training.small_gpt import small_gpt


@pytest.fixture
def gpt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workload:
    """A GPT of two layers with dropout."""
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    return load_workload("gpt", small_gpt(tmp_path), 0)
