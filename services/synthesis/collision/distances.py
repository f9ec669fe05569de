"""How far two convex bodies are apart: the algorithm of Gilbert, Johnson and Keerthi (1988), as far as it has to go.

Points b - a of two bodies are a convex body, too, and the bodies are as far apart as it is from the origin. Of the
points that are farthest towards the origin up to four are kept, a simplex; its nearest point v is an upper bound on
the distance, and what lies in front of the plane through the next such point, across v, a lower one. Both hold
whatever was rounded before, so no answer depends on whether a simplex was told well: only how soon it comes does.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled, inlined

FloatArray = NDArray[np.float64]
Hull = tuple[int, int, int]
"""A hull's frame, its first corner, and the corner after its last."""

MEETS = -np.inf
"""What is answered of a pair that collides."""
TIGHT = 1e-9
"""When lower and upper bound are this near to one another [m] they are one."""
_ENOUGH_OF_IT = 0.98
"""Share of the upper bound that a lower one has to reach where the pair is known not to collide."""
_MOST_STEPS = 100
"""More than bodies of a thousand corners take."""


@compiled
def separation(
    frames: FloatArray,
    corners: FloatArray,
    first: Hull,
    second: Hull,
    solids: FloatArray,
    k: int,
    direction: tuple[float, float, float],
    near: float,
    enough: float,
    simplex: FloatArray,
) -> tuple[float, float, float, float]:
    """Lower bound on the distance of a hull from another one or from a box, above `near`; MEETS where it is not.

    Where the two are within TIGHT of being `near`, or in a hundred steps it can't be told, they meet.

    Args:
        frames: of the links.
        corners: of all hulls.
        first: the one hull.
        second: the other, where there is no box.
        solids: keep-outs, shape (K, 7).
        k: which of them, a box, or -1.
        direction: from the first to the second with which to begin; unit, or zero where none is known.
        near: distance [m] at which they collide.
        enough: a bound above this [m] need not be better.
        simplex: room for the corners of the simplex, shape (5, 3).

    Returns:
        The bound, and the direction in which it holds, from the first to the second, zero where they meet.
    """
    x, y, z = direction
    if x * x + y * y + z * z < 0.5:
        x, y, z = 1.0, 0.0, 0.0
    found, bx, by, bz = -np.inf, 0.0, 0.0, 0.0
    length = np.inf
    vx, vy, vz = 0.0, 0.0, 0.0
    size = 0
    for _ in range(_MOST_STEPS):
        wx, wy, wz = _least_difference(frames, corners, first, second, solids, k, x, y, z)
        along = wx * x + wy * y + wz * z
        if along > found:
            found, bx, by, bz = along, x, y, z
        if found > near and (found >= enough or found >= _ENOUGH_OF_IT * length):
            return found, bx, by, bz
        if length - found <= TIGHT:
            break
        simplex[size, 0], simplex[size, 1], simplex[size, 2] = wx, wy, wz
        size = _reduce(simplex, size + 1)
        nx, ny, nz = simplex[4, 0], simplex[4, 1], simplex[4, 2]
        nearer = np.sqrt(nx * nx + ny * ny + nz * nz)
        if not nearer < length:
            # The simplex was told wrongly, as flat ones are: between its nearest point and this corner one is nearer.
            simplex[0, 0], simplex[0, 1], simplex[0, 2] = vx, vy, vz
            simplex[1, 0], simplex[1, 1], simplex[1, 2] = wx, wy, wz
            size = _reduce(simplex, 2)
            nx, ny, nz = simplex[4, 0], simplex[4, 1], simplex[4, 2]
            nearer = np.sqrt(nx * nx + ny * ny + nz * nz)
            if not nearer < length:
                break
        vx, vy, vz, length = nx, ny, nz, nearer
        if length <= near or length <= TIGHT:
            return MEETS, 0.0, 0.0, 0.0
        x, y, z = vx / length, vy / length, vz / length
    if found > near:
        return found, bx, by, bz
    return MEETS, 0.0, 0.0, 0.0


@inlined
def _least_difference(
    frames: FloatArray,
    corners: FloatArray,
    first: Hull,
    second: Hull,
    solids: FloatArray,
    k: int,
    x: float,
    y: float,
    z: float,
) -> tuple[float, float, float]:
    """The point b - a that is least far along a direction."""
    ax, ay, az = least_corner(frames, corners, first, -x, -y, -z)
    if k < 0:
        bx, by, bz = least_corner(frames, corners, second, x, y, z)
        return bx - ax, by - ay, bz - az
    bx = solids[k, 1] if x > 0.0 else solids[k, 4]
    by = solids[k, 2] if y > 0.0 else solids[k, 5]
    bz = solids[k, 3] if z > 0.0 else solids[k, 6]
    return bx - ax, by - ay, bz - az


@compiled
def least_corner(
    frames: FloatArray, corners: FloatArray, hull: Hull, x: float, y: float, z: float
) -> tuple[float, float, float]:
    """The corner of a hull that is least far along a direction of the base frame, in that frame."""
    f, begin, end = hull
    a = frames[f, 0] * x + frames[f, 3] * y + frames[f, 6] * z
    b = frames[f, 1] * x + frames[f, 4] * y + frames[f, 7] * z
    c = frames[f, 2] * x + frames[f, 5] * y + frames[f, 8] * z
    least, corner = np.inf, begin
    for v in range(begin, end):
        along = corners[v, 0] * a + corners[v, 1] * b + corners[v, 2] * c
        if along < least:
            least, corner = along, v
    a, b, c = corners[corner, 0], corners[corner, 1], corners[corner, 2]
    return (
        frames[f, 9] + frames[f, 0] * a + frames[f, 1] * b + frames[f, 2] * c,
        frames[f, 10] + frames[f, 3] * a + frames[f, 4] * b + frames[f, 5] * c,
        frames[f, 11] + frames[f, 6] * a + frames[f, 7] * b + frames[f, 8] * c,
    )


@compiled
def _reduce(simplex: FloatArray, size: int) -> int:
    """Puts the point of a simplex that is nearest to the origin in row 4, and keeps the corners it lies between.

    Returns how many these are.
    """
    if size == 1:
        _keep(simplex, 0, 0, 0, 1.0, 0.0, 0.0)
        return 1
    if size == 2:
        return _of_segment(simplex)
    if size == 3:
        return _of_triangle(simplex, 0, 1, 2)
    return _of_tetrahedron(simplex)


@inlined
def _dot(s: FloatArray, i: int, j: int) -> float:
    return float(s[i, 0] * s[j, 0] + s[i, 1] * s[j, 1] + s[i, 2] * s[j, 2])


@compiled
def _keep(s: FloatArray, i: int, j: int, k: int, a: float, b: float, c: float) -> None:
    """Puts the point a s[i] + b s[j] + c s[k] in row 4, and these corners in rows 0, 1 and 2; i < j < k."""
    for r in range(3):
        p, q, t = s[i, r], s[j, r], s[k, r]
        s[4, r] = a * p + b * q + c * t
        s[0, r], s[1, r], s[2, r] = p, q, t


@compiled
def _keep_needed(s: FloatArray, a: int, b: int, c: int, share: float, other: float) -> int:
    """Keeps what `_nearest_in_triangle` found; returns how many corners these are."""
    if b < 0:
        _keep(s, a, a, a, 1.0, 0.0, 0.0)
        return 1
    if c < 0:
        _keep(s, a, b, b, 1.0 - share, share, 0.0)
        return 2
    _keep(s, a, b, c, 1.0 - share - other, share, other)
    return 3


@compiled
def _of_segment(s: FloatArray) -> int:
    one, both, other = _dot(s, 0, 0), _dot(s, 0, 1), _dot(s, 1, 1)
    square = one - 2.0 * both + other
    share = (one - both) / square if square > 0.0 else 1.0
    if share <= 0.0:
        _keep(s, 0, 0, 0, 1.0, 0.0, 0.0)
        return 1
    if share >= 1.0:
        _keep(s, 1, 1, 1, 1.0, 0.0, 0.0)
        return 1
    _keep(s, 0, 1, 1, 1.0 - share, share, 0.0)
    return 2


@compiled
def _of_triangle(s: FloatArray, i: int, j: int, k: int) -> int:
    """Keeps the nearest point of the triangle of rows i < j < k (Ericson, Real-Time Collision Detection, 5.1.5)."""
    a, b, c, share, other = _nearest_in_triangle(s, i, j, k)
    return _keep_needed(s, a, b, c, share, other)


@compiled
def _nearest_in_triangle(s: FloatArray, i: int, j: int, k: int) -> tuple[int, int, int, float, float]:
    """The corners between which a triangle's nearest point to the origin lies, -1 for each that it does not need, and
    the shares in it of the second and the third."""
    ii, ij, ik, jj, jk, kk = _dot(s, i, i), _dot(s, i, j), _dot(s, i, k), _dot(s, j, j), _dot(s, j, k), _dot(s, k, k)
    d1, d2 = ii - ij, ii - ik
    if d1 <= 0.0 and d2 <= 0.0:
        return i, -1, -1, 0.0, 0.0
    d3, d4 = ij - jj, ij - jk
    if d3 >= 0.0 and d4 <= d3:
        return j, -1, -1, 0.0, 0.0
    of_k = d1 * d4 - d3 * d2
    if of_k <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        return i, j, -1, d1 / (d1 - d3), 0.0
    d5, d6 = ik - jk, ik - kk
    if d6 >= 0.0 and d5 <= d6:
        return k, -1, -1, 0.0, 0.0
    of_j = d5 * d2 - d1 * d6
    if of_j <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        return i, k, -1, d2 / (d2 - d6), 0.0
    of_i = d3 * d6 - d5 * d4
    if of_i <= 0.0 and d4 - d3 >= 0.0 and d5 - d6 >= 0.0:
        return j, k, -1, (d4 - d3) / ((d4 - d3) + (d5 - d6)), 0.0
    whole = of_i + of_j + of_k
    return i, j, k, of_j / whole, of_k / whole


@compiled
def _of_tetrahedron(s: FloatArray) -> int:
    """Keeps the nearest point of the tetrahedron: the origin if it is inside, else one of a face that it is beyond."""
    least, a, b, c, share, other = np.inf, -1, -1, -1, 0.0, 0.0
    for face in range(4):
        i, j, k = 1 * (face == 0), 1 + (face <= 1), 2 + (face <= 2)
        if not _beyond(s, i, j, k, face):
            continue
        p, q, t, one, two = _nearest_in_triangle(s, i, j, k)
        square = 0.0
        for r in range(3):
            place = s[p, r]
            if q >= 0:
                place += one * (s[q, r] - s[p, r])
            if t >= 0:
                place += two * (s[t, r] - s[p, r])
            square += place * place
        if square < least:
            least, a, b, c, share, other = square, p, q, t, one, two
    if a < 0:
        s[4, 0] = s[4, 1] = s[4, 2] = 0.0
        return 4
    return _keep_needed(s, a, b, c, share, other)


@inlined
def _beyond(s: FloatArray, i: int, j: int, k: int, opposite: int) -> bool:
    """Whether the origin is on the other side of a face than the corner opposite to it, or that can't be told."""
    ux, uy, uz = s[j, 0] - s[i, 0], s[j, 1] - s[i, 1], s[j, 2] - s[i, 2]
    wx, wy, wz = s[k, 0] - s[i, 0], s[k, 1] - s[i, 1], s[k, 2] - s[i, 2]
    nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
    origin = -(nx * s[i, 0] + ny * s[i, 1] + nz * s[i, 2])
    corner = nx * (s[opposite, 0] - s[i, 0]) + ny * (s[opposite, 1] - s[i, 1]) + nz * (s[opposite, 2] - s[i, 2])
    return bool(origin * corner <= 0.0)
