from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tiktoken

from lrctl import hookimpl
from lrctl.errors import UsageError
from lrctl.registry.registry import registry
from lrctl_workloads.text import token_file as module
from lrctl_workloads.text.token_file import State, aside, token_file
from lrctl_workloads.text.tokenizer import END, from_ranks

BYTES = from_ranks("bytes", {bytes([byte]): byte for byte in range(256)})
NAME = "tokens-a.npy"
TEXTS = [f"document {i} " * (i % 7) for i in range(40)]
"""Every seventh is empty. 1,390 tokens: with pieces of 200 there are 7."""


@dataclass
class Listed:
    """Documents that count how often they are read, and break off before one of them."""

    documents: list[str] = field(default_factory=lambda: TEXTS)
    broken: int | None = None
    read: list[int] = field(default_factory=list)
    name: str = "a list"

    def texts(self, skip: int) -> Iterator[str]:
        for number, text in list(enumerate(self.documents))[skip:]:
            if number == self.broken:
                raise UsageError("the line is dead")
            self.read.append(number)
            yield text


class Dead(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 200)


def encoding() -> tiktoken.Encoding:
    return BYTES


def make(texts: Listed, max_tokens: int = 0) -> tuple[Path, str]:
    return token_file(NAME, texts, encoding, max_tokens)


def whole(documents: list[str]) -> list[int]:
    return [token for text in documents if text for token in [*text.encode(), 256]]


def saved(ids: list[int]) -> bytes:
    file = BytesIO()
    np.save(file, np.array(ids, np.uint16))
    return file.getvalue()


def test_the_file_is_what_numpy_saves_and_nothing_else_stays(cache_folder: Path) -> None:
    path, _ = make(Listed())
    assert path.read_bytes() == saved(whole(TEXTS))
    assert sorted(file.name for file in cache_folder.iterdir()) == [f".{NAME}.lock", NAME, f"{NAME}.sha256"]


def test_a_finished_file_is_not_made_again() -> None:
    first, again = make(Listed()), Listed()
    assert make(again) == first
    assert again.read == []


@pytest.mark.parametrize("broken", [0, 1, 5, 17, 39])
def test_a_text_that_breaks_off_goes_on_from_the_last_whole_piece(broken: int, cache_folder: Path) -> None:
    with pytest.raises(UsageError, match="the line is dead"):
        make(Listed(broken=broken))
    state = State.read(aside(cache_folder / NAME, "state"))
    done = state.last.documents
    assert broken - done < 8
    rest = Listed()
    path, _ = make(rest)
    assert path.read_bytes() == saved(whole(TEXTS))
    assert rest.read == list(range(done, 40))


def cut(part: Path, _: Path) -> None:
    os.truncate(part, part.stat().st_size - 301)


def cut_into_the_header(part: Path, _: Path) -> None:
    os.truncate(part, 3)


def add(part: Path, _: Path) -> None:
    with part.open("ab") as file:
        file.write(b"half a piece")


def flip(part: Path, _: Path) -> None:
    content = bytearray(part.read_bytes())
    content[128 + 700] ^= 1
    part.write_bytes(content)


def forget(_: Path, state: Path) -> None:
    state.unlink()


def scribble(_: Path, state: Path) -> None:
    state.write_bytes(state.read_bytes()[:-5])


def lose(part: Path, _: Path) -> None:
    part.unlink()


@pytest.mark.parametrize("damage", [cut, cut_into_the_header, add, flip, forget, scribble, lose])
def test_whatever_is_left_of_an_attempt_the_file_becomes_the_same(damage: object, cache_folder: Path) -> None:
    with pytest.raises(UsageError, match="the line is dead"):
        make(Listed(broken=35))
    damage(aside(cache_folder / NAME, "part"), aside(cache_folder / NAME, "state"))  # type: ignore[operator]
    path, _ = make(Listed())
    assert path.read_bytes() == saved(whole(TEXTS))


def test_a_kill_at_each_write_to_the_disk_leaves_something_to_go_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever later: each attempt gets one fsync or rename further than the one before."""
    steps: list[int] = []

    def dying(real: object, limit: int) -> object:
        def step(*args: object) -> object:
            steps.append(0)
            if len(steps) > limit:
                raise Dead
            return real(*args)  # type: ignore[operator]

        return step

    fsync, replace = os.fsync, Path.replace
    for limit in range(200):
        steps.clear()
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", dying(fsync, limit % 7))
            patched.setattr(Path, "replace", dying(replace, limit % 7))
            try:
                path, _ = make(Listed())
            except Dead:
                continue
        break
    else:
        pytest.fail("it never came to an end")
    assert limit > 10
    assert path.read_bytes() == saved(whole(TEXTS))


def test_a_text_whose_last_piece_is_done_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(_: Path) -> str:
        raise Dead

    with monkeypatch.context() as patched:
        patched.setattr(module, "sha256", dead)
        with pytest.raises(Dead):
            make(Listed())
    rest = Listed()
    path, _ = make(rest)
    assert path.read_bytes() == saved(whole(TEXTS))
    assert rest.read == []


SLOW = """
import time
from lrctl_workloads.text import token_file as module
from lrctl_workloads.text.tokenizer import from_ranks

class Slow:
    name = "slow"
    def texts(self, skip):
        for i in range(skip, 40):
            time.sleep(0.01)
            yield f"document {i} " * (i % 7)

module.PIECE = 200
encoding = from_ranks("bytes", {bytes([byte]): byte for byte in range(256)})
module.token_file("tokens-a.npy", Slow(), lambda: encoding, 0)
"""


def test_a_killed_process_leaves_a_file_that_another_ends(cache_folder: Path) -> None:
    state = aside(cache_folder / NAME, "state")
    with subprocess.Popen([sys.executable, "-c", SLOW]) as process:
        deadline = time.monotonic() + 30
        while len(State.read(state).pieces) < 2 and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    rest = Listed()
    path, _ = make(rest)
    assert path.read_bytes() == saved(whole(TEXTS))
    assert 0 < len(rest.read) < 35


@pytest.mark.parametrize("max_tokens", [1, 199, 200, 201, 1000, 1300])
def test_max_tokens_is_kept_to_the_token_and_no_document_is_read_in_vain(max_tokens: int) -> None:
    texts = Listed()
    path, _ = make(texts, max_tokens)
    assert path.read_bytes() == saved(whole(TEXTS)[:max_tokens])
    before = [text for i, text in enumerate(TEXTS) if i < texts.read[-1]]
    assert len(whole(before)) < max_tokens


def test_a_text_may_have_fewer_tokens_than_are_wanted() -> None:
    path, _ = make(Listed(), 10**9)
    assert path.read_bytes() == saved(whole(TEXTS))


def test_memory_does_not_grow_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 300_000)

    @dataclass
    class Long:
        name: str = "long"

        def texts(self, skip: int) -> Iterator[str]:
            return (f"{i:05}" * 4000 for i in range(skip, 200))

    tracemalloc.start()
    try:
        path, _ = token_file(NAME, Long(), encoding, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 8_000_000
    assert peak < 1_500_000


def test_several_at_once_make_it_once() -> None:
    texts = [Listed() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(make, texts))
    ((path, _),) = found
    assert path.read_bytes() == saved(whole(TEXTS))
    assert sorted(len(each.read) for each in texts) == [0, 0, 0, 0, 0, 40]


class Watcher:
    """An observer of what is made ready."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    @hookimpl
    def preparing(self, what: str, done: int, total: int) -> None:
        self.seen.append((what, done, total))


def test_observers_see_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)
    watcher, manager = Watcher(), registry().manager
    manager.register(watcher)
    try:
        make(Listed(), 1300)
    finally:
        manager.unregister(watcher)
    assert {(what, total) for what, _, total in watcher.seen} == {("tokenising a list", 1300)}
    done = [done for _, done, _ in watcher.seen]
    assert done == sorted(done)
    assert done[-1] > 1000


def test_documents_end_with_the_end_of_text_and_cannot_forge_it() -> None:
    path, _ = make(Listed(["ab", END]))
    assert np.load(path).tolist() == [*b"ab", 256, *END.encode(), 256]


def test_half_a_surrogate_pair_is_a_replacement_character() -> None:
    path, _ = make(Listed(["a\ud800b"]))
    assert np.load(path).tolist() == [*"a\N{REPLACEMENT CHARACTER}b".encode(), 256]


def test_texts_without_text_are_a_usage_error(cache_folder: Path) -> None:
    with pytest.raises(UsageError, match="'a list' holds no text; give a corpus that is not empty"):
        make(Listed(["", ""]))
    assert [file.name for file in cache_folder.iterdir()] == [f".{NAME}.lock"]


@pytest.mark.parametrize(("vocabulary", "kind"), [(2**16, np.uint16), (2**16 + 1, np.uint32)])
def test_tokens_take_two_bytes_where_that_is_enough(vocabulary: int, kind: type) -> None:
    ranks = {bytes([byte]): byte for byte in range(256)}
    ranks |= {b"%d" % rank: rank for rank in range(256, vocabulary - 1)}
    path, _ = token_file(NAME, Listed(["ab"]), lambda: from_ranks("wide", ranks), 0)
    ids = np.load(path)
    assert ids.dtype == kind
    assert ids.tolist() == [*b"ab", vocabulary - 1]


def test_a_cache_folder_that_cannot_be_written_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"cache folder .*cannot be written .*; set LRCTL_CACHE"):
        make(Listed())
