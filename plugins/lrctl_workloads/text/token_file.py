"""A text as one file of token ids, made piece by piece: in constant memory, and resumed where it was stopped."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from lrctl.documents import text as text_of
from lrctl.errors import UsageError
from lrctl.registry.observers import notify
from lrctl_workloads.data.cache import digest_file, flush, folder, intact, locked, put, sha256, writable
from lrctl_workloads.network import Array

if TYPE_CHECKING:
    import numpy as np
    import tiktoken

FORMAT = "lrctl-tokens/1"
PIECE = 2**24
"""A piece ends with the document that brings it to so many tokens. What a kill costs is at most one piece."""
PAUSE = 0.5
"""Seconds between two reports of progress."""


class Texts(Protocol):
    """Documents in an order that never changes."""

    @property
    def name(self) -> str: ...

    def texts(self, skip: int) -> Iterable[str]:
        """All documents but the first `skip`, the empty ones too."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is done after a whole piece: documents read and tokens written, both from the first of all."""

    documents: int
    tokens: int
    sha256: str
    """Of this piece's own bytes."""


@dataclass(slots=True)
class State:
    """How far a token file is made. Written after each piece, aside and renamed: it tells of whole pieces only."""

    path: Path
    pieces: list[Piece] = field(default_factory=list)
    complete: bool = False
    """Whether the last piece was the last of the text."""

    @property
    def last(self) -> Piece:
        """The last whole piece; before the first, one of nothing."""
        return self.pieces[-1] if self.pieces else Piece(0, 0, "")

    @classmethod
    def read(cls, path: Path) -> State:
        """The state in a file; that of nothing if there is none, or it is of another format."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            document = json.loads(text_of(path))
            if document["format"] == FORMAT:
                return cls(path, [Piece(*piece) for piece in document["pieces"]], document["complete"])
        return cls(path)

    def add(self, piece: Piece, *, complete: bool) -> None:
        self.pieces.append(piece)
        self.complete = complete
        document = {"format": FORMAT, "complete": complete, "pieces": [astuple(each) for each in self.pieces]}
        put(self.path, lambda file: file.write(json.dumps(document).encode()))


def token_file(name: str, texts: Texts, encoding: Callable[[], tiktoken.Encoding], max_tokens: int) -> tuple[Path, str]:
    """The cached file `name` of token ids, an `.npy` of shape (tokens,), and its sha256; made if need be.

    It holds the documents one after another, each with the end of text behind it; the first `max_tokens` tokens of
    that, or all if `max_tokens` is 0. Killed at any byte and begun again, it goes on from the last whole piece and
    ends with the same bytes. Of several processes one makes it, and the others wait.

    The name must tell the texts, the encoding and `max_tokens`. The texts are read one by one; they and the encoding
    are asked for only if the file is to be made.
    """
    path = folder() / name
    digest = intact(path)
    if digest is None:
        waiting = f"waiting for another process to tokenise {texts.name}"
        with writable(), locked(aside(path, "lock"), lambda: notify("preparing", what=waiting, done=0, total=0)):
            digest = intact(path) or make(path, texts, encoding(), max_tokens)
    return path, digest


def aside(path: Path, what: str) -> Path:
    """A file beside the one that is made: its `part` as far as it is, its `state`, its `lock`."""
    return path.with_name(f".{path.name}.{what}")


def make(path: Path, texts: Texts, encoding: tiktoken.Encoding, max_tokens: int) -> str:
    """Make the token file, from where an earlier attempt stopped, and return its digest."""
    import numpy as np

    part, state = aside(path, "part"), State.read(aside(path, "state"))
    dtype = np.dtype(np.uint16 if encoding.n_vocab <= 2**16 else np.uint32)
    with part.open("r+b" if part.exists() else "w+b") as file:
        resume(file, state, dtype)
        if not state.complete:
            append(file, state, dtype, texts, encoding, max_tokens)
        if not state.last.tokens:
            part.unlink()
            state.path.unlink()
            raise UsageError(f"workload.path: '{texts.name}' holds no text; give a corpus that is not empty")
        file.seek(0)
        file.write(header(state.last.tokens, dtype))
        flush(file)
    digest = sha256(part)
    # The digest first: once the file has its name, it is known to be whole.
    put(digest_file(path), lambda file: file.write(digest.encode()))
    part.replace(path)
    state.path.unlink()
    return digest


def header(tokens: int, dtype: np.dtype[Any]) -> bytes:
    """The first bytes of an `.npy` file of so many tokens; numpy makes them as long for any number."""
    import numpy as np

    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": (tokens,)})
    return file.getvalue()


def resume(file: BinaryIO, state: State, dtype: np.dtype[Any]) -> None:
    """Leave in the state the pieces whose bytes are really there, and cut off what is behind them."""
    tokens = 0
    file.seek(len(header(0, dtype)))
    for number, piece in enumerate(state.pieces):
        content = file.read((piece.tokens - tokens) * dtype.itemsize)
        if hashlib.sha256(content).hexdigest() != piece.sha256:
            state.complete = False
            del state.pieces[number:]
            break
        tokens = piece.tokens
    file.seek(0)
    file.write(header(tokens, dtype))
    file.truncate(file.tell() + tokens * dtype.itemsize)
    file.seek(0, os.SEEK_END)


def append(
    file: BinaryIO, state: State, dtype: np.dtype[Any], texts: Texts, encoding: tiktoken.Encoding, max_tokens: int
) -> None:
    """Tokenise what is left of the texts, and record each piece once its bytes are on the disk."""
    documents, tokens = state.last.documents, state.last.tokens
    digest, reported, title = hashlib.sha256(), time.monotonic(), f"tokenising {texts.name}"
    for text in texts.texts(documents):
        documents += 1
        ids = ids_of(text, encoding, dtype)[: max_tokens - tokens if max_tokens else None]
        file.write(ids.data)
        digest.update(ids.data)
        tokens += len(ids)
        if max_tokens and tokens >= max_tokens:
            break
        if tokens - state.last.tokens >= PIECE:
            flush(file)
            state.add(Piece(documents, tokens, digest.hexdigest()), complete=False)
            digest = hashlib.sha256()
        if time.monotonic() - reported >= PAUSE:
            notify("preparing", what=title, done=tokens, total=max_tokens)
            reported = time.monotonic()
    flush(file)
    state.add(Piece(documents, tokens, digest.hexdigest()), complete=True)


def ids_of(text: str, encoding: tiktoken.Encoding, dtype: np.dtype[Any]) -> Array:
    """A document's token ids with the end of text behind them; none for an empty one."""
    import numpy as np

    if not text:
        return np.empty(0, dtype)
    try:
        # Text that looks like a special token is text.
        ids = encoding.encode_to_numpy(text, disallowed_special=())
    except UnicodeEncodeError:  # Half of a surrogate pair, which UTF-8 has no bytes for.
        paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        ids = encoding.encode_to_numpy(paired, disallowed_special=())
    ended: Array = np.append(ids, np.uint32(encoding.eot_token)).astype(dtype)
    return ended
