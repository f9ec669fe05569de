"""Rotations of batches (..., 3, 3), computed alike on every processor: no BLAS, no vectorized transcendentals."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.numerics.elementary import angles_of, sines_cosines
from shared.rotation import matrix_to_quat_xyzw, quat_xyzw_to_matrix

FloatArray = NDArray[np.float64]


def product(a: FloatArray, b: FloatArray) -> FloatArray:
    """The matrix products a b, shape (..., 3, 3)."""
    columns, rows = np.moveaxis(a, -1, 0)[..., None], np.moveaxis(b, -2, 0)[..., None, :]
    return np.asarray(columns[0] * rows[0] + columns[1] * rows[1] + columns[2] * rows[2])


def lengths(vectors: FloatArray) -> FloatArray:
    """Lengths of vectors (..., 3), shape (...,)."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.asarray(np.sqrt(x * x + y * y + z * z))


def from_rotvec(rotvec: FloatArray) -> FloatArray:
    """The matrices of rotation vectors (..., 3), axis times angle [rad]."""
    angle = lengths(rotvec)[..., None]
    sine, cosine = sines_cosines(angle / 2)
    # sin(a/2)/a by its series near zero, where the quotient loses its digits.
    small = angle < 1e-4
    factor = np.where(small, 0.5 - angle * angle / 48, sine / np.where(small, 1, angle))
    return quat_xyzw_to_matrix(np.concatenate([rotvec * factor, cosine], axis=-1))


def to_rotvec(matrix: FloatArray) -> FloatArray:
    """Rotation vectors (..., 3) of angle 0 to pi [rad]."""
    quat = matrix_to_quat_xyzw(matrix)
    vector, scalar = quat[..., :3], quat[..., 3:]
    norm = lengths(vector)[..., None]
    small = norm < 1e-6
    angle = 2 * angles_of(norm, scalar)
    return np.asarray(vector * np.where(small, 2 / np.maximum(scalar, 0.5), angle / np.where(small, 1, norm)))


def angle_between(a: FloatArray, b: FloatArray) -> FloatArray:
    """Angle [rad], 0 to pi, of the rotation between matrices a and b, shape (...,)."""
    return lengths(to_rotvec(product(np.swapaxes(a, -1, -2), b)))
