"""What a candidate is drawn as: its family, speeds, dwells, gripper events and targets, from counter-based streams.

Attempt a of trajectory i reads the words of Philox(key=[seed, i], counter=[0, 0, 0, a]) at fixed places, so it does
not depend on what is made beside it. The words of a candidate with fewer waypoints are a prefix of the longer one's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.request import FAMILIES, TrajectoryRequest
from services.synthesis.robot_model import RobotModel
from services.synthesis.workspace import Box
from shared.philox import philox_uniform

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

VIA_POINTS_SEGMENTS = (2, 5)
"""Fewest and most poses that a via_points trajectory visits after its start."""
MAX_WAYPOINTS = VIA_POINTS_SEGMENTS[1] + 1

DWELL_PROBABILITY = 0.6
LONGEST_DWELL = 13 / 20
"""Longest dwell at a waypoint [s]: 13 steps at the 20 Hz of the demonstrations."""
FLIP_PROBABILITY = 0.5
HOME_SPREAD = 0.3
"""How far [rad] the posture that a box's first IK starts from is drawn around the arm's home."""

_HEADER_WORDS = 4
_EVENT_WORDS = 4


@dataclass(frozen=True, eq=False)
class Candidates:
    """n candidates, padded to MAX_WAYPOINTS waypoints; entries past a row's own are 0 or NaN.

    Attributes:
        ids: trajectory of each candidate, shape (n,).
        attempts: which attempt it is, from 0, shape (n,).
        family: index into FAMILIES, shape (n,).
        segments: number of motions, so waypoints less one, shape (n,).
        speed_scale: time dilation s, shape (n,).
        tool_speed: mean tool speed asked of each segment [m/s], shape (n, MAX_WAYPOINTS - 1), or None.
        dwell: rest after each segment [s], shape (n, MAX_WAYPOINTS - 1).
        gripper: command from each waypoint on, +1 or -1, shape (n, MAX_WAYPOINTS).
        q: drawn configurations (joint_space, reachable), shape (n, MAX_WAYPOINTS, dof), or None.
        position: drawn tool positions (box) [m], shape (n, MAX_WAYPOINTS, 3), or None.
        rotation: drawn tool rotations (box), shape (n, MAX_WAYPOINTS, 3, 3), or None.
        posture: configuration a box's first IK starts from, shape (n, dof), or None.
    """

    ids: IntArray
    attempts: IntArray
    family: IntArray
    segments: IntArray
    speed_scale: FloatArray
    tool_speed: FloatArray | None
    dwell: FloatArray
    gripper: FloatArray
    q: FloatArray | None
    position: FloatArray | None
    rotation: FloatArray | None
    posture: FloatArray | None


def draw_candidates(request: TrajectoryRequest, robot: RobotModel, ids: IntArray, attempts: IntArray) -> Candidates:
    """Draws one candidate for each (id, attempt)."""
    header = philox_uniform(request.seed, ids, attempts, _HEADER_WORDS)
    weights = np.array([request.families.get(name, 0.0) for name in FAMILIES])
    family = np.searchsorted(np.cumsum(weights) / weights.sum(), header[:, 0], side="right")
    fewest, most = VIA_POINTS_SEGMENTS
    via = family == FAMILIES.index("via_points")
    segments = np.where(via, fewest + np.floor(header[:, 3] * (most - fewest + 1)), 1).astype(np.int64)

    box = request.workspace if isinstance(request.workspace, Box) else None
    width = max(robot.dof, 6) + _EVENT_WORDS
    first = _HEADER_WORDS + (robot.dof if box else 0)
    words = np.zeros((len(ids), first + width * MAX_WAYPOINTS))
    for n in np.unique(segments):
        rows = np.flatnonzero(segments == n)
        used = first + width * (n + 1)
        words[rows, :used] = philox_uniform(request.seed, ids[rows], attempts[rows], int(used))
    waypoint = words[:, first:].reshape(len(ids), MAX_WAYPOINTS, width)
    target, events = waypoint[..., : width - _EVENT_WORDS], waypoint[:, 1:, width - _EVENT_WORDS :]

    position, rotation = _box_poses(box, target) if box else (None, None)
    return Candidates(
        ids=ids,
        attempts=attempts,
        family=family,
        segments=segments,
        speed_scale=_between(request.speed_scale, header[:, 1]),
        tool_speed=None if request.tool_speed is None else _between(request.tool_speed, events[..., 0]),
        dwell=np.where(events[..., 1] < DWELL_PROBABILITY, LONGEST_DWELL * events[..., 2], 0.0),
        gripper=_gripper(header[:, 2], events[..., 3]),
        q=None if box else _configurations(robot, target[..., : robot.dof]),
        position=position,
        rotation=rotation,
        posture=_postures(robot, words[:, _HEADER_WORDS:first]) if box else None,
    )


def _between(interval: tuple[float, float], u: FloatArray) -> FloatArray:
    return interval[0] + (interval[1] - interval[0]) * u


def _gripper(start: FloatArray, flip: FloatArray) -> FloatArray:
    """Gripper command from each waypoint on: a drawn start, and a flip at each later waypoint with a probability."""
    first = np.where(start < 0.5, -1.0, 1.0)[:, None]
    return np.concatenate([first, first * np.cumprod(np.where(flip < FLIP_PROBABILITY, -1.0, 1.0), axis=1)], axis=1)


def _configurations(robot: RobotModel, u: FloatArray) -> FloatArray:
    """Configurations uniform inside the planning limits."""
    limits = robot.planning_limits
    return limits.lower + u * (limits.upper - limits.lower)


def _postures(robot: RobotModel, u: FloatArray) -> FloatArray:
    """Configurations around home, inside the planning limits."""
    limits = robot.planning_limits
    return np.clip(robot.home + HOME_SPREAD * (2 * u - 1), limits.lower, limits.upper)


def _box_poses(box: Box, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions uniform in the box; tool axes uniform on the cone's spherical cap; any turn about the tool axis."""
    low, high = np.array(box.min), np.array(box.max)
    position = low + u[..., :3] * (high - low)
    cone = box.orientation
    cosine = 1 - u[..., 3] * (1 - np.cos(np.deg2rad(cone.angle_deg)))
    tilt = np.arccos(np.clip(cosine, -1, 1))
    around, turn = 2 * np.pi * u[..., 4], 2 * np.pi * u[..., 5]
    rotation = _z_to(np.array(cone.axis)) @ _about_z(around) @ _about_y(tilt) @ _about_z(turn)
    return position, rotation


def _about_z(angle: FloatArray) -> FloatArray:
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([c, -s, zero, s, c, zero, zero, zero, one], axis=-1).reshape(*angle.shape, 3, 3)


def _about_y(angle: FloatArray) -> FloatArray:
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([c, zero, s, zero, one, zero, -s, zero, c], axis=-1).reshape(*angle.shape, 3, 3)


def _z_to(axis: FloatArray) -> FloatArray:
    """A rotation whose third column is the axis."""
    z = axis / np.linalg.norm(axis)
    x = np.cross(np.eye(3)[np.abs(z).argmin()], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
