"""Lower bounds on the distance of a link from a keep-out, by the capsule around it."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled

FloatArray = NDArray[np.float64]

HALF_SPACE, BOX = 0.0, 1.0
"""What a solid's row begins with: then its outward unit normal and offset [m], or its least and greatest corner [m]."""


@compiled
def capsule_to_solid(
    ends: FloatArray, body: int, radius: float, solids: FloatArray, k: int
) -> tuple[float, float, float, float]:
    """Lower bound on the distance of a body's capsule from solid k, and a direction from the one to the other.

    The direction is a unit vector, or zero where the capsule's axis may touch a box.
    """
    if solids[k, 0] == HALF_SPACE:
        x, y, z = solids[k, 1], solids[k, 2], solids[k, 3]
        first = ends[body, 0] * x + ends[body, 1] * y + ends[body, 2] * z
        second = ends[body, 3] * x + ends[body, 4] * y + ends[body, 5] * z
        return min(first, second) - solids[k, 4] - radius, -x, -y, -z
    x, y, z = (
        _between(ends[body, 0], ends[body, 3], solids[k, 1], solids[k, 4]),
        _between(ends[body, 1], ends[body, 4], solids[k, 2], solids[k, 5]),
        _between(ends[body, 2], ends[body, 5], solids[k, 3], solids[k, 6]),
    )
    distance = np.sqrt(x * x + y * y + z * z)
    if distance > 1e-9:
        return distance - radius, x / distance, y / distance, z / distance
    return distance - radius, 0.0, 0.0, 0.0


@compiled
def _between(one: float, other: float, low: float, high: float) -> float:
    """The way from an interval between two numbers, in whatever order, to that from low to high; 0 where they meet."""
    before, after = low - max(one, other), min(one, other) - high
    return before if before > 0.0 else (-after if after > 0.0 else 0.0)
