"""A demonstration's chain: the fewest waypoints from which straight motions follow it within a tolerance.

The rule: a waypoint is where the demonstration begins and ends, where the tool stands still (stays near one pose for a
while, which becomes a dwell), and where the gripper's command changes. What lies between two of those is replaced by a
straight motion, its position linear and its rotation by slerp, traversed in proportion to the way demonstrated; where
that leaves the demonstration by more than the tolerance, the farthest step becomes a waypoint too, and so on (Ramer
1972, Douglas and Peucker 1973).
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.rotation import geodesic_angle, matrix_to_quat_xyzw, matrix_to_rotvec, rot6d_to_matrix, rotvec_to_matrix
from shared.summary import Chain
from trainer.data.action import GRIPPER, POSITION, ROTATION

FloatArray = NDArray[np.float64]

STILL_DISTANCE = 0.002
"""The tool stands still while it stays this near [m] to one pose,"""
STILL_ANGLE = np.deg2rad(1.0)
"""and turned from it by at most this [rad],"""
SHORTEST_DWELL = 0.15
"""for at least this long [s]. The first two are at most half the tolerance, so that a slow drift stays within it."""
METRES_PER_RADIAN = 0.1
"""What a turn counts for in the way that a motion goes."""


@dataclass(frozen=True)
class Tolerance:
    """How far a demonstrated pose may be from its chain.

    Attributes:
        position: [m].
        angle: [rad].
    """

    position: float = 0.010
    angle: float = float(np.deg2rad(5.0))


@dataclass(frozen=True, eq=False)
class _Path:
    """Commanded poses and gripper at each of T steps."""

    position: FloatArray
    rotation: FloatArray
    gripper: FloatArray

    def __len__(self) -> int:
        return len(self.gripper)


def segment(actions: NDArray[np.float32], rate_hz: float, tolerance: Tolerance) -> Chain:
    """The chain of a demonstration.

    Args:
        actions: `ee_pose`, shape (T, 10), T of at least 2.
        rate_hz: steps per second.
        tolerance: see `Tolerance`.
    """
    values = actions.astype(np.float64)
    position, rotation = values[:, POSITION].copy(), rot6d_to_matrix(values[:, ROTATION])
    path = _Path(position, rotation, np.where(values[:, GRIPPER] > 0, 1.0, -1.0))
    changes = (np.flatnonzero(np.diff(path.gripper)) + 1).tolist()
    rests = _rests(path, changes, max(1, round(SHORTEST_DWELL * rate_hz)), tolerance)
    for begin, end in rests:
        # In the middle of a rest the tool has settled, and not begun to leave.
        middle = (begin + end) // 2
        position[begin : end + 1], rotation[begin : end + 1] = position[middle], rotation[middle]
    # From when to when the tool is at each waypoint.
    stays: list[tuple[int, int]] = []
    for begin, end in rests:
        stays += [(step, step) for step in (_split(path, stays[-1][1], begin, tolerance) if stays else ())]
        # A rest in which the gripper changes is cut there.
        stays += itertools.pairwise([begin, *(step for step in changes if begin < step <= end), end])
    if len(stays) == 1:
        stays = [(0, 0), (0, len(path) - 1)]
    arrive, leave = np.array(stays).T
    return Chain(
        position=position[arrive],
        quat_xyzw=matrix_to_quat_xyzw(rotation[arrive]),
        duration=(arrive[1:] - leave[:-1]) / rate_hz,
        dwell=(leave - arrive) / rate_hz,
        gripper=path.gripper[arrive],
    )


def _rests(path: _Path, changes: list[int], shortest: int, tolerance: Tolerance) -> list[tuple[int, int]]:
    """First and last step of each stretch in which the tool stands still; of no length at other fixed waypoints."""
    distance, angle = min(STILL_DISTANCE, tolerance.position / 2), min(STILL_ANGLE, tolerance.angle / 2)

    def near(first: int, last: int) -> NDArray[np.bool_]:
        moved = np.linalg.norm(path.position[first:last] - path.position[first], axis=1)
        turned = geodesic_angle(path.rotation[first], path.rotation[first:last])
        return np.asarray((moved <= distance) & (turned <= angle))

    fixed, found, first = {0, len(path) - 1, *changes}, [], 0
    while first < len(path):
        last = first
        if first + shortest < len(path) and near(first, first + shortest + 1).all():
            leaves = np.flatnonzero(~near(first, len(path)))
            last = (first + int(leaves[0]) if leaves.size else len(path)) - 1
        if last > first or first in fixed:
            found.append((first, last))
        first = last + 1
    return found


def _split(path: _Path, first: int, last: int, tolerance: Tolerance) -> list[int]:
    """Waypoints between steps `first` and `last`."""
    off = _deviation(path, first, last, tolerance)
    worst = first + int(off.argmax())
    if off.max() <= 1:
        return []
    return [*_split(path, first, worst, tolerance), worst, *_split(path, worst, last, tolerance)]


def _deviation(path: _Path, first: int, last: int, tolerance: Tolerance) -> FloatArray:
    """How far each step from `first` to `last` is from the straight motion between them, in tolerances."""
    position, rotation = path.position[first : last + 1], path.rotation[first : last + 1]
    turns = geodesic_angle(rotation[:-1], rotation[1:])
    way = np.linalg.norm(np.diff(position, axis=0), axis=1) + METRES_PER_RADIAN * turns
    share = np.concatenate([[0.0], np.cumsum(way)])
    share = (share / share[-1] if share[-1] > 0 else share)[:, None]
    turn = matrix_to_rotvec(rotation[0].T @ rotation[-1])
    straight = rotation[0] @ rotvec_to_matrix(share * turn)
    far = np.linalg.norm(position - (position[0] + share * (position[-1] - position[0])), axis=1)
    return np.asarray(np.maximum(far / tolerance.position, geodesic_angle(straight, rotation) / tolerance.angle))
