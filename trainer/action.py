"""The `ee_pose` action: [position 3, rotation 6, gripper 1], absolute, in the robot's base frame."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ACTION_DIM = 10
POSITION = slice(0, 3)
"""Tool centre point [m]."""
ROTATION = slice(3, 9)
"""First two rows of the rotation matrix (shared.rotation)."""
GRIPPER = 9
"""+1 close, -1 open."""

FloatArray = NDArray[np.float32]
ActionRange = Mapping[str, Mapping[str, Sequence[float]]]
"""{"position": {"min": [3], "max": [3]}, "joint_position": {"min": [dof], "max": [dof]}} in m and rad."""


def join_action(position: NDArray[Any], rotation_6d: NDArray[Any], gripper: NDArray[Any]) -> FloatArray:
    """(..., 3) positions [m], (..., 6) rotations and (...) grippers as (..., 10) actions, float32."""
    return np.concatenate([position, rotation_6d, gripper[..., None]], axis=-1).astype(np.float32, copy=False)
