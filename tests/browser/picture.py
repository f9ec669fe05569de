"""What a screenshot shows, in numbers."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator


def pixels(place: Locator) -> NDArray[np.int16]:
    """RGB of what is drawn there, shape (height, width, 3)."""
    with Image.open(io.BytesIO(place.screenshot())) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def colours(picture: NDArray[np.int16]) -> int:
    """How many different ones it has."""
    return len(np.unique(picture.reshape(-1, 3), axis=0))


def changed_share(before: NDArray[np.int16], after: NDArray[np.int16]) -> float:
    """Share of the pixels that differ by more than what scaling and smoothing do."""
    return float((np.abs(before - after).max(-1) > 24).mean())
