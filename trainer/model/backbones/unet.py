"""dp_c: a U-Net of convolutions over the window's steps; the horizon must be a multiple of 4.

Layers, sizes and the placement of FiLM follow "Decoupled Action Head" (arXiv 2511.12101), whose U-Net is that of
"Diffusion Policy" (Chi et al. 2023). AdaLN-Zero in convolutions is ours: group norm without weights of its own, scaled
and shifted, as in "Diffusion Models Beat GANs" (Dhariwal and Nichol 2021), and a gate on the block as in DiT.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.config import HeadConfig, SizeName
from trainer.model.backbones.backbone import Backbone, open_gates
from trainer.model.backbones.time_encoder import TimeEncoder

_KERNEL, _GROUPS = 5, 8


@dataclass(frozen=True)
class UnetSize:
    """Channels at the window's whole, half and quarter length, and the time encoder's width."""

    channels: tuple[int, int, int]
    time_width: int = 128


SIZES: dict[SizeName, UnetSize] = {
    "tiny": UnetSize((32, 32, 32), time_width=64),
    "small": UnetSize((64, 128, 256)),
    "paper": UnetSize((512, 1024, 2048)),
}


class ConvBlock(nn.Module):
    """Convolution, group norm, modulation where there is one, Mish."""

    def __init__(self, inputs: int, outputs: int, *, affine: bool = True) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, _KERNEL, padding=_KERNEL // 2)
        self.norm = nn.GroupNorm(_GROUPS, outputs, affine=affine)

    def forward(self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """x (batch, inputs, steps), scale and shift (batch, outputs, 1) to (batch, outputs, steps)."""
        normed: Tensor = self.norm(self.convolution(x))
        return F.mish(normed if scale is None or shift is None else scale * normed + shift)


class ResidualBlock(nn.Module):
    """Two ConvBlocks and a skip, modulated as its kinds say.

    Attributes:
        vectors: modulation vectors of `outputs` numbers that it takes.
        signal_width: numbers in all of them.
    """

    vectors: int

    def __init__(self, inputs: int, outputs: int, *, affine: bool = True) -> None:
        super().__init__()
        self.signal_width = self.vectors * outputs
        self.first = ConvBlock(inputs, outputs, affine=affine)
        self.second = ConvBlock(outputs, outputs)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, 1)


class FilmBlock(ResidualBlock):
    """skip(x) + ConvBlock(FiLM(ConvBlock(x))), FiLM being scale * h + shift after the first activation.

    The paper's form scales by gamma alone; otherwise by 1 + gamma.
    """

    vectors = 2

    def __init__(self, inputs: int, outputs: int, *, paper_form: bool = False) -> None:
        super().__init__(inputs, outputs)
        self.offset = 0.0 if paper_form else 1.0

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (batch, inputs, steps), modulation (batch, 2 * outputs) = [gamma, beta]."""
        gamma, beta = modulation[..., None].chunk(2, dim=1)
        out: Tensor = self.skip(x) + self.second((self.offset + gamma) * self.first(x) + beta)
        return out


class AdaLnZeroBlock(ResidualBlock):
    """skip(x) + gate * ConvBlock(ConvBlock(x)), the first norm scaled by 1 + scale and shifted; it has no weights."""

    vectors = 3

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, affine=False)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (batch, inputs, steps), modulation (batch, 3 * outputs) = [shift, scale, gate]."""
        shift, scale, gate = modulation[..., None].chunk(3, dim=1)
        out: Tensor = self.skip(x) + gate * self.second(self.first(x, 1 + scale, shift))
        return out


class DpC(Backbone):
    """The backbone of dp_c: pairs of blocks, three on the way down, one at the bottom, two on the way up.

    It takes one modulation vector for each of its twelve blocks.
    """

    def __init__(self, config: HeadConfig, action_dim: int) -> None:
        super().__init__()
        size = SIZES[config.size]
        wide, half, deep = size.channels
        self.time_encoder = TimeEncoder(size.time_width)
        pairs = [(action_dim, wide), (wide, half), (half, deep), (deep, deep), (2 * deep, half), (2 * half, wide)]
        blocks = [_block(config, *widths) for pair in pairs for widths in (pair, (pair[1], pair[1]))]
        self.blocks = nn.ModuleList(blocks)
        self.shrink = nn.ModuleList(nn.Conv1d(width, width, 3, stride=2, padding=1) for width in (wide, half))
        self.grow = nn.ModuleList(nn.ConvTranspose1d(width, width, 4, stride=2, padding=1) for width in (half, wide))
        self.final = ConvBlock(wide, wide)
        self.output_head = nn.Conv1d(wide, action_dim, 1)
        self.signal_widths = tuple(block.signal_width for block in blocks)

    @property
    def maps(self) -> tuple[nn.Module, ...]:
        """The first block's two convolutions that read the actions, the last group norm and the output head."""
        first = self.blocks[0]
        assert isinstance(first, ResidualBlock)
        return (first.first.convolution, first.skip, self.final.norm, self.output_head)

    def open_signals(self) -> tuple[Tensor, ...]:
        """As `Backbone.open_signals`."""
        if isinstance(self.blocks[0], AdaLnZeroBlock):
            return tuple(open_gates(width, width // 3) for width in self.signal_widths)
        return super().open_signals()

    def forward(self, noisy: Tensor, signals: Sequence[Tensor]) -> Tensor:
        """As `Backbone.forward`, with a modulation (batch, signal_width) for each block."""
        steps = list(zip(self.blocks, signals, strict=True))
        x = _through(steps[:2], noisy.transpose(1, 2))
        skips = []
        for level, shrink in enumerate(self.shrink, start=1):
            x = _through(steps[2 * level : 2 * level + 2], shrink(x))
            skips.append(x)
        x = _through(steps[6:8], x)
        for level, grow in enumerate(self.grow, start=4):
            x = grow(_through(steps[2 * level : 2 * level + 2], torch.cat([x, skips.pop()], dim=1)))
        out: Tensor = self.output_head(self.final(x)).transpose(1, 2)
        return out


def _block(config: HeadConfig, inputs: int, outputs: int) -> FilmBlock | AdaLnZeroBlock:
    if config.conditioning == "adaln_zero":
        return AdaLnZeroBlock(inputs, outputs)
    return FilmBlock(inputs, outputs, paper_form=config.paper_film)


def _through(steps: Sequence[tuple[nn.Module, Tensor]], x: Tensor) -> Tensor:
    for block, modulation in steps:
        x = block(x, modulation)
    return x
