"""Uniform numbers from [0, 1) turned into what is drawn."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def between(interval: tuple[float, float], u: FloatArray) -> FloatArray:
    """Uniform in an interval."""
    return interval[0] + (interval[1] - interval[0]) * u


def directions(u: FloatArray, v: FloatArray) -> FloatArray:
    """Unit vectors uniform on the sphere, shape (..., 3): their z is uniform (Archimedes), and the angle about it."""
    z, angle = 2 * u - 1, 2 * np.pi * v
    across = np.sqrt(1 - z * z)
    return np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=-1)
