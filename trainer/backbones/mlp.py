"""dp_mlp: residual perceptron blocks on each step of the window; steps meet only through the modulation.

Sizes, placement of FiLM and parameter counts follow "Decoupled Action Head" (arXiv 2511.12101); AdaLN-Zero follows
"Scalable Diffusion Models with Transformers" (Peebles and Xie 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.action import ACTION_DIM
from trainer.backbones.time_encoder import TimeEncoder
from trainer.config import HeadConfig, SizeName


@dataclass(frozen=True)
class MlpSize:
    """Blocks of Linear(width, hidden), GELU, Linear(hidden, width)."""

    blocks: int
    width: int
    hidden: int


SIZES: dict[SizeName, MlpSize] = {"small": MlpSize(4, 256, 512), "paper": MlpSize(8, 256, 1024)}


class PerStepLinear(nn.Module):
    """An affine map of its own for each step of the window, weights and biases drawn from N(0, 1).

    The large biases tell the steps apart, so no position embedding is needed.
    """

    def __init__(self, horizon: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(horizon, inputs, outputs))
        self.bias = nn.Parameter(torch.randn(horizon, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, horizon, inputs) to (batch, horizon, outputs)."""
        mapped: Tensor = torch.einsum("bhi,hio->bho", x, self.weight) + self.bias
        return mapped


class AdaLnZeroBlock(nn.Module):
    """x + gate * MLP((1 + scale) * LN(x) + shift), where LN has no weights of its own."""

    def __init__(self, size: MlpSize, dropout: float) -> None:
        super().__init__()
        self.modulation_width = 3 * size.width
        self.up = nn.Linear(size.width, size.hidden)
        self.down = nn.Linear(size.hidden, size.width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (batch, horizon, width), modulation (batch, 3 * width) = [shift, scale, gate]."""
        shift, scale, gate = modulation[:, None].chunk(3, dim=-1)
        modulated = F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift
        hidden: Tensor = self.down(self.dropout(F.gelu(self.up(modulated))))
        return x + gate * hidden


class FilmBlock(nn.Module):
    """LN(x + Linear(FiLM(GELU(Linear(x))))), FiLM being scale * h + shift on the wide hidden layer.

    The paper's form scales by gamma alone; otherwise by 1 + gamma, so that a zero modulation changes nothing.
    """

    def __init__(self, size: MlpSize, dropout: float, paper_form: bool) -> None:
        super().__init__()
        self.modulation_width = 2 * size.hidden
        self.offset = 0.0 if paper_form else 1.0
        self.up = nn.Linear(size.width, size.hidden)
        self.down = nn.Linear(size.hidden, size.width)
        self.norm = nn.LayerNorm(size.width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (batch, horizon, width), modulation (batch, 2 * hidden) = [gamma, beta]."""
        gamma, beta = modulation[:, None].chunk(2, dim=-1)
        hidden = self.dropout(F.gelu(self.up(x)))
        hidden = (self.offset + gamma) * hidden + beta
        normed: Tensor = self.norm(x + self.dropout(self.down(hidden)))
        return normed


class DpMlp(nn.Module):
    """The backbone of dp_mlp: input maps, blocks, final norm, output head and time encoder.

    Attributes:
        modulation_widths: numbers of each block's modulation vector, which the conditioning supplies.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        size = SIZES[config.size]
        self.input_map = PerStepLinear(config.horizon, ACTION_DIM, size.width)
        self.time_encoder = TimeEncoder()
        self.blocks = nn.ModuleList(_block(config, size) for _ in range(size.blocks))
        self.final_norm = nn.LayerNorm(size.width)
        self.output_head = nn.Linear(size.width, ACTION_DIM)
        self.modulation_widths: tuple[int, ...] = tuple(block.modulation_width for block in self.blocks)  # type: ignore[misc]

    @property
    def body(self) -> tuple[nn.Module, ...]:
        """What mode `random_body` freezes; the rest maps actions into the body and out of it."""
        return (self.blocks, self.time_encoder)

    def forward(self, noisy: Tensor, modulations: Sequence[Tensor]) -> Tensor:
        """Noisy actions (batch, horizon, 10) and one modulation (batch, width) per block to noise, like `noisy`."""
        x = self.input_map(noisy)
        for block, modulation in zip(self.blocks, modulations, strict=True):
            x = block(x, modulation)
        noise: Tensor = self.output_head(self.final_norm(x))
        return noise


def _block(config: HeadConfig, size: MlpSize) -> AdaLnZeroBlock | FilmBlock:
    if config.conditioning == "adaln_zero":
        return AdaLnZeroBlock(size, config.dropout)
    return FilmBlock(size, config.dropout, config.paper_film)
