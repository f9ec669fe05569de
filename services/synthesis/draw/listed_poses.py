"""Poses drawn from a list, with a jitter."""

import functools

import numpy as np
from numpy.typing import NDArray

from services.synthesis.draw.uniform import directions
from services.synthesis.numerics.elementary import cube_roots
from services.synthesis.numerics.rotations import from_rotvec, product
from services.synthesis.request.equal_poses import pose_arrays, same_as
from services.synthesis.request.goals import Goal
from services.synthesis.request.workspace import Pose, Poses

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def listed_poses(workspace: Poses, goal: Goal, taken: BoolArray, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Tool positions (n, W, 3) [m] and rotations (n, W, 3, 3) in the base frame.

    Args:
        workspace: with the list; poses that are one count once.
        goal: how much of a pose is asked for.
        taken: which waypoints have a pose of their own, shape (n, W); the others repeat the one before.
        u: uniform numbers, shape (n, W, at least 6).
    """
    position, rotation = _distinct(workspace.poses, goal)
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


@functools.lru_cache(maxsize=8)
def _distinct(poses: tuple[Pose, ...], goal: Goal) -> tuple[FloatArray, FloatArray]:
    """Positions and rotations of the poses that differ, in the list's order."""
    position, rotation = pose_arrays(poses)
    first = same_as(position, rotation, goal) == np.arange(len(poses))
    return position[first], rotation[first]
