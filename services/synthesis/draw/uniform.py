"""Uniform numbers from [0, 1) turned into what is drawn."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.numerics.elementary import cube_roots, sines_cosines

FloatArray = NDArray[np.float64]


def between(interval: tuple[float, float], u: FloatArray) -> FloatArray:
    """Uniform in an interval."""
    return interval[0] + (interval[1] - interval[0]) * u


def directions(u: FloatArray, v: FloatArray) -> FloatArray:
    """Unit vectors uniform on the sphere, shape (..., 3): their z is uniform (Archimedes), and the angle about it."""
    z = 2 * u - 1
    sine, cosine = sines_cosines(2 * np.pi * v)
    across = np.sqrt(1 - z * z)
    return np.stack([across * cosine, across * sine, z], axis=-1)


def in_ball(u: FloatArray) -> FloatArray:
    """Points uniform in the unit ball, shape (..., 3), from three numbers each."""
    return cube_roots(u[..., 2:3]) * directions(u[..., 0], u[..., 1])
