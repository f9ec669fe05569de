"""dp_t and dp_t_film: transformers over the window's steps, conditioned in eight ways.

Sizes and placements follow "Decoupled Action Head" (arXiv 2511.12101): pre-norm, causal, learned positions, weights
drawn from N(0, 0.02). The condition enters as vectors that modulate each sub-layer (modulation.py), as low-rank biases
on the attention's inputs, or as tokens to attend to: across, or as a prefix of keys and values ("Prefix-Tuning", Li and
Liang 2021). In the paper's partition of the prefix the tokens themselves pass through the blocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.config import ConditioningName, HeadConfig, SizeName
from trainer.model.backbones.attention import CrossAttention, LoraSelfAttention, SelfAttention
from trainer.model.backbones.backbone import Backbone, open_gates
from trainer.model.backbones.modulation import AdaNorm, AdditiveResidual, FilmResidual, Residual
from trainer.model.backbones.perceptron import Perceptron
from trainer.model.backbones.time_encoder import Sinusoid, TimeEncoder


@dataclass(frozen=True)
class TransformerSize:
    """Blocks of attention with so many heads, then Linear(width, hidden), GELU, Linear(hidden, width)."""

    blocks: int
    width: int
    hidden: int
    heads: int = 4


SIZES: dict[SizeName, TransformerSize] = {
    "tiny": TransformerSize(2, 64, 128),
    "small": TransformerSize(4, 128, 512),
    "paper": TransformerSize(8, 256, 1024),
}


class InputMap(nn.Module):
    """One linear map for every step, and each step's position."""

    def __init__(self, horizon: int, inputs: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width)
        self.positions = nn.Parameter(torch.randn(horizon, width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, horizon, inputs) to (batch, horizon, width)."""
        mapped: Tensor = self.linear(x) + self.positions
        return mapped


class FeedForward(Perceptron):
    """Linear(width, hidden), GELU, Linear(hidden, width)."""

    def __init__(self, size: TransformerSize, dropout: float) -> None:
        super().__init__(size.width, size.hidden, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, steps, width) to the same."""
        out: Tensor = self.dropout(self.down(self.dropout(self.activation(self.up(x)))))
        return out


class Block(nn.Module):
    """Attention among the steps and feed-forward, each in a residual connection; its kinds let the condition in.

    Attributes:
        signal_width: last dimension of the signal that `forward` takes.
    """

    def __init__(self, size: TransformerSize, attention: SelfAttention, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        self.feed_forward = FeedForward(size, dropout)
        self.attention_residual: Residual | AdaNorm = Residual(size.width)
        self.residual: Residual | AdaNorm = Residual(size.width)
        self.signal_width = 2 * size.width


class ModulatedBlock(Block):
    """A block whose residual connections take modulation vectors."""

    def __init__(self, size: TransformerSize, config: HeadConfig) -> None:
        super().__init__(size, SelfAttention(size.width, size.heads, config.dropout), config.dropout)
        if config.head != "dp_t_film":
            self.attention_residual = _residual(config, size.width)
        self.residual = _residual(config, size.width)
        self.signal_width = size.width * (self.attention_residual.vectors + self.residual.vectors)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (batch, steps, width), modulation (batch, signal_width): the attention's vectors, then the other's."""
        vectors = torch.split(modulation[:, None], x.shape[-1], dim=-1)
        first = self.attention_residual.vectors
        x = self.attention_residual(x, self.attention, vectors[:first])
        out: Tensor = self.residual(x, self.feed_forward, vectors[first:])
        return out


class LoraBlock(Block):
    """A block whose attention gets a bias each on the inputs of queries and values."""

    attention: LoraSelfAttention

    def __init__(self, size: TransformerSize, config: HeadConfig) -> None:
        super().__init__(size, LoraSelfAttention(size.width, size.heads, config.dropout), config.dropout)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (batch, steps, width), modulation (batch, 2 * width) = [query bias, value bias]."""
        query, value = modulation[:, None].chunk(2, dim=-1)
        x = self.attention_residual(x, lambda normed: self.attention.biased(normed, query, value))
        out: Tensor = self.residual(x, self.feed_forward)
        return out


class CrossAttentionBlock(Block):
    """A block with attention to the condition's tokens between the two."""

    def __init__(self, size: TransformerSize, config: HeadConfig) -> None:
        super().__init__(size, SelfAttention(size.width, size.heads, config.dropout), config.dropout)
        projects = config.paper_key_values
        self.cross = CrossAttention(size.width, size.heads, config.dropout, projects=projects)
        self.cross_residual = Residual(size.width)
        self.signal_width = size.width if projects else 2 * size.width

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """x (batch, steps, width), tokens or their keys and values (batch, n, signal_width)."""
        x = self.attention_residual(x, self.attention)
        x = self.cross_residual(x, lambda normed: self.cross(normed, tokens))
        out: Tensor = self.residual(x, self.feed_forward)
        return out


class PrefixBlock(Block):
    """A block whose attention also sees a prefix: keys and values, or the first steps of x."""

    def __init__(self, size: TransformerSize, config: HeadConfig) -> None:
        super().__init__(size, SelfAttention(size.width, size.heads, config.dropout), config.dropout)

    def forward(self, x: Tensor, prefix: Tensor | None, prefix_steps: int = 0) -> Tensor:
        """x (batch, steps, width); prefix (batch, n, 2 * width), or None where x begins with `prefix_steps` of it."""
        x = self.attention_residual(x, lambda normed: self.attention(normed, prefix, prefix_steps))
        out: Tensor = self.residual(x, self.feed_forward)
        return out


class DpT(Backbone):
    """The backbone of dp_t and dp_t_film.

    It takes a signal for each block: a modulation, or keys and values of the condition's tokens. In the paper's
    partition it takes one signal for all blocks, the tokens themselves.
    """

    def __init__(self, config: HeadConfig, action_dim: int) -> None:
        super().__init__()
        size = SIZES[config.size]
        # Tokens of the condition include one of the time, which is encoded with the others.
        encoder = Sinusoid if config.attends_to_tokens else TimeEncoder
        self.input_map = InputMap(config.horizon, action_dim, size.width)
        self.time_encoder = encoder(size.width)
        kind = _BLOCKS.get(config.conditioning, ModulatedBlock)
        blocks = [kind(size, config) for _ in range(size.blocks)]
        self.blocks = nn.ModuleList(blocks)
        self.final_norm = nn.LayerNorm(size.width)
        self.output_head = nn.Linear(size.width, action_dim)
        self._gated_width = size.width if config.conditioning == "adaln_zero" else None
        self._shares_tokens = config.paper_key_values
        widths = tuple(block.signal_width for block in blocks)
        self.signal_widths = (size.width,) if self._shares_tokens else widths
        self.apply(_initialize)

    @property
    def maps(self) -> tuple[nn.Module, ...]:
        """Input map with its positions, final norm and output head."""
        return (self.input_map, self.final_norm, self.output_head)

    def open_signals(self) -> tuple[Tensor, ...]:
        """As `Backbone.open_signals`."""
        if self._gated_width is not None:
            return tuple(open_gates(width, self._gated_width) for width in self.signal_widths)
        return super().open_signals()

    def forward(self, noisy: Tensor, signals: Sequence[Tensor]) -> Tensor:
        """As `Backbone.forward`."""
        x = self.input_map(noisy)
        if self._shares_tokens:
            x = self._with_tokens(x, signals[0])
        else:
            for block, signal in zip(self.blocks, signals, strict=True):
                x = block(x, signal)
        out: Tensor = self.output_head(self.final_norm(x))
        return out

    def _with_tokens(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The paper's partition: every block sees the tokens, or, as a prefix, they pass through the blocks with x."""
        if isinstance(self.blocks[0], CrossAttentionBlock):
            for block in self.blocks:
                x = block(x, tokens)
            return x
        count = tokens.shape[1]
        x = torch.cat([tokens.to(x.dtype), x], dim=1)
        for block in self.blocks:
            x = block(x, None, count)
        return x[:, count:]


_BLOCKS: dict[ConditioningName, Callable[[TransformerSize, HeadConfig], Block]] = {
    "lora_cond": LoraBlock,
    "cross_attn": CrossAttentionBlock,
    "prefix": PrefixBlock,
}


def _residual(config: HeadConfig, width: int) -> Residual | AdaNorm:
    match config.conditioning:
        case "film":
            return FilmResidual(width, paper_form=config.paper_film)
        case "additive":
            return AdditiveResidual(width)
        case "adaln":
            return AdaNorm(gated=False)
        case "ada_rms_norm":
            return AdaNorm(gated=False, root_mean_square=True)
    return AdaNorm(gated=True)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
