"""Where the tool comes near the table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Dips:
    """How low a tool goes.

    Attributes:
        height: that is called near the table [m], in the base frame.
        episodes: in how many the tool is below it.
        steps: how many steps.
        lowest: height of the tool [m].
        episode: where that is.
        step: likewise.
    """

    height: float
    episodes: int
    steps: int
    lowest: float
    episode: str
    step: int


def dips(names: Sequence[str], heights: Sequence[FloatArray], height: float) -> Dips:
    """How often and how far the tool's heights (T,) [m] in some episodes are below a height [m]."""
    below = [int((one < height).sum()) for one in heights]
    lowest = int(np.argmin([one.min() for one in heights]))
    return Dips(
        height, sum(count > 0 for count in below), sum(below), float(heights[lowest].min()), names[lowest],
        int(heights[lowest].argmin()),
    )  # fmt: skip
