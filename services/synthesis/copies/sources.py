"""Demonstrations made ready to be copied: all their steps one after another, as arrays for compiled code."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.copies.smoothing import ANGLE_TOLERANCE, POSITION_TOLERANCE, smoothed
from services.synthesis.numerics.offsets import offsets
from shared.demonstrated_motions import DemonstratedMotion, DemonstratedMotions, Poses
from shared.rotation import matrix_to_quat_xyzw

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

METRES_PER_RADIAN = 0.15
"""What a turn of the tool counts for in the length of its path."""


class Sources(NamedTuple):
    """M motions of N steps in all, with O objects. A segment's or a hold's steps count from their motion's first.

    Attributes:
        first: first step of each motion, and N, shape (M + 1,).
        position: commanded, smoothed, shape (N, 3) [m].
        quat: likewise, unit quaternions xyzw of which neighbours have like signs, shape (N, 4).
        path: length of the commanded path since the motion's first step, turns counted too, shape (N,) [m].
        gripper: commanded, shape (N,).
        object_position: observed, shape (N, O, 3) [m].
        object_quat: likewise, shape (N, O, 4).
        first_segment: first segment of each motion, and their number S, shape (M + 1,).
        segment_end: first step after each segment, shape (S,).
        relative_to: object, FREE or FIXED, shape (S,).
        turns_with_hand: whether a segment turns with the hand rather than with its object, shape (S,).
        first_held: first hold of each motion, and their number H, shape (M + 1,).
        held: object, first step and end of each hold, shape (H, 3).
    """

    first: IntArray
    position: FloatArray
    quat: FloatArray
    path: FloatArray
    gripper: FloatArray
    object_position: FloatArray
    object_quat: FloatArray
    first_segment: IntArray
    segment_end: IntArray
    relative_to: IntArray
    turns_with_hand: NDArray[np.bool_]
    first_held: IntArray
    held: IntArray

    @property
    def steps(self) -> IntArray:
        """The number of steps of each motion, shape (M,)."""
        return np.diff(self.first)


@functools.lru_cache(maxsize=4)
def sources(motions: DemonstratedMotions) -> Sources:
    """The motions of a file; the last ones are kept."""
    commanded = [_smoothed(motion.commanded) for motion in motions.motions]
    segments = [segment for motion in motions.motions for segment in motion.segments]
    held = [(one.index, one.first, one.end) for motion in motions.motions for one in motion.held]
    return Sources(
        first=_counted(motions, lambda motion: motion.steps),
        position=np.concatenate([position for position, _ in commanded]),
        quat=np.concatenate([quat for _, quat in commanded]),
        path=np.concatenate([_path(*poses) for poses in commanded]),
        gripper=np.concatenate([motion.gripper for motion in motions.motions]),
        object_position=np.concatenate([_stacked(motion, 3) for motion in motions.motions]),
        object_quat=np.concatenate([_stacked(motion, 4) for motion in motions.motions]),
        first_segment=_counted(motions, lambda motion: len(motion.segments)),
        segment_end=np.array([segment.end for segment in segments]),
        relative_to=np.array([segment.relative_to for segment in segments]),
        turns_with_hand=np.array([segment.turns_with == "hand" for segment in segments]),
        first_held=_counted(motions, lambda motion: len(motion.held)),
        held=np.array(held, np.int64).reshape(-1, 3),
    )


def _counted(motions: DemonstratedMotions, count: Callable[[DemonstratedMotion], int]) -> IntArray:
    return offsets(np.array([count(motion) for motion in motions.motions], np.int64))


def _smoothed(poses: Poses) -> tuple[FloatArray, FloatArray]:
    """Positions (T, 3) and unit quaternions (T, 4)."""
    # Half the angle is the distance between unit quaternions, where it is small.
    quat = smoothed(_continuous(matrix_to_quat_xyzw(poses.rotation)), ANGLE_TOLERANCE / 2)
    return smoothed(poses.position, POSITION_TOLERANCE), quat / np.sqrt((quat * quat).sum(1, keepdims=True))


def _continuous(quat: FloatArray) -> FloatArray:
    """Quaternions (T, 4) whose neighbours have like signs."""
    flips = (quat[1:] * quat[:-1]).sum(1) < 0
    signs = np.where(np.concatenate([[False], np.cumsum(flips) % 2 == 1]), -1.0, 1.0)
    return quat * signs[:, None]


def _path(position: FloatArray, quat: FloatArray) -> FloatArray:
    shift = np.sqrt((np.diff(position, axis=0) ** 2).sum(1))
    # |q1 - q0| is half the angle, where it is small.
    turn = 2 * np.sqrt((np.diff(quat, axis=0) ** 2).sum(1))
    return np.concatenate([[0.0], np.cumsum(shift + METRES_PER_RADIAN * turn)])


def _stacked(motion: DemonstratedMotion, width: int) -> FloatArray:
    """Positions or quaternions of all objects of a motion, (T, O, width)."""
    if not motion.objects:
        return np.empty((motion.steps, 0, width))
    parts = [
        poses.position if width == 3 else _continuous(matrix_to_quat_xyzw(poses.rotation)) for poses in motion.objects
    ]
    return np.stack(parts, axis=1)
