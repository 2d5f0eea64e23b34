"""The documentation: its pages, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = sorted((ROOT / "lrctl" / "guide").rglob("*.md"))
ENTRANCES = [ROOT / "README.md", ROOT / "recipes" / "README.md", ROOT / "plugins" / "README.md"]
BENCHMARKS = sorted((ROOT / "tests" / "benchmarks").rglob("README.md"))

PAGES = [*ENTRANCES, *GUIDE]
"""What the rules for our own pages hold for."""

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in a language."""
    return [code for kind, code in FENCED.findall(text_of(page)) if kind == language]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCED.sub("", text_of(page))
