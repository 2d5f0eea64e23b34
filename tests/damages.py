"""What may happen to a file or an object of a store, and what commands do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from command_line import Lrctl

OTHER = {"strategy__semilocal__eps": 0.0}
"""The setting of the run `other`."""

FILES = ("recipe.toml", "environment.json", "identity.json", "schedule.json", "result.json")

Damage = Callable[[Any, Any], None]
"""Done to a path of a store; another run has the second one in its place."""


def cut(path: Any, _: Any) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Any, _: Any) -> None:
    path.write_bytes(b"")


def removed(path: Any, _: Any) -> None:
    path.unlink()


def swapped(path: Any, other: Any) -> None:
    path.write_bytes(other.read_bytes())


def a_folder(path: Any, _: Any) -> None:
    """A folder in its place, with a file in it; in object storages only that there is something below its name."""
    path.unlink()
    path.mkdir()
    (path / "in it").write_text("")


def flipped(path: Any, _: Any) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) * 2 // 3] ^= 2
    path.write_bytes(whole)


def commands(run: str) -> list[str]:
    return [f"compare {run}", f"export {run} --to csv", f"runs show {run}", f"report {run}"]


def check_it_stops_no_other(file: str, lrctl: Lrctl) -> None:
    """Every command does its work on the run `other` though this file of `mine` cannot be read."""
    listed = lrctl("runs", "--json")
    assert [row["status"] for row in listed.document["runs"]] == ["finished", "damaged"]
    assert listed.error.startswith(f"warning: run mine: missing or damaged: {file}")
    for command in ("runs", "gc", "compare other", "export other --to csv", "runs show other"):
        assert lrctl(*command.split()).code == 0, command
    for command in ("runs show mine", "compare mine", "export mine --to csv"):
        assert "a fault in lrctl" not in lrctl(*command.split()).err, command
    assert lrctl("runs", "remove", "mine", "--yes").code == 0
    assert [row["run"] for row in lrctl("runs", "--json").document["runs"]] == ["other"]
