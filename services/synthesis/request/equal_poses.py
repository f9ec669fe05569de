"""Which listed poses are one: compared as transforms, as far as a goal asks for them.

A quaternion and its negative are one rotation, and so is a matrix that was rounded elsewhere. Between two poses that
are one nothing moves.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.synthesis.numerics.rotations import angle_between, lengths
from services.synthesis.request.goals import Goal
from shared.rotation import quat_xyzw_to_matrix, rot6d_to_matrix

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

EQUAL_POSITION = 1e-4
"""Positions nearer than this [m] are one."""
EQUAL_ANGLE = 1e-3
"""Rotations, or directions of the tool's z axis, nearer than this [rad] are one."""


class ListedPose(Protocol):
    """A pose of a request: a position [m] and a rotation in one of two forms."""

    @property
    def position(self) -> tuple[float, float, float]:
        """Position of the tool centre point."""
        ...

    @property
    def quat_xyzw(self) -> tuple[float, ...] | None:
        """Unit quaternion."""
        ...

    @property
    def rotation_6d(self) -> tuple[float, ...] | None:
        """First two rows of the rotation matrix."""
        ...


def pose_arrays(poses: Sequence[ListedPose]) -> tuple[FloatArray, FloatArray]:
    """Positions (n, 3) [m] and rotations (n, 3, 3), exactly orthonormal."""
    position = np.array([pose.position for pose in poses])
    return position, np.array([_matrix(pose.quat_xyzw, pose.rotation_6d) for pose in poses])


def same_as(position: FloatArray, rotation: FloatArray, goal: Goal) -> IntArray:
    """The first pose that each of n poses is the same as, its own index where it is the first, shape (n,).

    Args:
        position: (n, 3) [m].
        rotation: (n, 3, 3).
        goal: how much of a pose is asked for.
    """
    same, first = np.arange(len(position)), np.ones(len(position), np.bool_)
    for index in range(1, len(position)):
        before = np.flatnonzero(first[:index])
        equal = lengths(position[before] - position[index]) < EQUAL_POSITION
        if goal == "pose":
            equal &= angle_between(rotation[before], rotation[index]) < EQUAL_ANGLE
        elif goal == "position_axis":
            # The chord of a small angle is the angle.
            equal &= lengths(rotation[before, :, 2] - rotation[index, :, 2]) < EQUAL_ANGLE
        if equal.any():
            same[index], first[index] = before[equal.argmax()], False
    return same


def leaves_still(position: float, angle: float, goal: Goal) -> bool:
    """Whether a jitter of so many metres and radians leaves two draws around a pose equal, as far as a goal asks."""
    return position < EQUAL_POSITION and (goal == "position" or angle < EQUAL_ANGLE)


def _matrix(quat_xyzw: tuple[float, ...] | None, rotation_6d: tuple[float, ...] | None) -> FloatArray:
    if quat_xyzw is not None:
        return quat_xyzw_to_matrix(np.array(quat_xyzw))
    return rot6d_to_matrix(np.array(rotation_6d))
