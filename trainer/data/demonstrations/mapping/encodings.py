"""Numbers of a data set as rotation matrices, joint positions and gripper commands, as its mapping says."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation as ScipyRotation

from shared.rotation import quat_xyzw_to_matrix, rot6d_to_matrix, rotvec_to_matrix
from trainer.data.demonstrations.mapping.mapping import Gripper, Joints, Position, Rotation

FloatArray = NDArray[np.float64]

_WIDTHS = {
    "quat_xyzw": 4,
    "quat_wxyz": 4,
    "rotation_vector": 3,
    "euler": 3,
    "rot6d": 6,
    "rot6d_columns": 6,
    "matrix": 9,
}
# Of norms and products that a rotation has exactly; files hold float32, and people round.
_TOLERANCE = 0.05
# Of a gripper's way: sensors and calibrations overshoot a little.
_OVERSHOOT = 0.05


def matrices(numbers: FloatArray, rotation: Rotation) -> FloatArray:
    """(T, width) numbers to (T, 3, 3) rotation matrices.

    Raises ValueError where their width is not the encoding's, or they are no rotations.
    """
    name, encoding = rotation.columns, rotation.encoding
    if numbers.shape[1] != _WIDTHS[encoding]:
        raise ValueError(f"'{name}' has {numbers.shape[1]} components, encoding '{encoding}' has {_WIDTHS[encoding]}")
    if encoding in ("quat_xyzw", "quat_wxyz"):
        _require_norm(numbers, name, "a unit quaternion")
        return quat_xyzw_to_matrix(numbers if encoding == "quat_xyzw" else np.roll(numbers, -1, axis=1))
    if encoding in ("euler", "rotation_vector"):
        radians = np.deg2rad(numbers) if rotation.unit == "deg" else numbers * rotation.scale
        if encoding == "rotation_vector":
            return rotvec_to_matrix(radians)
        assert rotation.axes is not None
        return np.asarray(ScipyRotation.from_euler(rotation.axes, radians).as_matrix())
    if encoding == "matrix":
        rows = numbers.reshape(-1, 3, 3)
        _require_orthonormal(rows, name)
        # The nearest rotation is not needed for what rounding did; Gram-Schmidt on two rows is enough.
        return rot6d_to_matrix(rows[:, :2].reshape(-1, 6))
    rows = numbers.reshape(-1, 2, 3)
    _require_orthonormal(rows, name)
    matrix = rot6d_to_matrix(numbers)
    return np.asarray(matrix if encoding == "rot6d" else np.swapaxes(matrix, -1, -2))


def positions(numbers: FloatArray, position: Position) -> FloatArray:
    """(T, 3) numbers to metres. Raises ValueError where they are not three."""
    if numbers.shape[1] != 3:
        raise ValueError(f"'{position.columns}' has {numbers.shape[1]} components, a position has 3")
    return numbers * position.scale


def joint_positions(numbers: FloatArray, joints: Joints, *, delta: bool = False) -> FloatArray:
    """(T, dof) numbers to joint positions [rad or m], or to their changes.

    Raises ValueError where a key of the mapping has not one number for each joint.
    """
    dof, name = numbers.shape[1], joints.columns
    for key in ("low", "high", "sign", "offset"):
        given = getattr(joints, key)
        if given is not None and len(given) != dof:
            raise ValueError(f"'{name}' has {dof} components, {key} has {len(given)}; it needs one for each joint")
    if joints.unit == "normalized":
        low, high = np.array(joints.low), np.array(joints.high)
        bottom, top = joints.normalized_range
        share = numbers / (top - bottom) if delta else (numbers - bottom) / (top - bottom)
        values = share * (high - low) if delta else low + share * (high - low)
    else:
        values = np.deg2rad(numbers) if joints.unit == "deg" else numbers * joints.scale
    if joints.sign is not None:
        values = values * np.array(joints.sign)
    if joints.offset is not None and not delta:
        values = values + np.array(joints.offset)
    return np.asarray(values, np.float64)


def gripper_commands(numbers: FloatArray, gripper: Gripper, *, observed: bool = False) -> FloatArray:
    """(T, 1) numbers to (T,) from -1 open to +1 closed.

    Raises:
        ValueError: they are more than one component, or lie outside the two ends; an observed opening may.
    """
    name = gripper.columns
    if numbers.shape[1] != 1:
        raise ValueError(f"'{name}' has {numbers.shape[1]} components, a gripper has one; write '{name}[0]'")
    closing = 2 * (numbers[:, 0] - gripper.open) / (gripper.closed - gripper.open) - 1
    outside = np.abs(closing) > 1 + 2 * _OVERSHOOT
    if outside.any() and not observed:
        step = int(np.argmax(outside))
        raise ValueError(
            f"'{name}' is {numbers[step, 0]:g} at step {step}; the mapping says that it is {gripper.open:g} open and "
            f"{gripper.closed:g} closed"
        )
    return np.clip(closing, -1, 1)


def _require_norm(vectors: FloatArray, name: str, what: str) -> None:
    norm = np.linalg.norm(vectors, axis=-1).reshape(len(vectors), -1)
    bad = (np.abs(norm - 1) > _TOLERANCE).any(axis=1)
    if bad.any():
        step = int(np.argmax(bad))
        raise ValueError(f"'{name}' is not {what} at step {step}: a norm is {norm[step].min():.3g} there")


def _require_orthonormal(rows: FloatArray, name: str) -> None:
    """Raises ValueError where the first two of (T, n, 3) vectors are not orthonormal, or three make no rotation."""
    _require_norm(rows, name, "a rotation")
    products = np.abs((rows[:, 0] * rows[:, 1]).sum(axis=-1))
    if rows.shape[1] == 3:
        products = np.maximum(products, np.abs(np.linalg.det(rows) - 1))
    if (products > _TOLERANCE).any():
        raise ValueError(f"'{name}' is not a rotation at step {int(np.argmax(products > _TOLERANCE))}")
