"""Poses drawn from a list, with a jitter."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.draws import directions
from services.synthesis.elementary import cube_roots
from services.synthesis.rotations import from_rotvec, product
from services.synthesis.workspace import Poses
from shared.rotation import quat_xyzw_to_matrix, rot6d_to_matrix

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def listed_poses(workspace: Poses, taken: BoolArray, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Tool positions (n, W, 3) [m] and rotations (n, W, 3, 3) in the base frame.

    Args:
        workspace: with the list.
        taken: which waypoints have a pose of their own, shape (n, W); the others repeat the one before.
        u: uniform numbers, shape (n, W, at least 6).
    """
    position = np.array([pose.position for pose in workspace.poses])
    rotation = np.array([_matrix(pose.quat_xyzw, pose.rotation_6d) for pose in workspace.poses])
    # A waypoint goes on by 1 to n - 1 places from the one before, so the same pose is never drawn twice running.
    size = len(position)
    choices = np.full(u.shape[1], max(size - 1, 1))
    choices[0] = size
    place = np.floor(choices * u[..., 0])
    # What is left of a number after choosing is uniform again.
    left = choices * u[..., 0] - place
    place[:, 1:] += 1
    index = np.cumsum(np.where(taken, place, 0).astype(np.int64), axis=1) % size
    jitter = workspace.jitter
    radius = jitter.position * cube_roots(u[..., 3])
    turn = np.deg2rad(jitter.angle_deg) * left
    shift = radius[..., None] * directions(u[..., 1], u[..., 2])
    turned = from_rotvec(turn[..., None] * directions(u[..., 4], u[..., 5]))
    return position[index] + shift, product(turned, rotation[index])


def _matrix(quat_xyzw: tuple[float, ...] | None, rotation_6d: tuple[float, ...] | None) -> FloatArray:
    """The rotation of a listed pose, exactly orthonormal."""
    if quat_xyzw is not None:
        return quat_xyzw_to_matrix(np.array(quat_xyzw))
    return rot6d_to_matrix(np.array(rotation_6d))
