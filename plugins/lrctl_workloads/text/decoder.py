"""A GPT-like decoder: pre-LN blocks of causal attention and a GELU network. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

STD = 0.02


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The architecture of a decoder, but for its vocabulary.

    Attributes:
        layers: how many blocks there are.
        heads: attention heads of each; they divide the width.
        width: of the residual stream.
        context: the most tokens that are seen at once.
        dropout: the share of activations that is dropped in training.
        output_bias: whether each token's logit has a bias.
        tie_embeddings: whether the embedding is the output matrix too.
        activation_checkpointing: whether a block's activations are computed again in the backward pass, not kept.
    """

    layers: int
    heads: int
    width: int
    context: int
    dropout: float
    output_bias: bool
    tie_embeddings: bool
    activation_checkpointing: bool


class Decoder(nn.Module):
    """Token ids, shape (batch, length), to logits over the next token, shape (batch, length, vocabulary).

    Initialised as GPT-2: weights N(0, 0.02^2), divided by sqrt(2 * layers) where they write to the residual
    stream; biases 0, but for the output's.
    """

    def __init__(self, config: DecoderConfig, log_frequencies: Tensor) -> None:
        """A decoder for len(log_frequencies) tokens, with these as its first output bias if it has one."""
        super().__init__()
        vocabulary, width = len(log_frequencies), config.width
        self.activation_checkpointing = config.activation_checkpointing
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.empty(config.context, width))
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(width, config.heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        # A tied model has no second name for its embedding: a checkpoint holds each tensor once.
        self.output = None if config.tie_embeddings else nn.Parameter(torch.empty(vocabulary, width))
        self.output_bias = nn.Parameter(log_frequencies.clone()) if config.output_bias else None
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2:
                into_residual = name.endswith("out.weight")
                nn.init.normal_(parameter, std=STD / (2 * config.layers) ** 0.5 if into_residual else STD)
            elif name.endswith(".bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.dropout(self.tokens(tokens) + self.positions[: tokens.shape[1]])
        for block in self.blocks:
            # It puts the random numbers back for the second pass, so dropout and so the losses stay the same.
            again = self.activation_checkpointing and torch.is_grad_enabled()
            x = checkpoint(block, x, use_reentrant=False) if again else block(x)
        weight = self.tokens.weight if self.output is None else self.output
        logits: Tensor = F.linear(self.norm(x), weight, self.output_bias)
        return logits


class Block(nn.Module):
    """x + attention(norm(x)), then x + network(norm(x)); shape (batch, length, width) stays."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.network_norm = nn.LayerNorm(width)
        self.network_in = nn.Linear(width, 4 * width)
        self.network_out = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        hidden = F.gelu(self.network_in(self.network_norm(x)))
        stream: Tensor = x + self.dropout(self.network_out(hidden))
        return stream


class Attention(nn.Module):
    """Causal self-attention with several heads; shape (batch, length, width) stays."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        gathered = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        out: Tensor = self.out(gathered.transpose(1, 2).reshape(batch, length, width))
        return out
