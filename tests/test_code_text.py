"""The text `code`, which results of the guide are on."""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path

import pytest

from benchmarks import code_text


def test_it_is_the_modules_at_the_top_of_the_standard_library_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library = tmp_path / "library"
    (library / "package").mkdir(parents=True)
    for name in ("b.py", "a.py", "c.txt", "package/d.py"):
        (library / name).write_text(f"# {name}\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(library))
    code_text.main(tmp_path / "code.txt")
    text = (tmp_path / "code.txt").read_bytes()
    assert text == b"# a.py\n\n# b.py\n"
    told = capsys.readouterr().out
    assert f"{len(text)} bytes" in told
    assert hashlib.sha256(text).hexdigest() in told
