"""The conditioning: what Stage 2 trains. It turns timestep and condition into one modulation for each block."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.backbones import DpMlp
from trainer.config import HeadConfig
from trainer.observation import OBSERVATION_WIDTH, LowDimEncoder


class Conditioning(nn.Module):
    """Mish, then one Linear from [time, features] to every block's modulation vector.

    The projections of all blocks are one matrix: they read the same vector, and one product is faster than many.

    Attributes:
        condition_dim: numbers in the condition that `encode` is given; 0 where there is none.
    """

    def __init__(self, backbone: DpMlp, condition_dim: int, encoder: nn.Module, features: int, *, zero: bool) -> None:
        """With `zero` the modulation starts at zero; otherwise as torch initializes a Linear."""
        super().__init__()
        self.condition_dim = condition_dim
        self.widths = backbone.modulation_widths
        self.time_width = backbone.time_encoder.width
        self.encoder = encoder
        self.projection = nn.Linear(self.time_width + features, sum(self.widths))
        if zero:
            nn.init.zeros_(self.projection.weight)
            nn.init.zeros_(self.projection.bias)

    def encode(self, condition: Tensor) -> Tensor:
        """Condition (batch, condition_dim) to features."""
        features: Tensor = self.encoder(condition)
        return features

    def forward(self, time: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Encoded time (batch, time_width) and features (batch, width) to each block's modulation."""
        return self.split(self.projection(F.mish(torch.cat([time, features], dim=-1))))

    def time_share(self, time: Tensor) -> Tensor:
        """What the time columns and the bias add to every modulation, (batch, sum of widths).

        With `feature_share` it makes the same sum as `forward`: a sampler computes the first once for each
        timestep and the second once for each observation.
        """
        return F.linear(F.mish(time), self.projection.weight[:, : self.time_width], self.projection.bias)

    def feature_share(self, features: Tensor) -> Tensor:
        """What the feature columns add to every modulation, (batch, sum of widths)."""
        return F.linear(F.mish(features), self.projection.weight[:, self.time_width :])

    def split(self, modulation: Tensor) -> tuple[Tensor, ...]:
        """(batch, sum of widths) to one tensor for each block."""
        return torch.split(modulation, list(self.widths), dim=-1)

    def modulation_bias(self) -> Tensor:
        """The modulation at a zero condition, (sum of widths,), which Stage 2 starts from."""
        return self.projection.bias.detach().clone()


def stage1_conditioning(config: HeadConfig, backbone: DpMlp, condition_dim: int) -> Conditioning:
    """Stage 1's: the condition enters as it is, without a learned encoder, like the paper's."""
    return Conditioning(backbone, condition_dim, nn.Identity(), condition_dim, zero=_starts_at_zero(config))


def stage2_conditioning(
    config: HeadConfig, backbone: DpMlp, obs_dim: int, bias: Tensor | Sequence[float] | None
) -> Conditioning:
    """Stage 2's: an observation encoder, and modulation with zero weights and Stage 1's bias.

    Args:
        config: of the head.
        backbone: that it will condition.
        obs_dim: numbers in one observation step.
        bias: Stage 1's `modulation_bias`; None where there was no Stage 1.
    """
    inputs = config.n_obs_steps * obs_dim
    zero = bias is not None or _starts_at_zero(config)
    conditioning = Conditioning(backbone, inputs, LowDimEncoder(inputs), OBSERVATION_WIDTH, zero=zero)
    if bias is not None:
        with torch.no_grad():
            conditioning.projection.bias.copy_(torch.as_tensor(bias))
    return conditioning


def _starts_at_zero(config: HeadConfig) -> bool:
    """A zero modulation is harmless where it is an offset from one; the paper's FiLM would multiply by zero."""
    return not (config.conditioning == "film" and config.paper_film)
