"""A batch of candidates from draw to checked samples; each ends as a row or with the reason it was rejected."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis import validation
from services.synthesis.collision import self_colliding
from services.synthesis.profiles import row_durations, sample_rows
from services.synthesis.request import TrajectoryRequest
from services.synthesis.robot_model import RobotModel
from services.synthesis.sampling import Candidates, draw_candidates
from services.synthesis.timing import Profiles, parameterizer
from services.synthesis.validation import Samples
from services.synthesis.waypoints import waypoint_configurations
from shared.manifest import Ranges

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


@dataclass(frozen=True, eq=False)
class Batch:
    """What became of a batch.

    Attributes:
        candidates: as drawn.
        reasons: why each candidate was rejected, "" where it was accepted.
        motions: of the rows that were sampled.
        duration: of those rows [s].
        samples: of those rows.
        accepted: which of those rows were accepted.
    """

    candidates: Candidates
    reasons: list[str]
    motions: Motions
    duration: FloatArray
    samples: Samples
    accepted: BoolArray


def make_batch(
    request: TrajectoryRequest, robot: RobotModel, ranges: Ranges, ids: IntArray, attempts: IntArray
) -> Batch:
    """Makes one candidate for each (id, attempt)."""
    candidates = draw_candidates(request, robot, ids, attempts)
    reasons = [""] * len(ids)
    q, solved = waypoint_configurations(request, robot, candidates)
    _reject(reasons, np.flatnonzero(~solved), validation.UNREACHABLE)

    motions, made = _motions(robot, candidates, q, np.flatnonzero(solved))
    motions = _keep(reasons, motions, made, validation.TIMING)
    within = validation.profiles_within_limits(motions.profiles, robot.planning_limits)
    motions = _keep(reasons, motions, within, validation.LIMITS)

    duration, samples = _sample(request, robot, motions)
    low, high = (np.array(ranges["position"][side]) for side in ("min", "max"))
    accepted = np.ones(len(duration), np.bool_)
    for reason, failed in validation.check_samples(samples, robot.spec.limits, request.rate_hz, low, high).items():
        _reject(reasons, motions.candidate[accepted & failed], reason)
        accepted &= ~failed
    if request.self_collision:
        colliding = self_colliding(robot, samples, accepted, request.rate_hz)
        _reject(reasons, motions.candidate[colliding], validation.SELF_COLLISION)
        accepted &= ~colliding
    return Batch(candidates, reasons, motions, duration, samples, accepted)


def offsets(counts: IntArray) -> IntArray:
    """Where runs of these lengths begin, and where the last ends, shape (n + 1,)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _reject(reasons: list[str], candidates: IntArray, reason: str) -> None:
    for index in candidates:
        reasons[index] = reason


def _keep(reasons: list[str], motions: Motions, good_segments: BoolArray, reason: str) -> Motions:
    """Rejects rows with a bad segment."""
    bad = np.add.reduceat(~good_segments, motions.first[:-1]) > 0 if len(motions.candidate) else good_segments
    _reject(reasons, motions.candidate[bad], reason)
    return motions.take(~bad)


def _motions(robot: RobotModel, candidates: Candidates, q: FloatArray, chosen: IntArray) -> tuple[Motions, BoolArray]:
    """Profiles between the waypoints of the chosen candidates, and which segments Ruckig could make."""
    counts = candidates.segments[chosen]
    first = offsets(counts)
    row = np.repeat(chosen, counts)
    waypoint = np.arange(first[-1]) - np.repeat(first[:-1], counts)
    start, target = q[row, waypoint], q[row, waypoint + 1]
    shortest = np.zeros(len(row))
    if candidates.tool_speed is not None:
        distance = np.linalg.norm(robot.tool_poses(target)[0] - robot.tool_poses(start)[0], axis=1)
        shortest = distance / candidates.tool_speed[row, waypoint]
    profiles, made = parameterizer(robot).rest_to_rest(start, target, shortest, candidates.speed_scale[row])
    command = np.stack([candidates.gripper[row, waypoint], candidates.gripper[row, waypoint + 1]], axis=1)
    return Motions(chosen, first, profiles, candidates.dwell[row, waypoint], command), made


def _sample(request: TrajectoryRequest, robot: RobotModel, motions: Motions) -> tuple[FloatArray, Samples]:
    """Samples each row; poses are those of the float32 configurations that are written."""
    profiles = motions.profiles
    duration = row_durations(motions.first, profiles.duration, motions.dwell)
    first = offsets(np.ceil(duration * request.rate_hz).astype(np.int64) + 1)
    total, dof = int(first[-1]), robot.dof
    q, qd = np.empty((total, dof), np.float32), np.empty((total, dof), np.float32)
    qdd = np.empty((total if "joint_acceleration" in request.columns else 0, dof), np.float32)
    gripper = np.empty(total, np.float32)
    sample_rows(
        motions.first,
        first,
        request.rate_hz,
        profiles.start,
        profiles.time,
        profiles.jerk,
        profiles.duration,
        motions.dwell,
        motions.command,
        q,
        qd,
        qdd,
        gripper,
    )
    position, rotation_6d = np.empty((total, 3), np.float32), np.empty((total, 6), np.float32)
    robot.tool_samples(q, position, rotation_6d)
    return duration, Samples(first, q, qd, qdd, position, rotation_6d, gripper)
