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

_DIRECTIONS = 12
"""In how many directions two hulls are looked at before Coal is asked."""


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


@compiled
def separation(
    frames: FloatArray,
    corners: FloatArray,
    first: tuple[int, int, int],
    second: tuple[int, int, int],
    direction: tuple[float, float, float],
    enough: float,
) -> float:
    """Lower bound on the distance of two hulls, from better and better directions (Gilbert 1966); -inf if it is
    certainly not more than enough.

    Args:
        frames: of the links.
        corners: of all hulls.
        first: of the one hull its frame, first corner, and the corner after its last.
        second: likewise of the other.
        direction: unit vector from the one to the other with which to begin.
        enough: a bound above this [m] need not be better.
    """
    # The points of the hulls that are nearest so far, one seen from the other, are v; a direction is a step towards it.
    x, y, z = direction
    vx, vy, vz = 0.0, 0.0, 0.0
    found = -np.inf
    for step in range(_DIRECTIONS):
        i = _farthest(frames, second[0], corners, second[1], second[2], x, y, z)
        j = _farthest(frames, first[0], corners, first[1], first[2], -x, -y, -z)
        ax, ay, az = _place(frames, first[0], corners, j)
        bx, by, bz = _place(frames, second[0], corners, i)
        wx, wy, wz = bx - ax, by - ay, bz - az
        found = max(found, wx * x + wy * y + wz * z)
        if found > enough:
            break
        if step == 0:
            vx, vy, vz = wx, wy, wz
        else:
            # The point nearest to the origin between the one before and this corner of the hulls' difference.
            dx, dy, dz = wx - vx, wy - vy, wz - vz
            square = dx * dx + dy * dy + dz * dz
            share = min(max(-(vx * dx + vy * dy + vz * dz) / square, 0.0), 1.0) if square > 0.0 else 0.0
            vx, vy, vz = vx + share * dx, vy + share * dy, vz + share * dz
        length = np.sqrt(vx * vx + vy * vy + vz * vz)
        if length <= enough:
            return -np.inf
        x, y, z = vx / length, vy / length, vz / length
    return float(found)


@compiled
def _farthest(
    frames: FloatArray, frame: int, corners: FloatArray, begin: int, end: int, x: float, y: float, z: float
) -> int:
    """The corner of a hull that is least far along a direction."""
    a = frames[frame, 0] * x + frames[frame, 3] * y + frames[frame, 6] * z
    b = frames[frame, 1] * x + frames[frame, 4] * y + frames[frame, 7] * z
    c = frames[frame, 2] * x + frames[frame, 5] * y + frames[frame, 8] * z
    least, corner = np.inf, begin
    for v in range(begin, end):
        along = corners[v, 0] * a + corners[v, 1] * b + corners[v, 2] * c
        if along < least:
            least, corner = along, v
    return corner


@compiled
def _place(frames: FloatArray, f: int, corners: FloatArray, v: int) -> tuple[float, float, float]:
    """Where a corner is in the base frame."""
    a, b, c = corners[v, 0], corners[v, 1], corners[v, 2]
    return (
        frames[f, 9] + frames[f, 0] * a + frames[f, 1] * b + frames[f, 2] * c,
        frames[f, 10] + frames[f, 3] * a + frames[f, 4] * b + frames[f, 5] * c,
        frames[f, 11] + frames[f, 6] * a + frames[f, 7] * b + frames[f, 8] * c,
    )
