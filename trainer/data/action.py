"""The actions: `ee_pose` [position 3, rotation 6, gripper 1] and `joint_position` [q dof, gripper 1].

Both are absolute, poses in the robot's base frame. The gripper is last: +1 close, -1 open.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

POSE_DIM = 10
"""Numbers of an `ee_pose` action."""
POSITION = slice(0, 3)
"""Tool centre point [m]."""
ROTATION = slice(3, 9)
"""First two rows of the rotation matrix (shared.rotation)."""
GRIPPER = -1
"""+1 close, -1 open; in either action."""

RANGE_MARGIN = 0.05
"""What the range of a motion is widened by on each side [m or rad], for what a policy does beyond it."""

FloatArray = NDArray[np.float32]
ActionRange = Mapping[str, Mapping[str, Sequence[float]]]
"""{"position": {"min": [3], "max": [3]}, "joint_position": {"min": [dof], "max": [dof]}} in m and rad."""

RANGE_TOLERANCE = 1e-3
"""How far positions [m] and joints [rad or m] of demonstrations may leave the action range: less than arms are held to.
There, a sample is clipped to the range's edge."""


def join_action(position: NDArray[Any], rotation_6d: NDArray[Any], gripper: NDArray[Any]) -> FloatArray:
    """(..., 3) positions [m], (..., 6) rotations and (...) grippers as (..., 10) actions, float32."""
    return np.concatenate([position, rotation_6d, gripper[..., None]], axis=-1).astype(np.float32, copy=False)


def join_joint_action(joints: NDArray[Any], gripper: NDArray[Any]) -> FloatArray:
    """(..., dof) joint positions and (...) grippers as (..., dof + 1) actions, float32."""
    return np.concatenate([joints, gripper[..., None]], axis=-1).astype(np.float32, copy=False)


def range_of(values: NDArray[Any]) -> dict[str, list[float]]:
    """{"min": [n], "max": [n]} of values (steps, n), widened by RANGE_MARGIN."""
    low, high = values.min(0) - RANGE_MARGIN, values.max(0) + RANGE_MARGIN
    return {"min": low.tolist(), "max": high.tolist()}
