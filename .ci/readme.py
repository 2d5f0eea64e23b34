"""The README as a package index shows it: a link to a file leads nowhere there, so it is told where that is read.

A hook of hatchling's, named in pyproject.toml.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(\()?(!?)\[([^\]]*)\]\((?!https?://)([^)#\s]+)[^)\s]*\)(?(1)\))")
"""With the brackets around it, where there are any."""

GUIDE = "lrctl/guide/"


def for_index(text: str) -> str:
    """Markdown without links to files, and without pictures that are files."""
    return LINK.sub(told, text)


def told(link: re.Match[str]) -> str:
    """A link in words; `lrctl guide` shows the pages of the guide wherever the package is installed."""
    bracketed, picture, words, path = link.groups()
    if picture:
        return ""
    topic = "" if path == f"{GUIDE}README.md" else f" {Path(path).stem}"
    place = f"lrctl guide{topic}" if path.startswith(GUIDE) else path
    return f"({words}: `{place}`)" if bracketed else f"{words} (`{place}`)"


class ReadmeHook(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_index(text)}
