"""A corpus as windows of tokens, in four parts that share nothing: training, validation, test and scoring."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrctl.contracts.workload import epoch_order
from lrctl.errors import UsageError
from lrctl_workloads.data.cache import cached, can_be_written, is_cached
from lrctl_workloads.network import Array
from lrctl_workloads.text.corpus import Corpus
from lrctl_workloads.text.token_file import token_file
from lrctl_workloads.text.tokenizer import END, OWN, encoding

if TYPE_CHECKING:
    import tiktoken

GROUP = 20
HELD_OUT = {"validation": 3, "score": 10, "test": 17}
"""Which block of each 20 goes where; the other 17 are for training."""
LARGEST_BLOCK = 64

SMALL = 100_000_000
"""A local text of fewer bytes is tokenised in seconds."""


@dataclass(frozen=True)
class Tokens:
    ids: Array
    """The documents one after another, each with the end of text behind it, shape (tokens,), uint16 or uint32, mapped
    from the disk.
    """
    lengths: Array
    """How many bytes of text each token stands for, shape (vocabulary,); 0 for the end of text."""
    digest: str


@dataclass(frozen=True)
class Windows:
    """Windows of tokens, cut without overlap, and the part each belongs to."""

    rows: Array
    """Shape (windows, context + 1): the first `context` tokens are inputs, the last `context` targets."""
    parts: dict[str, Array]
    """`training`, `validation`, `test`, `score` -> the numbers of its windows, ascending, int64."""

    def shuffled(self, part: str, n: int) -> Array:
        """The numbers of the first n windows of a part, or of all, in a shuffled order that never changes."""
        windows = self.parts[part]
        chosen: Array = windows[epoch_order(0, 0, len(windows))[:n]]
        return chosen


def tokens(corpus: Corpus, tokenizer: str) -> Tokens:
    """The corpus as tokens; done once, then mapped from the cache."""
    import numpy as np

    ids_name, lengths_name = names(corpus, tokenizer)
    ids, ids_digest = token_file(ids_name, corpus, lambda: encoding(tokenizer, corpus), corpus.max_tokens)
    lengths, lengths_digest = cached(
        lengths_name, lambda file: np.save(file, byte_lengths(encoding(tokenizer, corpus)))
    )
    digest = hashlib.sha256(f"{ids_digest} {lengths_digest}".encode()).hexdigest()
    # Plain views: numpy's own class for mapped files makes each indexing slow.
    return Tokens(np.asarray(np.load(ids, mmap_mode="r")), np.load(lengths), digest)


def names(corpus: Corpus, tokenizer: str) -> tuple[str, str]:
    """The cached files of a tokenised corpus: ids, and byte lengths of tokens. They tell the text and the tokenizer."""
    key = hashlib.sha256(f"{corpus.digest} {tokenizer} {END}".encode()).hexdigest()[:32]
    return f"tokens-{key}.npy", f"lengths-{key}.npy"


def ready(corpus: Corpus, tokenizer: str) -> bool:
    """Whether the tokens are there, or are made in seconds of what is there; nothing is fetched or made."""
    hub = corpus.hub
    own = hub is None and tokenizer.startswith(OWN) and can_be_written()
    if own and sum(file.stat().st_size for file in corpus.files) < SMALL:
        return True
    if hub is not None and not hub.repository.recorded():
        return False
    return all(map(is_cached, names(corpus, tokenizer)))


def byte_lengths(encoding: tiktoken.Encoding) -> Array:
    """How many bytes each token stands for, shape (vocabulary,); 0 for special and unused ones."""
    import numpy as np

    lengths = np.zeros(encoding.n_vocab, np.int64)
    for token in encoding.token_byte_values():
        lengths[encoding.encode_single_token(token)] = len(token)
    return lengths


def windows(ids: Array, context: int, batch_size: int) -> Windows:
    """Cut tokens into windows of context + 1 and assign them to parts, the same way for every seed.

    Windows are assigned in blocks of neighbours: of each 20 blocks in a row one is for validation, one for
    test, one for scoring and 17 for training. So every part sees the whole corpus, however it drifts. A block
    has 64 windows, or fewer where the corpus would not fill 20 of them.
    """
    import numpy as np

    n = len(ids) // (context + 1)
    block_of = np.arange(n) // min(LARGEST_BLOCK, max(1, n // GROUP)) % GROUP
    parts = {name: np.flatnonzero(block_of == block) for name, block in HELD_OUT.items()}
    parts["training"] = np.flatnonzero(~np.isin(block_of, list(HELD_OUT.values())))
    shortest = min(parts, key=lambda name: len(parts[name]))
    if len(parts[shortest]) < batch_size:
        raise UsageError(
            f"workload.path: the corpus is too short: its {len(ids)} tokens give {len(parts[shortest])} "
            f"windows of {context + 1} for {shortest}, and one batch needs {batch_size}; take a longer "
            f"corpus (about {GROUP * batch_size * (context + 1)} tokens), or a smaller context or batch_size"
        )
    return Windows(ids[: n * (context + 1)].reshape(n, context + 1), parts)
