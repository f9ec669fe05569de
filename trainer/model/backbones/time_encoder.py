"""The diffusion timestep as a vector: sinusoids, then a small network."""

import math

import torch
from torch import Tensor, nn

from trainer.config import DIFFUSION_STEPS


def frequencies_of(width: int) -> Tensor:
    """Width / 2 frequencies from 1 down to 1e-4."""
    half = width // 2
    return torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))


def sinusoids(times: Tensor, frequencies: Tensor) -> Tensor:
    """Sines and cosines of times (n,) at frequencies (width / 2,), shape (n, width)."""
    angles = times[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Sinusoid(nn.Module):
    """The sinusoid alone; it has no weights.

    Attributes:
        width: numbers in the vector.
    """

    frequencies: Tensor
    sinusoid: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("frequencies", frequencies_of(width), persistent=False)
        table = sinusoids(torch.arange(DIFFUSION_STEPS), self.frequencies)
        self.register_buffer("sinusoid", table, persistent=False)

    def forward(self, timesteps: Tensor) -> Tensor:
        """Timesteps (batch,) from 0 to DIFFUSION_STEPS - 1, integers or of flow matching real, to (batch, width)."""
        if timesteps.is_floating_point():
            return sinusoids(timesteps, self.frequencies)
        return self.sinusoid[timesteps]


class TimeEncoder(Sinusoid):
    """Sinusoid of `width`, Linear to 4 * width, Mish, Linear to width."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.Mish(), nn.Linear(4 * width, width))

    def forward(self, timesteps: Tensor) -> Tensor:
        """As `Sinusoid.forward`."""
        encoded: Tensor = self.layers(super().forward(timesteps))
        return encoded
