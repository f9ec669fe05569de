"""Lower bounds on how far two bodies are apart: cheap ones by capsules, tighter ones by the corners of hulls.

Two convex bodies are at least as far apart as their shadows on any line. A half-space and a box have their own lines,
their normals and the axes; for two links the line is the one between their capsules, or one found before.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled

FloatArray = NDArray[np.float64]

HALF_SPACE, BOX = 0.0, 1.0
"""What a solid's row begins with: then its outward unit normal and offset [m], or its least and greatest corner [m]."""


@compiled
def least_along(frame: FloatArray, corners: FloatArray, x: float, y: float, z: float) -> float:
    """Least coordinate along a direction of the base frame, of a body's corners (V, 3) in its joint's frame."""
    a = frame[0] * x + frame[3] * y + frame[6] * z
    b = frame[1] * x + frame[4] * y + frame[7] * z
    c = frame[2] * x + frame[5] * y + frame[8] * z
    least = np.inf
    for v in range(corners.shape[0]):
        least = min(least, corners[v, 0] * a + corners[v, 1] * b + corners[v, 2] * c)
    return float(least + frame[9] * x + frame[10] * y + frame[11] * z)


@compiled
def hull_gap(
    first_frame: FloatArray,
    first_corners: FloatArray,
    second_frame: FloatArray,
    second_corners: FloatArray,
    direction: FloatArray,
) -> float:
    """Gap between the shadows of two hulls on a line; `direction` points from the first to the second, (3,)."""
    x, y, z = direction[0], direction[1], direction[2]
    return float(
        least_along(second_frame, second_corners, x, y, z) + least_along(first_frame, first_corners, -x, -y, -z)
    )


@compiled
def capsule_to_solid(ends: FloatArray, radius: float, solid: FloatArray) -> float:
    """Lower bound on the distance of a capsule from a solid."""
    if solid[0] == HALF_SPACE:
        first = ends[0] * solid[1] + ends[1] * solid[2] + ends[2] * solid[3]
        second = ends[3] * solid[1] + ends[4] * solid[2] + ends[5] * solid[3]
        return float(min(first, second) - solid[4] - radius)
    total = 0.0
    for r in range(3):
        gap = max(min(ends[r], ends[3 + r]) - solid[4 + r], solid[1 + r] - max(ends[r], ends[3 + r]), 0.0)
        total += gap * gap
    return float(np.sqrt(total) - radius)


@compiled
def hull_to_solid(frame: FloatArray, corners: FloatArray, solid: FloatArray) -> float:
    """Lower bound on the distance of a hull from a solid; exact for a half-space, below which it is negative."""
    if solid[0] == HALF_SPACE:
        return float(least_along(frame, corners, solid[1], solid[2], solid[3]) - solid[4])
    total = 0.0
    for r in range(3):
        x, y, z = 1.0 * (r == 0), 1.0 * (r == 1), 1.0 * (r == 2)
        above = least_along(frame, corners, x, y, z) - solid[4 + r]
        below = solid[1 + r] + least_along(frame, corners, -x, -y, -z)
        gap = max(above, below, 0.0)
        total += gap * gap
    return float(np.sqrt(total))
