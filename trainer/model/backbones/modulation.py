"""Residual connections around a sub-layer, and where each lets modulation vectors in.

FiLM: "FiLM: Visual Reasoning with a General Conditioning Layer" (Perez et al. 2018). AdaLN and AdaLN-Zero: "Scalable
Diffusion Models with Transformers" (Peebles and Xie 2023). A modulation that is zero leaves each of them a plain
residual connection, or with a gate the identity; only FiLM in the paper's form then multiplies by zero.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Sublayer = Callable[[Tensor], Tensor]


class Residual(nn.Module):
    """x + sublayer(LN(x)), without modulation.

    Attributes:
        vectors: how many modulation vectors `forward` takes.
    """

    vectors = 0

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, sublayer: Sublayer, modulation: Sequence[Tensor] = ()) -> Tensor:
        """x (batch, steps, width) and `vectors` tensors (batch, 1, width) to a tensor like x."""
        return x + sublayer(self.norm(x))


class FilmResidual(Residual):
    """x + (1 + gamma) * sublayer(LN(x)) + beta; in the paper's form gamma alone multiplies."""

    vectors = 2

    def __init__(self, width: int, *, paper_form: bool = False) -> None:
        super().__init__(width)
        self.offset = 0.0 if paper_form else 1.0

    def forward(self, x: Tensor, sublayer: Sublayer, modulation: Sequence[Tensor] = ()) -> Tensor:
        """As `Residual`, with [gamma, beta]."""
        gamma, beta = modulation
        return x + (self.offset + gamma) * sublayer(self.norm(x)) + beta


class AdditiveResidual(Residual):
    """x + sublayer(LN(x)) + bias."""

    vectors = 1

    def forward(self, x: Tensor, sublayer: Sublayer, modulation: Sequence[Tensor] = ()) -> Tensor:
        """As `Residual`, with [bias]."""
        return x + sublayer(self.norm(x)) + modulation[0]


class AdaNorm(nn.Module):
    """x + gate * sublayer((1 + scale) * norm(x) + shift), where norm has no weights of its own.

    The norm is LN, or the root mean square alone; without a gate the sum is plain.

    Attributes:
        vectors: as in `Residual`.
    """

    def __init__(self, *, gated: bool, root_mean_square: bool = False) -> None:
        super().__init__()
        self.gated = gated
        self.norm = F.rms_norm if root_mean_square else F.layer_norm
        self.vectors = 3 if gated else 2

    def forward(self, x: Tensor, sublayer: Sublayer, modulation: Sequence[Tensor] = ()) -> Tensor:
        """As `Residual`, with [shift, scale] or [shift, scale, gate]."""
        shift, scale = modulation[:2]
        # Two operations in one: of a single robot's window each takes as long as its start.
        out = sublayer(torch.addcmul(shift, self.norm(x, x.shape[-1:]), 1 + scale))
        return torch.addcmul(x, modulation[2], out) if self.gated else x + out
