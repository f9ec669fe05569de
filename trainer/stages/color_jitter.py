"""Pictures in other light: brightness, contrast, saturation and hue, changed at random in training alone."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.philox import philox_uniform

# A stream that nothing else of Stage 2 uses: this and the sample's place in the order.
_STREAM = 2**61 + 2**60
_GREY = (0.299, 0.587, 0.114)
"""What red, green and blue weigh in the grey of a picture (ITU-R BT.601)."""


def draw_changes(ranges: Sequence[float], seed: int, places: NDArray[np.int64], cameras: int) -> Tensor:
    """What is changed of each camera's pictures of some windows, a function of seed, place and camera alone.

    Args:
        ranges: greatest change of brightness, contrast, saturation, as shares, and of hue, in turns of its circle.
        seed: of the run.
        places: of the windows in the order, (n,).
        cameras: how many.

    Returns:
        (n, cameras, 4): factors of the first three, uniform within 1 - range to 1 + range, and the turn of the hue,
        within -range to range.
    """
    drawn = [philox_uniform(seed, _STREAM + places, camera, 4) for camera in range(cameras)]
    changes = (2 * np.stack(drawn, axis=1) - 1) * np.array(ranges) + np.array([1.0, 1.0, 1.0, 0.0])
    return torch.from_numpy(changes.astype(np.float32))


def changed(pictures: Tensor, changes: Tensor) -> Tensor:
    """Pictures (n, n_picture_steps, height, width, 3) uint8, all steps of a window changed alike, by `changes` (n, 4).

    One after the other: brightness times all, contrast about the picture's mean grey, saturation about each pixel's
    grey, hue turned with saturation and value as they are. Each is cut off at 0 and 255.
    """
    # (n, 1, 1, 1, 1) each.
    brightness, contrast, saturation, hue = changes[:, :, None, None, None, None].unbind(1)
    colors = (pictures.float() / 255 * brightness).clamp(0, 1)
    mean = _grey(colors).mean((2, 3, 4), keepdim=True)
    colors = (mean + contrast * (colors - mean)).clamp(0, 1)
    grey = _grey(colors)
    colors = (grey + saturation * (colors - grey)).clamp(0, 1)
    return (255 * _turned(colors, hue)).round().to(torch.uint8)


def _grey(colors: Tensor) -> Tensor:
    red, green, blue = torch.split(colors, 1, dim=-1)
    return _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue


def _turned(colors: Tensor, turn: Tensor) -> Tensor:
    """Colours (..., 3) from 0 to 1 with their hue turned, by way of hue, saturation and value."""
    value, least = colors.amax(-1, keepdim=True), colors.amin(-1, keepdim=True)
    chroma = value - least
    red, green, blue = torch.split(colors, 1, dim=-1)
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    # In sixths of a turn: red is at 0, green at 2, blue at 4.
    sixths = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sixths = sixths + 6 * turn
    parts = []
    for offset in (5.0, 3.0, 1.0):
        place = (sixths + offset) % 6
        parts.append(value - chroma * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.cat(parts, dim=-1)
