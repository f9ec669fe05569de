"""Motions: candidates as chains of profiles with a dwell after each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.draw.sampling import Candidates
from services.synthesis.motion.timing import Profiles, parameterizer, slowdown
from services.synthesis.motion.vias import via_velocities
from services.synthesis.motion.waypoints import PlacedLines, Waypoints
from services.synthesis.numerics.offsets import offsets, within_runs
from services.synthesis.numerics.rotations import lengths
from services.synthesis.request.families import DRAWN, SAME, SOLVED

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
        waypoint: of the candidate at which each segment ends, or to which its line leads, shape (S,).
    """

    candidate: IntArray
    first: IntArray
    profiles: Profiles
    dwell: FloatArray
    command: FloatArray
    waypoint: IntArray

    def take(self, rows: BoolArray) -> "Motions":
        """The rows marked, in order."""
        if rows.all():
            return self
        counts = np.diff(self.first)
        segments = np.flatnonzero(np.repeat(rows, counts))
        first = offsets(counts[rows])
        return Motions(
            self.candidate[rows],
            first,
            self.profiles.take(segments),
            self.dwell[segments],
            self.command[segments],
            self.waypoint[segments],
        )

    @classmethod
    def join(cls, parts: Sequence["Motions"]) -> "Motions":
        """Several of them, one after the other."""
        if len(parts) == 1:
            return parts[0]
        counts = np.concatenate([np.diff(part.first) for part in parts])
        profiles = Profiles.join([part.profiles for part in parts])
        names = ("dwell", "command", "waypoint")
        dwell, command, waypoint = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
        candidate = np.concatenate([part.candidate for part in parts])
        return cls(candidate, offsets(counts), profiles, dwell, command, waypoint)


def make_motions(
    robot: RobotModel, candidates: Candidates, waypoints: Waypoints, chosen: IntArray
) -> tuple[Motions, BoolArray]:
    """Profiles through the waypoints of the chosen candidates, all of them found, and which segments have one."""
    counts = candidates.segments[chosen]
    first = offsets(counts)
    row, segment = np.repeat(chosen, counts), within_runs(first)
    events = candidates.events
    profiles, made = _joint_profiles(robot, candidates, waypoints.q, row, segment)
    time = events.time[row, segment]
    slower = slowdown(profiles.duration, time)
    if (slower > 1).any():
        profiles = profiles.slowed(slower)
    # A segment that goes nowhere just lasts.
    still = candidates.arrival[row, segment + 1] == SAME
    profiles.duration[still] = time[still]
    profiles.time[still, :, 0] = time[still, None]
    command = np.stack([events.gripper[row, segment], events.gripper[row, segment + 1]], axis=1)
    motions = Motions(chosen, first, profiles, events.dwell[row, segment], command, segment + 1)
    lines = waypoints.lines(chosen)
    return _with_lines(motions, made, lines) if lines else (motions, made)


def _joint_profiles(
    robot: RobotModel, candidates: Candidates, q: FloatArray, row: IntArray, segment: IntArray
) -> tuple[Profiles, BoolArray]:
    """Profiles of the given segments, and which could be made. Those that aren't motions in joint space rest."""
    arrival = candidates.arrival[row, segment + 1]
    moving = np.flatnonzero((arrival == SOLVED) | (arrival == DRAWN))
    profiles, made = _moving_profiles(robot, candidates, q, row[moving], segment[moving])
    if len(moving) == len(row):
        return profiles, made
    everything, all_made = Profiles.resting(q[row, segment]), np.ones(len(row), np.bool_)
    everything.put(moving, profiles)
    all_made[moving] = made
    return everything, all_made


def _moving_profiles(
    robot: RobotModel, candidates: Candidates, q: FloatArray, row: IntArray, segment: IntArray
) -> tuple[Profiles, BoolArray]:
    """Profiles of motions in joint space, and which could be made."""
    start, target, events = q[row, segment], q[row, segment + 1], candidates.events
    speed_scale, shortest = candidates.speed_scale[row], np.zeros(len(row))
    if events.tool_speed is not None:
        distance = lengths(robot.tool_poses(target)[0] - robot.tool_poses(start)[0])
        shortest = distance / events.tool_speed[row, segment]
    profiles, made = parameterizer(robot).connect(start, target, shortest, speed_scale)
    kept = events.kept[row, segment]
    if kept.any():
        _carry_velocity(robot, profiles, made, target, kept, shortest, speed_scale)
    return profiles, made


def _with_lines(motions: Motions, made: BoolArray, placed: list[PlacedLines]) -> tuple[Motions, BoolArray]:
    """Replaces segments by the lines that they are, which have several segments each."""
    counts = np.ones(len(made), np.int64)
    here = np.full(int(motions.candidate.max(initial=0)) + 1, -1)
    here[motions.candidate] = np.arange(len(motions.candidate))
    found = []
    for row, waypoint, lines in placed:
        segment = motions.first[here[row]] + waypoint - 1
        counts[segment] = np.diff(lines.first)
        found.append((lines, segment))
    begins, of = offsets(counts), np.repeat(np.arange(len(counts)), counts)
    profiles = motions.profiles.take(of)
    for lines, segment in found:
        profiles.put(np.repeat(begins[segment], counts[segment]) + within_runs(lines.first), lines.profiles)
    last = np.zeros(len(of), np.bool_)
    last[begins[1:] - 1] = True
    command = motions.command[of]
    command[~last, 1] = command[~last, 0]
    dwell = np.where(last, motions.dwell[of], 0.0)
    waypoint = motions.waypoint[of]
    return Motions(motions.candidate, begins[motions.first], profiles, dwell, command, waypoint), made[of]


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
    profiles.put(segments, carried)
