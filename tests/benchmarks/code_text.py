"""The text `code` of the guide: all modules at the top of Python's standard library, one after the other.

    python tests/benchmarks/code_text.py stdlib.txt

Another version of Python gives another text. That of the guide is of Python 3.11.7 and has 4,698,555 bytes; its sha256
begins with 4cdcd8e30e68. The command tells both.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from pathlib import Path


def code_text() -> bytes:
    """The modules by name, a line break between two."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return b"\n".join(each.read_bytes() for each in modules)


def main(path: Path) -> None:
    """Write the text, and tell what it is."""
    text = code_text()
    path.write_bytes(text)
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"{path}: Python {version}, {len(text):,} bytes, sha256 {hashlib.sha256(text).hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
