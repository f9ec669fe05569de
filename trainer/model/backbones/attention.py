"""Attention of the transformers: among the window's steps, and from them to tokens of the condition.

A step sees itself and the steps before it. Keys and values are one tensor, (batch, tokens, 2 * width) = [keys, values]:
those of the condition's tokens come from the conditioning, or, in the paper's partition, are projected here.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Several heads of scaled dot products, and the output projection."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.output = nn.Linear(width, width)

    def attend(self, query: Tensor, key_value: Tensor, visible: Tensor) -> Tensor:
        """Attends.

        Args:
            query: (batch, steps, width).
            key_value: (batch, tokens, 2 * width).
            visible: whether a step sees a token, (steps, tokens).

        Returns:
            (batch, steps, width).
        """
        query, key, value = (self._split(part) for part in (query, *key_value.chunk(2, dim=-1)))
        dropout = self.dropout if self.training else 0.0
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=dropout)
        attended: Tensor = self.output(out.transpose(1, 2).flatten(2))
        return attended

    def _split(self, x: Tensor) -> Tensor:
        """(batch, n, width) to (batch, heads, n, width / heads)."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class SelfAttention(Attention):
    """Attention among the steps."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__(width, heads, dropout)
        self.query_key_value = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, prefix: Tensor | None = None, prefix_steps: int = 0) -> Tensor:
        """Attends.

        Args:
            x: (batch, steps, width).
            prefix: keys and values that every step also sees, (batch, tokens, 2 * width).
            prefix_steps: the first so many steps of x are a prefix themselves: they see one another, and all see them.
        """
        query, key_value = self._project(x)
        tokens = prefix_steps
        if prefix is not None:
            tokens, key_value = prefix.shape[1], torch.cat([prefix.to(key_value.dtype), key_value], dim=1)
        return self.attend(query, key_value, causal(x, key_value.shape[1], tokens))

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        width = x.shape[-1]
        query, key_value = self.query_key_value(x).split([width, 2 * width], dim=-1)
        return query, key_value


class LoraSelfAttention(SelfAttention):
    """Self-attention that sees x + query_bias in place of x where it makes queries, x + value_bias for values."""

    def biased(self, x: Tensor, query_bias: Tensor, value_bias: Tensor) -> Tensor:
        """x (batch, steps, width), biases (batch, 1, width)."""
        query, key_value = self._project(x)
        to_query, _, to_value = self.query_key_value.weight.chunk(3)
        query = query + F.linear(query_bias, to_query)
        key, value = key_value.chunk(2, dim=-1)
        key_value = torch.cat([key, value + F.linear(value_bias, to_value)], dim=-1)
        return self.attend(query, key_value, causal(x, x.shape[1], 0))


class CrossAttention(Attention):
    """Attention from the steps to the condition's tokens.

    Step t sees the first token, which is the time's, and the condition's tokens 0 to t.
    """

    def __init__(self, width: int, heads: int, dropout: float, *, projects: bool) -> None:
        """With `projects` it makes keys and values of tokens (batch, n, width) itself, as in the paper."""
        super().__init__(width, heads, dropout)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width) if projects else nn.Identity()

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """x (batch, steps, width), tokens or their keys and values."""
        visible = x.new_ones(x.shape[1], tokens.shape[1], dtype=torch.bool).tril(1)
        query = self.query(x)
        return self.attend(query, self.key_value(tokens).to(query.dtype), visible)


def causal(x: Tensor, tokens: int, prefix: int) -> Tensor:
    """Whether each step of x, the last of the tokens, sees each: itself, those before, the prefix. (steps, tokens)."""
    # Made from x, and so of its device: in an exported program, one that is named would stay the exporter's.
    steps = x.shape[1]
    own = x.new_ones(steps, tokens - prefix, dtype=torch.bool).tril(tokens - prefix - steps)
    return torch.cat([x.new_ones(steps, prefix, dtype=torch.bool), own], dim=1)
