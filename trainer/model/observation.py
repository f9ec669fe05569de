"""Observations: how their low-dimensional part is scaled and encoded, and which part of a picture is seen."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.errors import ConfigError
from trainer.config import Scaling
from trainer.model.vision import LEAST_SIDE

OBSERVATION_WIDTH = 256
LEAST_SPREAD = 0.05
"""In metres, and in the components of rotation_6d: a spread that tells nothing of the task."""
LEAST_FINGER_SPREAD = 0.005
"""In metres, of a gripper's fingers, whose whole way is 0.04 m."""
_HIDDEN = 512
_FINGERS = re.compile("finger|gripper")


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


def least_spread(widths: Mapping[str, int]) -> NDArray[np.float64]:
    """The least spread of each number of an observation, by the names of its keys: fingers are told from all else."""
    of_keys = [LEAST_FINGER_SPREAD if _FINGERS.search(key.lower()) else LEAST_SPREAD for key in widths]
    return np.repeat(np.array(of_keys, np.float64), list(widths.values()))


class ObservationScaling:
    """(x - center) * scale for each observation dimension, from the demonstrations' statistics."""

    def __init__(self, center: NDArray[Any], scale: NDArray[Any]) -> None:
        self.center = np.asarray(center, np.float32)
        self.scale = np.asarray(scale, np.float32)

    @classmethod
    def from_samples(
        cls,
        samples: NDArray[Any],
        kind: Scaling,
        least_spread: NDArray[Any] | float = LEAST_SPREAD,
        weights: NDArray[np.float64] | None = None,
    ) -> "ObservationScaling":
        """Statistics of (n, obs_dim) samples: `min_max` maps them onto [-1, 1], `standard` to unit variance.

        No dimension is magnified more than 1 / `least_spread` times, (obs_dim,) or the same for all: what hardly
        changes in demonstrations would else be the loudest as soon as a policy leaves them a little.
        Mean and variance are those of samples by their `weights` (n,), where these are given; a range has none.
        """
        samples = samples.astype(np.float64)
        if kind == "min_max":
            low, high = samples.min(0), samples.max(0)
            center, spread = (low + high) / 2, (high - low) / 2
        elif weights is None:
            center, spread = samples.mean(0), samples.std(0)
        else:
            center = np.average(samples, 0, weights)
            spread = np.sqrt(np.average((samples - center) ** 2, 0, weights))
        return cls(center, 1 / np.maximum(spread, least_spread))

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


@dataclass(frozen=True)
class Camera:
    """What a policy does with a camera's pictures.

    Attributes:
        size: height and width that they are resized to, by demonstrations.video.resize: averaging where it shrinks.
        crop: height and width of the part that it sees: a random one in training, else the middle.
    """

    size: tuple[int, int]
    crop: tuple[int, int]

    @classmethod
    def cropped(cls, size: tuple[int, int], share: float, name: str) -> "Camera":
        """The camera with a crop of this share of each side. Raises ConfigError where that is too small to be seen."""
        crop = round(share * size[0]), round(share * size[1])
        if min(crop) < LEAST_SIDE:
            raise ConfigError(
                f"'{name}' has pictures of {size[0]} x {size[1]}, of which crops of {crop[0]} x {crop[1]} are seen; at "
                f"least {LEAST_SIDE} x {LEAST_SIDE} are needed: make them larger with observation.image_size in the "
                "mapping"
            )
        return cls(size, crop)

    def middle(self) -> tuple[int, int]:
        """Top and left of the crop in the middle."""
        return (self.size[0] - self.crop[0]) // 2, (self.size[1] - self.crop[1]) // 2

    def resized(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pictures (n, n_picture_steps, height, width, 3) in `size`."""
        if pictures.shape[2:4] == self.size:
            return pictures
        # Imported where it is needed: it takes FFmpeg, and most policies' pictures come in their size.
        from trainer.data.demonstrations.formats.video import resize

        flat = [resize(picture, self.size) for picture in pictures.reshape(-1, *pictures.shape[2:])]
        return np.stack(flat).reshape(*pictures.shape[:2], *self.size, 3)

    def center(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The middle of pictures (..., height, width, 3)."""
        (top, left), (height, width) = self.middle(), self.crop
        return pictures[..., top : top + height, left : left + width, :]


def cameras_of(sizes: Mapping[str, tuple[int, int]], share: float) -> dict[str, Camera]:
    """Each camera with its crop. Raises ConfigError as `Camera.cropped`."""
    return {name: Camera.cropped(size, share, name) for name, size in sizes.items()}
