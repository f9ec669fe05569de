"""Low-dimensional observations: how they are scaled and encoded."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainer.config import Scaling

OBSERVATION_WIDTH = 256
LEAST_SPREAD = 0.05
"""In metres, and in the components of rotation_6d: a spread that tells nothing of the task."""
_HIDDEN = 512


class LowDimEncoder(nn.Module):
    """Observations to a vector, of 256 numbers by default, by two hidden layers of 512.

    It encodes n_obs_steps flattened observations at once, or each of them by itself where each becomes a token.
    """

    def __init__(self, inputs: int, outputs: int = OBSERVATION_WIDTH) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, _HIDDEN),
            nn.Mish(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.Mish(),
            nn.Linear(_HIDDEN, outputs),
        )

    def forward(self, observations: Tensor) -> Tensor:
        """(..., inputs), scaled, to (..., outputs)."""
        encoded: Tensor = self.layers(observations)
        return encoded


class ObservationScaling:
    """(x - center) * scale for each observation dimension, from the demonstrations' statistics."""

    def __init__(self, center: NDArray[Any], scale: NDArray[Any]) -> None:
        self.center = np.asarray(center, np.float32)
        self.scale = np.asarray(scale, np.float32)

    @classmethod
    def from_samples(cls, samples: NDArray[Any], kind: Scaling) -> "ObservationScaling":
        """Statistics of (n, obs_dim) samples: `min_max` maps them onto [-1, 1], `standard` to unit variance.

        No dimension is magnified more than 1 / LEAST_SPREAD times: what hardly changes in demonstrations would else
        be the loudest as soon as a policy leaves them a little.
        """
        samples = samples.astype(np.float64)
        if kind == "min_max":
            low, high = samples.min(0), samples.max(0)
            center, spread = (low + high) / 2, (high - low) / 2
        else:
            center, spread = samples.mean(0), samples.std(0)
        return cls(center, 1 / np.maximum(spread, LEAST_SPREAD))

    @property
    def obs_dim(self) -> int:
        """Numbers in one observation."""
        return int(self.center.size)

    def apply(self, observations: Tensor) -> Tensor:
        """Scales (..., obs_dim)."""
        center = torch.from_numpy(self.center).to(observations.device)
        return (observations - center) * torch.from_numpy(self.scale).to(observations.device)

    def to_json(self) -> dict[str, list[float]]:
        """A JSON object that `from_json` turns back."""
        return {"center": self.center.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ObservationScaling":
        """Reads what `to_json` wrote."""
        return cls(np.array(value["center"]), np.array(value["scale"]))
