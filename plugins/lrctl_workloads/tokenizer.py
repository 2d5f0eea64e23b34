"""Text to token ids: plain bytes, a byte-level BPE trained on the corpus, or one of tiktoken's encodings."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from lrctl.errors import UsageError
from lrctl_workloads.cache import cached

if TYPE_CHECKING:
    import tiktoken

    from lrctl_workloads.corpus import Corpus

END = "<|endoftext|>"
"""The token after each document."""

WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's pre-tokenisation: no token reaches over the end of such a piece."""

SMALLEST = 257
"""The least vocabulary: every byte, and the end of text."""


def encoding(name: str, corpus: Corpus) -> tiktoken.Encoding:
    """The tokenizer of that name.

    Args:
        name: `bytes`; `bpe:SIZE`, where SIZE counts all tokens, the end of text included; or tiktoken's name.
        corpus: what a BPE is trained on: all of it, held-out parts too, as the split is made of tokens.

    Raises:
        UsageError: there is no such tokenizer, it cannot be had here, or the corpus is too small for it.
    """
    if name == "bytes":
        return ranked(name, {bytes([byte]): byte for byte in range(256)})
    if name.startswith("bpe:"):
        return ranked(name, bpe_ranks(bpe_size(name), corpus))
    return ready_made(name)


def ranked(name: str, ranks: dict[bytes, int]) -> tiktoken.Encoding:
    """A tiktoken encoding with these tokens, and the end of text as the last one."""
    import tiktoken

    return tiktoken.Encoding(name, pat_str=WORDS, mergeable_ranks=ranks, special_tokens={END: len(ranks)})


def bpe_size(name: str) -> int:
    """The SIZE of `bpe:SIZE`.

    Raises:
        UsageError: it is no whole number, or less than 257.
    """
    size = name.removeprefix("bpe:")
    if not re.fullmatch(r"[0-9]{1,9}", size) or int(size) < SMALLEST:
        raise UsageError(
            f"workload.tokenizer: '{name}': the size must be a whole number of at least {SMALLEST} "
            "(256 bytes and the end of text); try bpe:1024"
        )
    return int(size)


def bpe_ranks(size: int, corpus: Corpus) -> dict[bytes, int]:
    """The tokens of a BPE trained on the corpus, with their ids; trained once and cached.

    Raises:
        UsageError: the corpus has too few words for that size, or the `tokenizers` package is missing.
    """

    def write(file: BinaryIO) -> None:
        for token, rank in trained(size, corpus.documents()).items():
            file.write(base64.b64encode(token) + b" %d\n" % rank)

    path, _ = cached(f"bpe-{size}-{corpus.digest[:32]}.tiktoken", write)
    pairs = (line.split() for line in path.read_bytes().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def trained(size: int, documents: Iterable[str]) -> dict[bytes, int]:
    """Train a BPE of `size` tokens, one of them the end of text, which is not in the result.

    Raises:
        UsageError: the documents have too few words for that size, or the `tokenizers` package is missing.
    """
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError as error:
        raise UsageError(
            f"workload.tokenizer: 'bpe:{size}' needs the tokenizers package; run: "
            "pip install 'lrctl[quickstart]', or use the tokenizer 'bytes'"
        ) from error
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size - 1, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(documents, trainer)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if len(vocabulary) < size - 1:
        raise UsageError(
            f"workload.tokenizer: 'bpe:{size}': the corpus gives only {len(vocabulary) + 1} tokens; "
            "ask for no more, or take a larger corpus"
        )
    spelled = spelling()
    return {bytes(spelled[letter] for letter in token): rank for token, rank in vocabulary}


def spelling() -> dict[str, int]:
    """Letter -> the byte it stands for in a byte-level BPE: itself if printable, else from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def ready_made(name: str) -> tiktoken.Encoding:
    """An encoding of tiktoken's; downloads its ranks on first use, unless `TIKTOKEN_CACHE_DIR` holds them.

    Raises:
        UsageError: tiktoken has none of that name, or the ranks cannot be had.
    """
    import tiktoken

    names = tiktoken.list_encoding_names()
    if name not in names:
        raise UsageError(
            f"workload.tokenizer: unknown tokenizer '{name}'; choose from: bytes, "
            f"bpe:SIZE (such as bpe:1024), {', '.join(sorted(names))}"
        )
    try:
        return tiktoken.get_encoding(name)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"workload.tokenizer: the ranks of '{name}' could not be downloaded ({type(error).__name__}); "
            "connect to the network once, set TIKTOKEN_CACHE_DIR to a folder that holds them, "
            "or use 'bytes' or 'bpe:1024'"
        ) from error
