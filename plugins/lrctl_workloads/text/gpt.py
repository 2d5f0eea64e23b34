"""The `gpt` workload: a small GPT that learns to predict the next token of a text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from lrctl.contracts.workload import drawn
from lrctl_workloads.network import Array, Batch, Module, Tensor, check_split, evaluating, matrices_decay, score_rows
from lrctl_workloads.text.corpus import Corpus
from lrctl_workloads.text.tokenizer import vocabulary
from lrctl_workloads.text.windows import Tokens, Windows, ready, tokens, windows

LOGITS = 2**22
"""How many logits an evaluation holds in memory at a time, unless a training batch has more."""
MOST_LOGITS = 2**28
"""But never more than this, 1 GB of them: training may cut a large batch into pieces, evaluation does not."""

PIECE = 2**16
"""How many windows are counted at a time."""


@dataclass(frozen=True)
class GptParams:
    path: Annotated[
        str,
        "text file, folder of .txt files, .jsonl or .parquet file or folder of them, or hub:OWNER/NAME[/CONFIG]"
        "[@REVISION]; empty: the packaged English corpus",
    ] = ""
    text_column: Annotated[str, "column of a table that holds the text"] = "text"
    tokenizer: Annotated[str, "bytes, bpe:SIZE (trained on the text), or a name of tiktoken's"] = "bpe:1024"
    layers: Annotated[int, "number of decoder blocks"] = 1
    heads: Annotated[int, "attention heads; must divide d_model"] = 4
    d_model: Annotated[int, "width of the model"] = 96
    context: Annotated[int, "tokens the model sees at once"] = 32
    batch_size: Annotated[int, "windows of `context` tokens in a batch"] = 8
    dropout: Annotated[float, "share of activations dropped in training"] = 0.0
    output_bias: Annotated[bool, "output bias that starts at the log frequencies of the tokens"] = True
    tie_embeddings: Annotated[bool, "use the embedding as the output matrix too"] = False
    eval_tokens: Annotated[int, "at most so many tokens of a held-out split are evaluated"] = 65_536
    max_tokens: Annotated[int, "take only the first so many tokens of the text; 0: all"] = 0
    activation_checkpointing: Annotated[bool, "save memory: compute each block's activations again"] = False

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "d_model", "context", "batch_size", "eval_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.max_tokens < 0:
            raise ValueError(f"max_tokens: must be at least 0, got {self.max_tokens}")
        if self.d_model % self.heads:
            raise ValueError(f"heads: must divide d_model ({self.d_model}), got {self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: must be at least 0 and less than 1, got {self.dropout}")


@dataclass(frozen=True)
class Gpt:
    """A GPT on a text. A batch is (inputs, targets), both int64 of shape (batch_size, context)."""

    params: GptParams
    seed: int

    def prepare(self) -> str:
        """Tokenise the text unless that is done, and return a digest of the tokens.

        Raises:
            UsageError: the text or the tokenizer cannot be used, or the text is too short.
            MissingError: the text or the tokenizer has to be fetched, and cannot be.
        """
        self.windows  # noqa: B018
        return self.tokens.digest

    def ready(self) -> bool:
        """Whether the text is tokenised already, or is a local one that is so in seconds."""
        return "tokens" in self.__dict__ or ready(self.corpus, self.params.tokenizer)

    def stand_in(self, step: int) -> Batch:
        import torch

        draws, shape = torch.Generator().manual_seed((self.seed * 1_000_003 + step) % 2**64), self.params
        rows = torch.randint(self.vocabulary, (shape.batch_size, shape.context + 1), generator=draws)
        return rows[:, :-1], rows[:, 1:]

    def prepared_bytes(self) -> int:
        """Two bytes for each of `max_tokens` tokens, four where the vocabulary needs them; 0 where all are taken."""
        if self.ready():
            return 0
        return self.params.max_tokens * (2 if self.vocabulary <= 2**16 else 4)

    def model(self) -> Module:
        """A new decoder, with fresh weights from torch's random numbers.

        An output bias starts at the log frequencies of the tokens; at 0 as long as the text is not `ready()`.
        """
        import torch

        from lrctl_workloads.text.decoder import Decoder, DecoderConfig

        p = self.params
        known = p.output_bias and self.ready()
        bias = torch.from_numpy(self.log_frequencies).float() if known else torch.zeros(self.vocabulary)
        config = DecoderConfig(
            layers=p.layers,
            heads=p.heads,
            width=p.d_model,
            context=p.context,
            dropout=p.dropout,
            output_bias=p.output_bias,
            tie_embeddings=p.tie_embeddings,
            activation_checkpointing=p.activation_checkpointing,
        )
        return Decoder(config, bias)

    @cached_property
    def vocabulary(self) -> int:
        """How many tokens there are; known without the text."""
        return vocabulary(self.params.tokenizer)

    @cached_property
    def log_frequencies(self) -> Array:
        """log((count + 1) / total) of each token in the training windows, (vocabulary,); exp sums to 1.

        Counted once, in pieces: a copy of all training windows may not fit into memory.
        """
        import numpy as np

        training = self.windows.parts["training"]
        counts = np.ones(self.vocabulary)
        for first in range(0, len(training), PIECE):
            piece = self.windows.rows[training[first : first + PIECE]]
            counts += np.bincount(piece.ravel(), minlength=len(counts))
        return np.asarray(np.log(counts / counts.sum()))

    param_groups = staticmethod(matrices_decay)

    def batch(self, step: int) -> Batch:
        training = self.windows.parts["training"]
        return self.take(training[drawn(self.seed, step, self.params.batch_size, len(training))])

    def steps_per_epoch(self) -> float:
        return len(self.windows.parts["training"]) / self.params.batch_size

    def score_batch(self, i: int) -> Batch:
        """Batch i of the windows reserved for scoring, in the order of the text."""
        reserve = self.windows.parts["score"]
        rows = score_rows(i, self.params.batch_size, len(reserve))
        return self.take(reserve[rows])

    def loss(self, model: Module, batch: Batch) -> Tensor:
        """Mean cross entropy in nats per token."""
        from torch.nn import functional as F  # noqa: N812

        inputs, targets = batch
        return F.cross_entropy(model(inputs).flatten(0, 1).float(), targets.flatten())

    def evaluate(self, model: Module, split: str) -> Mapping[str, float]:
        """`loss` in nats per token, `perplexity` = exp(loss), and `bits_per_byte` of their text.

        They are over `eval_tokens` tokens of the split, from all over the text and always the same.
        """
        check_split(split)
        chosen = self.windows.shuffled(split, max(1, self.params.eval_tokens // self.params.context))
        loss = self.mean_loss(model, chosen)
        nats, text_bytes = loss * len(chosen) * self.params.context, self.text_bytes(chosen)
        return {
            "loss": loss,
            "perplexity": math.inf if loss > 700 else math.exp(loss),
            "bits_per_byte": nats / math.log(2) / max(1, text_bytes),
        }

    def text_bytes(self, chosen: Array) -> int:
        """Bytes of text that the targets of these windows stand for; counted in pieces."""
        pieces = (self.windows.rows[chosen[first : first + PIECE], 1:] for first in range(0, len(chosen), PIECE))
        return sum(int(self.tokens.lengths[piece].sum()) for piece in pieces)

    def mean_loss(self, model: Module, chosen: Array) -> float:
        """Nats per token over these windows."""
        device, total = next(model.parameters()).device, 0.0
        logits = self.params.context * self.vocabulary
        size = max(1, min(max(self.params.batch_size, LOGITS // logits), MOST_LOGITS // logits))
        with evaluating(model):
            for start in range(0, len(chosen), size):
                inputs, targets = self.take(chosen[start : start + size])
                loss = self.loss(model, (inputs.to(device), targets.to(device)))
                total += float(loss) * len(inputs)
        return total / len(chosen)

    def take(self, numbers: Array) -> Batch:
        import torch

        rows = torch.from_numpy(self.windows.rows[numbers].astype("int64"))
        return rows[:, :-1], rows[:, 1:]

    @cached_property
    def corpus(self) -> Corpus:
        """Where the text comes from; nothing of it is read yet."""
        return Corpus(self.params.path, self.params.text_column, self.params.max_tokens)

    @cached_property
    def tokens(self) -> Tokens:
        """The text as tokens; read on first use, so that an unused workload costs nothing."""
        return tokens(self.corpus, self.params.tokenizer)

    @cached_property
    def windows(self) -> Windows:
        return windows(self.tokens.ids, self.params.context, self.params.batch_size)
