"""Rotations as matrices, 6D, quaternions (xyzw) and rotation vectors: batches first, NumPy only.

The 6D form is the first two **rows** of the rotation matrix (Zhou et al. 2019 use columns; PyTorch3D and the
action-head literature use rows). All functions take any leading batch shape and keep float32 or float64.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_DEGENERATE = 1e-6


def matrix_to_rot6d(matrix: Array) -> Array:
    """(..., 3, 3) rotation matrices to (..., 6): the first two rows, flattened."""
    return matrix[..., :2, :].reshape(*matrix.shape[:-2], 6)


def rot6d_to_matrix(rot6d: Array, fallback: Array | None = None) -> Array:
    """(..., 6) to (..., 3, 3) rotation matrices by Gram-Schmidt on the two rows.

    A network may produce rows that are zero or parallel. There `fallback` (..., 3, 3) is used if given, else
    a well-defined rotation: a missing first row becomes x, a missing second row one orthogonal to the first.
    Computed in float64 and given in the dtype of `rot6d`: in float32, rows that are nearly parallel would not become
    orthogonal.
    """
    first, second = np.split(rot6d.astype(np.float64), 2, axis=-1)
    first_norm = np.linalg.norm(first, axis=-1, keepdims=True)
    bad_first = first_norm < _DEGENERATE
    row_x = np.where(bad_first, np.array([1.0, 0, 0]), first / np.where(bad_first, 1, first_norm))
    residue = second - (row_x * second).sum(-1, keepdims=True) * row_x
    residue_norm = np.linalg.norm(residue, axis=-1, keepdims=True)
    bad_second = residue_norm < _DEGENERATE
    row_y = residue / np.where(bad_second, 1, residue_norm)
    if bad_second.any():
        row_y = np.where(bad_second, _any_orthogonal(row_x), row_y)
    matrix = np.stack([row_x, row_y, _cross(row_x, row_y)], axis=-2)
    if fallback is not None:
        matrix = np.where((bad_first | bad_second)[..., None], fallback, matrix)
    return matrix.astype(rot6d.dtype, copy=False)


def _cross(a: Array, b: Array) -> Array:
    """a x b of (..., 3) vectors, written out: np.cross is far slower on the single poses of a control step."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _any_orthogonal(unit: Array) -> Array:
    """A unit vector orthogonal to each (..., 3) unit vector."""
    axis = np.eye(3)[np.abs(unit).argmin(-1)]
    vector = _cross(unit, axis)
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


def quat_xyzw_to_matrix(quat_xyzw: Array) -> Array:
    """(..., 4) quaternions, scalar last, of any non-zero norm, to (..., 3, 3) rotation matrices."""
    x, y, z, w = np.moveaxis(quat_xyzw / np.linalg.norm(quat_xyzw, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def matrix_to_quat_xyzw(matrix: Array) -> Array:
    """(..., 3, 3) rotation matrices to (..., 4) unit quaternions, scalar last and not negative.

    Shepperd's method: of four algebraically equal forms, the one with the greatest pivot is used.
    """
    m00, m11, m22 = matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 2, 2]
    xw, yw, zw = (matrix[..., i, j] - matrix[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    xy, xz, yz = (matrix[..., i, j] + matrix[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    squares = np.stack([1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22, 1 + m00 + m11 + m22], -1)
    forms = np.stack(
        [
            np.stack([squares[..., 0], xy, xz, xw], -1),
            np.stack([xy, squares[..., 1], yz, yw], -1),
            np.stack([xz, yz, squares[..., 2], zw], -1),
            np.stack([xw, yw, zw, squares[..., 3]], -1),
        ],
        axis=-2,
    )
    quat = np.take_along_axis(forms, squares.argmax(-1)[..., None, None], axis=-2)[..., 0, :]
    quat = quat / np.linalg.norm(quat, axis=-1, keepdims=True)
    return np.asarray(np.where(quat[..., 3:] < 0, -quat, quat))


def rotvec_to_matrix(rotvec: Array) -> Array:
    """(..., 3) rotation vectors (axis times angle [rad]) to (..., 3, 3) matrices."""
    angle = np.linalg.norm(rotvec, axis=-1, keepdims=True)
    # sin(a/2)/a by its series near zero, where the quotient loses its digits.
    small = angle < 1e-4
    factor = np.where(small, 0.5 - angle**2 / 48, np.sin(angle / 2) / np.where(small, 1, angle))
    return quat_xyzw_to_matrix(np.concatenate([rotvec * factor, np.cos(angle / 2)], axis=-1))


def matrix_to_rotvec(matrix: Array) -> Array:
    """(..., 3, 3) rotation matrices to (..., 3) rotation vectors of angle 0 to pi [rad]."""
    quat = matrix_to_quat_xyzw(matrix)
    vector, scalar = quat[..., :3], quat[..., 3:]
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    small = norm < 1e-6
    factor = np.where(small, 2 / np.maximum(scalar, 0.5), 2 * np.arctan2(norm, scalar) / np.where(small, 1, norm))
    return np.asarray(vector * factor)


def geodesic_angle(a: Array, b: Array) -> Array:
    """Angle [rad], 0 to pi, of the rotation between (..., 3, 3) matrices a and b.

    By atan2 of sine and cosine, so that it keeps its precision near 0 and near pi, where arccos has none.
    """
    relative = np.swapaxes(a, -1, -2) @ b
    axis = np.stack([relative[..., i, j] - relative[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0))], -1)
    trace = relative[..., 0, 0] + relative[..., 1, 1] + relative[..., 2, 2]
    return np.asarray(np.arctan2(np.linalg.norm(axis, axis=-1), trace - 1))
