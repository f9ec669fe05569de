"""Pictures to features: for each camera a ResNet-18 with group normalization and a spatial softmax.

ResNet-18: He et al. 2016 (arXiv 1512.03385), with GroupNorm of 16 channels a group in place of BatchNorm, whose running
statistics and moving averages of weights don't go together; spatial softmax: Levine et al. 2016 (arXiv 1504.00702). The
sizes are those of diffusion policies: 32 keypoints, 64 features, 11,197,088 parameters a camera. A network that begins
from a published one has that one's batch norms in place of GroupNorm, with their statistics fixed, and sees pixels as
it was trained on them.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.model.observed_steps import join_steps

PICTURE_FEATURES = 64
VISION = "conditioning.vision."
"""What the names of the weights of cameras' networks begin with in a head."""
LEAST_SIDE = 33
"""Pixels of a side of what a camera's network sees: with fewer, its last map is a single point, which says nothing."""
_KEYPOINTS = 32
_GROUP = 16
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pixels, from 0 to 1, that published networks were trained on (ImageNet)."""


class CameraEncoder(nn.Module):
    """A camera's picture to 64 features."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, pretrained: bool = False) -> None:
        """Of the kind that begins from a published network, or of our own."""
        super().__init__()
        self.network = ResNet18(pretrained)
        self.keypoints = nn.Conv2d(512, _KEYPOINTS, 1)
        self.output = nn.Linear(2 * _KEYPOINTS, PICTURE_FEATURES)
        self._pretrained = pretrained
        if pretrained:
            # What they are is no weight of a checkpoint.
            for name, numbers in (("mean", _MEAN), ("deviation", _DEVIATION)):
                self.register_buffer(name, torch.tensor(numbers).view(3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, height, width, 3) uint8 to (n, 64)."""
        # Channels stay last in memory, which convolutions are fastest with.
        pixels = pictures.permute(0, 3, 1, 2).float()
        pixels = (pixels / 255 - self.mean) / self.deviation if self._pretrained else pixels / 127.5 - 1
        return F.relu(self.output(spatial_softmax(self.keypoints(self.network(pixels)))))


class PictureEncoder(nn.Module):
    """Every camera's encoder: pictures become features beside the low-dimensional part of each step."""

    def __init__(self, cameras: int, n_obs_steps: int, pretrained: bool = False) -> None:
        super().__init__()
        self.cameras = nn.ModuleList(CameraEncoder(pretrained) for _ in range(cameras))
        self.n_obs_steps = n_obs_steps

    def forward(self, low_dim: Tensor, pictures: Sequence[Tensor]) -> Tensor:
        """Joins what is seen of each step.

        Args:
            low_dim: scaled, (batch, n_obs_steps * obs_dim).
            pictures: of each camera, (batch, n_picture_steps, height, width, 3) uint8.

        Returns:
            (batch, n_picture_steps * 64 * cameras + n_obs_steps * obs_dim), as `join_steps` gives it.
        """
        features = [
            encoder(seen.flatten(0, 1)).view(*seen.shape[:2], -1).to(low_dim.dtype)
            for encoder, seen in zip(self.cameras, pictures, strict=True)
        ]
        obs_dim = low_dim.shape[1] // self.n_obs_steps
        return join_steps(torch.cat(features, dim=-1), low_dim.view(low_dim.shape[0], self.n_obs_steps, obs_dim))


class ResNet18(nn.Module):
    """(n, 3, height, width) to (n, 512, height / 32, width / 32), rounded up: without pooling and classifier."""

    def __init__(self, pretrained: bool = False) -> None:
        """With the norms of a published network, or our own."""
        super().__init__()
        norm = FrozenNorm if pretrained else _norm
        self.stem = nn.Sequential(_convolution(3, 64, 7, 2), norm(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        widths = (64, 64, 128, 256, 512)
        blocks = [
            block
            for inputs, width in pairwise(widths)
            for block in (_Block(inputs, width, norm), _Block(width, width, norm))
        ]
        self.blocks = nn.Sequential(*blocks)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pixels: Tensor) -> Tensor:
        """The last map."""
        maps: Tensor = self.blocks(self.stem(pixels))
        return maps


class FrozenNorm(nn.Module):
    """A batch norm as it is in inference, with statistics that stay: a fixed scale and offset of each channel."""

    scale: Tensor
    offset: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("offset", torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Like `maps` (n, channels, height, width)."""
        scale, offset = (one.to(maps.dtype)[:, None, None] for one in (self.scale, self.offset))
        return maps * scale + offset


class _Block(nn.Module):
    """Two convolutions beside a shortcut; where the width doubles, the sides halve."""

    def __init__(self, inputs: int, width: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        stride = 1 if inputs == width else 2
        self.layers = nn.Sequential(
            _convolution(inputs, width, 3, stride),
            norm(width),
            nn.ReLU(),
            _convolution(width, width, 3, 1),
            norm(width),
        )
        self.shortcut = nn.Identity() if stride == 1 else nn.Sequential(_convolution(inputs, width, 1, 2), norm(width))

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.layers(maps) + self.shortcut(maps))


def spatial_softmax(maps: Tensor) -> Tensor:
    """Where each of (n, k, height, width) maps is, on average, as (n, 2 * k): x and y from -1 to 1, for each map."""
    height, width = maps.shape[-2:]
    share = maps.float().flatten(2).softmax(dim=-1).view(*maps.shape)
    x, y = _grid(maps, width), _grid(maps, height)
    return torch.stack([(share.sum(-2) * x).sum(-1), (share.sum(-1) * y).sum(-1)], dim=-1).flatten(1)


def _grid(maps: Tensor, size: int) -> Tensor:
    """So many numbers from -1 to 1, evenly spread, on the maps' device, wherever an exported program runs."""
    place = maps.new_ones(size, dtype=torch.int64).cumsum(0)
    return (2 * place - size - 1) / (size - 1)


def _convolution(inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // _GROUP, channels)
