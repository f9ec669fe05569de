"""Pictures as the policy was trained on them: resized and cropped as the demonstrations' were."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pictures = NDArray[np.uint8]


def pixels(pictures: Tensor) -> Pictures:
    """(..., 3, height, width) from 0 to 1, or uint8, to (..., height, width, 3) uint8, exactly what the camera gave."""
    values = pictures if pictures.dtype == torch.uint8 else (pictures * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(values.movedim(-3, -1).cpu().numpy())


def crops(cameras: Sequence[Mapping[str, Any]], pictures: Sequence[Pictures]) -> list[Pictures]:
    """The part of each camera's pictures (n, n_picture_steps, height, width, 3) of any size that is seen.

    `cameras` are those of policy.json.
    """
    seen = []
    for camera, given in zip(cameras, pictures, strict=True):
        (top, left), (height, width) = camera["corner"], camera["crop"]
        sized = _resized(given, tuple(camera["size"]))
        seen.append(np.ascontiguousarray(sized[:, :, top : top + height, left : left + width]))
    return seen


def _resized(pictures: Pictures, size: tuple[int, int]) -> Pictures:
    if pictures.shape[2:4] == size:
        return pictures
    # Imported where it is needed: a camera may be set to the policy's size.
    import av

    height, width = size
    # Averages where it shrinks, so that no row or column of pixels is skipped.
    way = "AREA" if height < pictures.shape[2] or width < pictures.shape[3] else "BICUBIC"
    flat = [
        av.VideoFrame.from_ndarray(one, format="rgb24").reformat(width, height, "rgb24", interpolation=way).to_ndarray()
        for one in pictures.reshape(-1, *pictures.shape[2:])
    ]
    return np.stack(flat).astype(np.uint8).reshape(*pictures.shape[:2], *size, 3)
