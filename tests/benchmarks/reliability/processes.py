"""The processes that a process has started, as `/proc` tells of them; those of Ray among them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children() -> dict[int, list[int]]:
    """The processes that are alive, by their parent."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found.setdefault(int(parent), []).append(int(path.parent.name))
    return found


def below(pid: int) -> list[int]:
    """All that a process has started, and what these have."""
    tree, found = children(), [pid]
    for each in found:
        found += tree.get(each, [])
    return found[1:]


def actors(pid: int) -> list[int]:
    """The actors among what a process has started."""
    return [each for each in below(pid) if title(each).startswith("ray::Worker")]


def title(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def is_agent(pid: int) -> bool:
    script = " ".join(title(pid).split()[:3])
    return any(name in script for name in ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "/agent"))
