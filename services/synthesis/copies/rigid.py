"""Rigid transforms in compiled code: shift (3) and unit quaternion xyzw (4), in one row of seven numbers."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled

FloatArray = NDArray[np.float64]

WIDTH = 7
"""x, y, z of the shift, then the quaternion."""


@compiled
def multiply(a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """The quaternion product a b, (4,), which turns by b and then by a. `out` may be neither."""
    out[0] = a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1]
    out[1] = a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0]
    out[2] = a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3]
    out[3] = a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2]


@compiled
def conjugate(a: FloatArray, out: FloatArray) -> None:
    """The inverse of a unit quaternion, (4,)."""
    out[0], out[1], out[2], out[3] = -a[0], -a[1], -a[2], a[3]


@compiled
def rotate(q: FloatArray, p: FloatArray, out: FloatArray) -> None:
    """The point (3,) turned by a unit quaternion (4,). `out` may be the point."""
    x, y, z = p[0], p[1], p[2]
    # p + 2 w (v x p) + 2 v x (v x p)
    a, b, c = q[1] * z - q[2] * y, q[2] * x - q[0] * z, q[0] * y - q[1] * x
    out[0] = x + 2.0 * (q[3] * a + q[1] * c - q[2] * b)
    out[1] = y + 2.0 * (q[3] * b + q[2] * a - q[0] * c)
    out[2] = z + 2.0 * (q[3] * c + q[0] * b - q[1] * a)


@compiled
def apply(transform: FloatArray, p: FloatArray, out: FloatArray) -> None:
    """The point (3,) moved by a transform (7,)."""
    rotate(transform[3:], p, out)
    for c in range(3):
        out[c] += transform[c]


@compiled
def normalize(q: FloatArray) -> None:
    """Makes a quaternion (4,) one of length 1."""
    norm = np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    for c in range(4):
        q[c] /= norm


@compiled
def between(a: FloatArray, b: FloatArray, share: float, out: FloatArray) -> None:
    """A unit quaternion on the shorter way from a to b, (4,); not at a constant speed, but without trigonometry."""
    dot = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]
    sign = 1.0 if dot >= 0.0 else -1.0
    for c in range(4):
        out[c] = (1.0 - share) * a[c] + share * sign * b[c]
    normalize(out)


@compiled
def about(rotation: FloatArray, point: FloatArray, image: FloatArray, out: FloatArray) -> None:
    """The transform (7,) that turns by a unit quaternion (4,) and takes a point (3,) to its image (3,)."""
    moved = np.empty(3)
    rotate(rotation, point, moved)
    for c in range(3):
        out[c] = image[c] - moved[c]
    for c in range(4):
        out[3 + c] = rotation[c]
