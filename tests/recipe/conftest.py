from __future__ import annotations

from pathlib import Path

import pytest

from recipe.texts import TEXT


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a recipe's file in the working directory, which is the test's own."""
    monkeypatch.chdir(tmp_path)
    Path("r.toml").write_text(TEXT)
    return "r.toml"
