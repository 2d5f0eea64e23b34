"""Files are read whole if they are regular and of a sane size; what they hold has a sane depth and sane numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cases import each_of
from lrctl import documents

DEEP = 100_000


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_large_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(documents.LARGEST + 1)


UNREADABLE: dict[str, tuple[Callable[[Path], None], str]] = {
    "nothing": (lambda _: None, "No such file or directory"),
    "a folder": (Path.mkdir, "not a regular file"),
    "a pipe": (a_pipe, "not a regular file"),
    "a device": (a_device, "not a regular file"),
    "a loop of links": (a_loop, "Too many levels of symbolic links"),
    "too large": (a_large_file, "larger than 64 MiB"),
}


@pytest.mark.parametrize(("make", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_whole_is_refused_at_once(
    make: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    make(tmp_path / "file")
    before = os.listdir("/proc/self/fd") if Path("/proc").is_dir() else []
    for _ in range(3):
        with pytest.raises(OSError, match=reason):
            documents.content(tmp_path / "file")
    assert len(os.listdir("/proc/self/fd") if Path("/proc").is_dir() else []) == len(before), (
        "descriptors are left open"
    )


def test_a_link_is_followed_only_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    assert documents.content(tmp_path / "link") == b"1"
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        documents.content(tmp_path / "link", follow=False)


def test_a_text_has_no_mark_in_front_and_the_line_ends_of_unix(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert documents.text(tmp_path / "file") == "a\nb\nc\n"


NO_JSON = {
    "nothing": "",
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep tables": '{"a":' * DEEP + "1" + "}" * DEEP,
    "too deep for us": "[" * 70 + "]" * 70,
    "never closed": "[" * DEEP,
    "no number": "NaN",
    "infinity": "[-Infinity]",
    "larger than a float": "[1e999]",
    "more than 64 bits": f"[{2**64}]",
    "more than 4,300 digits": "1" * 5000,
    "half a character": '"\\ud800"',
    "half a character in a name": '{"\\udc80": 1}',
}


@each_of("text", NO_JSON.values())
def test_what_is_no_sane_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the type is what counts
        documents.from_json(text)


@each_of(
    "text", ["a = " + "[" * DEEP + "]" * DEEP, "a = " + "[" * 70 + "]" * 70, f"a = {'1' * 5000}", "a.b = ", "a" * 99]
)
def test_what_is_no_sane_toml_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the type is what counts
        documents.from_toml(text)


def test_sane_values_come_out_as_they_are() -> None:
    value = {"a": [1, 2.5, None, True, "ä", {}], "b": {"c": [[]]}, "seed": 2**64 - 1}
    assert (
        documents.from_json('{"a": [1, 2.5, null, true, "ä", {}], "b": {"c": [[]]}, "seed": 18446744073709551615}')
        == value
    )
    assert documents.from_toml("a = [nan]")["a"][0] != 0, "what a number may be is for the recipe to say"
