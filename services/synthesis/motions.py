"""Motions: candidates as chains of profiles with a dwell after each."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.families import SAME
from services.synthesis.robot_model import RobotModel
from services.synthesis.sampling import Candidates
from services.synthesis.timing import Profiles, parameterizer
from services.synthesis.vias import via_velocities

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Motions:
    """Candidates as chains of segments, each followed by a dwell.

    Attributes:
        candidate: index of each row's candidate, shape (n,).
        first: first segment of each row, and the number of segments S, shape (n + 1,).
        profiles: of the segments.
        dwell: rest after each segment [s], shape (S,).
        command: gripper command during each segment and from its end on, shape (S, 2).
    """

    candidate: IntArray
    first: IntArray
    profiles: Profiles
    dwell: FloatArray
    command: FloatArray

    def take(self, rows: BoolArray) -> "Motions":
        """The rows marked, in order."""
        if rows.all():
            return self
        counts = np.diff(self.first)
        segments = np.flatnonzero(np.repeat(rows, counts))
        first = offsets(counts[rows])
        return Motions(
            self.candidate[rows], first, self.profiles.take(segments), self.dwell[segments], self.command[segments]
        )


def offsets(counts: IntArray) -> IntArray:
    """Where runs of these lengths begin, and where the last ends, shape (n + 1,)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def make_motions(
    robot: RobotModel, candidates: Candidates, q: FloatArray, chosen: IntArray
) -> tuple[Motions, BoolArray]:
    """Profiles through the waypoints of the chosen candidates, and which segments have one.

    Args:
        robot: the arm.
        candidates: as drawn.
        q: configurations of their waypoints, shape (n, W, dof).
        chosen: indices of candidates, shape (m,).
    """
    counts = candidates.segments[chosen]
    first = offsets(counts)
    row = np.repeat(chosen, counts)
    waypoint = np.arange(first[-1]) - np.repeat(first[:-1], counts)
    events = candidates.events
    dwell = events.dwell[row, waypoint]
    still = candidates.arrival[row, waypoint + 1] == SAME
    start, target = q[row, waypoint], q[row, waypoint + 1]
    shortest = np.zeros(len(row))
    if events.tool_speed is not None:
        distance = np.linalg.norm(robot.tool_poses(target)[0] - robot.tool_poses(start)[0], axis=1)
        shortest = distance / events.tool_speed[row, waypoint]
    speed_scale = candidates.speed_scale[row]
    profiles, made = parameterizer(robot).connect(start, target, shortest, speed_scale)
    kept = events.kept[row, waypoint]
    if kept.any():
        _carry_velocity(robot, profiles, made, target, kept, shortest, speed_scale)
    # A segment that goes nowhere lasts as long as its dwell was drawn to.
    profiles.duration[still] = dwell[still]
    profiles.time[still, :, 0] = dwell[still, None]
    command = np.stack([events.gripper[row, waypoint], events.gripper[row, waypoint + 1]], axis=1)
    return Motions(chosen, first, profiles, np.where(still, 0.0, dwell), command), made


def _carry_velocity(
    robot: RobotModel,
    profiles: Profiles,
    made: BoolArray,
    target: FloatArray,
    kept: FloatArray,
    shortest: FloatArray,
    speed_scale: FloatArray,
) -> None:
    """Replaces profiles from rest to rest on either side of a waypoint that the arm passes without stopping.

    Args:
        robot: the arm.
        profiles: of all segments in the order of their rows; replaced in place, like `made`.
        made: which segments have a profile, shape (S,).
        target: of each, shape (S, dof) [rad].
        kept: share of its speed kept at the end of each, shape (S,).
        shortest: least duration of each [s], shape (S,).
        speed_scale: of each, shape (S,).
    """
    full_speed_duration = profiles.duration * speed_scale
    leaving = via_velocities(profiles.start, target, full_speed_duration, kept, robot.planning_limits)
    entering = np.zeros_like(leaving)
    entering[1:] = leaving[:-1]
    segments = np.flatnonzero((leaving != 0).any(1) | (entering != 0).any(1))
    carried, made[segments] = parameterizer(robot).connect(
        profiles.start[segments],
        target[segments],
        shortest[segments],
        speed_scale[segments],
        (entering[segments], leaving[segments]),
    )
    for field in dataclasses.fields(Profiles):
        getattr(profiles, field.name)[segments] = getattr(carried, field.name)
