"""Lower bounds on how far two bodies are apart: cheap ones by capsules, tighter ones by the corners of hulls.

Two convex bodies are at least as far apart as their shadows on any line. A half-space and a box have their own lines,
their normals and the axes; for two links the line is the one between their capsules, or one found before.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HALF_SPACE, BOX = 0.0, 1.0
"""What a solid's row begins with: then its outward unit normal and offset [m], or its least and greatest corner [m]."""


@compiled
def least_along(
    frames: FloatArray, frame: int, corners: FloatArray, begin: int, end: int, x: float, y: float, z: float
) -> float:
    """Least coordinate along a direction of the base frame, of a body's corners `begin` to `end` in its frame."""
    a = frames[frame, 0] * x + frames[frame, 3] * y + frames[frame, 6] * z
    b = frames[frame, 1] * x + frames[frame, 4] * y + frames[frame, 7] * z
    c = frames[frame, 2] * x + frames[frame, 5] * y + frames[frame, 8] * z
    # Four at a time, none of which waits for another.
    one = two = three = four = np.inf
    rest = begin + (end - begin) // 4 * 4
    for v in range(begin, rest, 4):
        one = min(one, corners[v, 0] * a + corners[v, 1] * b + corners[v, 2] * c)
        two = min(two, corners[v + 1, 0] * a + corners[v + 1, 1] * b + corners[v + 1, 2] * c)
        three = min(three, corners[v + 2, 0] * a + corners[v + 2, 1] * b + corners[v + 2, 2] * c)
        four = min(four, corners[v + 3, 0] * a + corners[v + 3, 1] * b + corners[v + 3, 2] * c)
    for v in range(rest, end):
        one = min(one, corners[v, 0] * a + corners[v, 1] * b + corners[v, 2] * c)
    least = min(min(one, two), min(three, four))
    return float(least + frames[frame, 9] * x + frames[frame, 10] * y + frames[frame, 11] * z)


@compiled
def capsule_to_solid(ends: FloatArray, body: int, radius: float, solids: FloatArray, k: int) -> float:
    """Lower bound on the distance of a body's capsule from solid k."""
    if solids[k, 0] == HALF_SPACE:
        x, y, z = solids[k, 1], solids[k, 2], solids[k, 3]
        first = ends[body, 0] * x + ends[body, 1] * y + ends[body, 2] * z
        second = ends[body, 3] * x + ends[body, 4] * y + ends[body, 5] * z
        return float(min(first, second) - solids[k, 4] - radius)
    total = 0.0
    for r in range(3):
        one, other = ends[body, r], ends[body, 3 + r]
        gap = max(min(one, other) - solids[k, 4 + r], solids[k, 1 + r] - max(one, other), 0.0)
        total += gap * gap
    return float(np.sqrt(total) - radius)


@compiled
def hull_to_solid(
    frames: FloatArray, frame: int, corners: FloatArray, begin: int, end: int, solids: FloatArray, k: int
) -> float:
    """Lower bound on the distance of a hull from solid k; exact for a half-space, below which it is negative."""
    if solids[k, 0] == HALF_SPACE:
        x, y, z = solids[k, 1], solids[k, 2], solids[k, 3]
        return float(least_along(frames, frame, corners, begin, end, x, y, z) - solids[k, 4])
    total = 0.0
    for r in range(3):
        x, y, z = 1.0 * (r == 0), 1.0 * (r == 1), 1.0 * (r == 2)
        above = least_along(frames, frame, corners, begin, end, x, y, z) - solids[k, 4 + r]
        below = solids[k, 1 + r] + least_along(frames, frame, corners, begin, end, -x, -y, -z)
        gap = max(above, below, 0.0)
        total += gap * gap
    return float(np.sqrt(total))
