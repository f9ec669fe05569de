"""dp_mlp: residual perceptron blocks on each step of the window; steps meet only through the modulation.

Sizes, placement of FiLM and parameter counts follow "Decoupled Action Head" (arXiv 2511.12101); AdaLN-Zero follows
"Scalable Diffusion Models with Transformers" (Peebles and Xie 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.config import HeadConfig, SizeName
from trainer.model.backbones.backbone import Backbone, open_gates
from trainer.model.backbones.perceptron import Perceptron
from trainer.model.backbones.time_encoder import TimeEncoder


@dataclass(frozen=True)
class MlpSize:
    """Blocks of Linear(width, hidden), GELU, Linear(hidden, width), and the time encoder's width."""

    blocks: int
    width: int
    hidden: int
    time_width: int = 256


SIZES: dict[SizeName, MlpSize] = {
    "tiny": MlpSize(2, 64, 128, time_width=64),
    "small": MlpSize(4, 256, 512),
    "paper": MlpSize(8, 256, 1024),
}


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
        if torch.is_autocast_enabled(x.device.type):
            # So few numbers that converting them to bf16 would take longer than multiplying them.
            with torch.autocast(x.device.type, enabled=False):
                return self._mapped(x.float())
        return self._mapped(x)

    def _mapped(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias[:, None], x.transpose(0, 1), self.weight).transpose(0, 1)


class AdaLnZeroBlock(Perceptron):
    """x + gate * MLP((1 + scale) * LN(x) + shift), where LN has no weights of its own."""

    neutral = (0.0, 1.0, 0.0)
    """What is added to a modulation's vectors: shift, scale and gate."""

    def __init__(self, size: MlpSize, dropout: float) -> None:
        super().__init__(size.width, size.hidden, dropout)
        self.signal_width = len(self.neutral) * size.width
        self._normed = (size.width,)

    def forward(self, x: Tensor, shift: Tensor, scale: Tensor, gate: Tensor) -> Tensor:
        """x (batch, horizon, width) and vectors (batch, 1, width), the scale's with its 1, to a tensor like x."""
        # As few operations as there can be: of a single robot's window, starting each takes as long as computing it.
        hidden = self.activation(self.up(torch.addcmul(shift, torch.layer_norm(x, self._normed), scale)))
        if self.training:
            hidden = self.dropout(hidden)
        return torch.addcmul(x, gate, self.down(hidden))


class FilmBlock(Perceptron):
    """LN(x + Linear(FiLM(GELU(Linear(x))))), FiLM being scale * h + shift on the wide hidden layer.

    The paper's form scales by gamma alone; otherwise by 1 + gamma, so that a zero modulation changes nothing.

    Attributes:
        neutral: what is added to a modulation's vectors, gamma and beta.
    """

    def __init__(self, size: MlpSize, dropout: float, paper_form: bool) -> None:
        super().__init__(size.width, size.hidden, dropout)
        self.neutral = (0.0 if paper_form else 1.0, 0.0)
        self.signal_width = len(self.neutral) * size.hidden
        self.norm = nn.LayerNorm(size.width)

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        """x (batch, horizon, width) and vectors (batch, 1, hidden), with what is `neutral`, to a tensor like x."""
        hidden = self.dropout(self.activation(self.up(x)))
        hidden = torch.addcmul(beta, gamma, hidden)
        normed: Tensor = self.norm(x + self.dropout(self.down(hidden)))
        return normed


class DpMlp(Backbone):
    """The backbone of dp_mlp. It takes one modulation vector for each block."""

    neutral: Tensor

    def __init__(self, config: HeadConfig, action_dim: int) -> None:
        super().__init__()
        size = SIZES[config.size]
        self.input_map = PerStepLinear(config.horizon, action_dim, size.width)
        self.time_encoder = TimeEncoder(size.time_width)
        blocks = [_block(config, size) for _ in range(size.blocks)]
        self.blocks = nn.ModuleList(blocks)
        self.final_norm = nn.LayerNorm(size.width)
        self.output_head = nn.Linear(size.width, action_dim)
        self.signal_widths = tuple(block.signal_width for block in blocks)
        self.register_buffer("neutral", torch.tensor(blocks[0].neutral)[:, None, None], persistent=False)

    @property
    def maps(self) -> tuple[nn.Module, ...]:
        """Input maps, final norm and output head."""
        return (self.input_map, self.final_norm, self.output_head)

    def open_signals(self) -> tuple[Tensor, ...]:
        """As `Backbone.open_signals`."""
        if isinstance(self.blocks[0], AdaLnZeroBlock):
            return tuple(open_gates(width, width // 3) for width in self.signal_widths)
        return super().open_signals()

    def forward(self, noisy: Tensor, signals: Sequence[Tensor]) -> Tensor:
        """As `Backbone.forward`, with a modulation (batch, signal_width) for each block."""
        x = self.input_map(noisy)
        stacked = torch.stack(tuple(signals))
        vectors = stacked.view(*stacked.shape[:2], len(self.neutral), 1, -1) + self.neutral.to(stacked.dtype)
        for block, *modulation in zip(self.blocks, *vectors.unbind(2), strict=True):
            x = block(x, *modulation)
        out: Tensor = self.output_head(self.final_norm(x))
        return out


def _block(config: HeadConfig, size: MlpSize) -> AdaLnZeroBlock | FilmBlock:
    if config.conditioning == "adaln_zero":
        return AdaLnZeroBlock(size, config.dropout)
    return FilmBlock(size, config.dropout, config.paper_film)
