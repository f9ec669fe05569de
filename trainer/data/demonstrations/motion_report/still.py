"""Numbers that never change: a sensor that is not there, a joint that was not used, a column of zeros."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def dead_dimensions(columns: Mapping[str, Sequence[FloatArray]]) -> dict[str, float]:
    """Components that have one value in all steps of all episodes, with that value.

    Args:
        columns: of each, its numbers (T, width) in each episode.

    Returns:
        By name and place: `name[i]`, or `name` where the column has one component.
    """
    found = {}
    for name, episodes in columns.items():
        low, high = (np.array([getattr(one, side)(axis=0) for one in episodes]) for side in ("min", "max"))
        for place in np.flatnonzero(low.min(axis=0) == high.max(axis=0)).tolist():
            called = name if low.shape[1] == 1 else f"{name}[{place}]"
            found[called] = float(low[0, place])
    return found
