"""A batch of candidates from draw to checked samples; each ends as a row or with the reason it was rejected."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis import validation
from services.synthesis.collision import self_colliding
from services.synthesis.motions import Motions, make_motions, offsets
from services.synthesis.profiles import row_durations, sample_rows
from services.synthesis.request import TrajectoryRequest
from services.synthesis.robot_model import RobotModel
from services.synthesis.sampling import Candidates, draw_candidates
from services.synthesis.validation import Samples
from services.synthesis.waypoints import waypoint_configurations
from shared.manifest import Ranges

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


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
    q, solved = waypoint_configurations(robot, candidates, request.goal)
    _reject(reasons, np.flatnonzero(~solved), validation.UNREACHABLE)

    motions, made = make_motions(robot, candidates, q, np.flatnonzero(solved))
    motions = _drop(reasons, motions, {validation.TIMING: ~made})
    motions = _drop(reasons, motions, validation.check_profiles(motions, robot.planning_limits))

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


def _reject(reasons: list[str], candidates: IntArray, reason: str) -> None:
    for index in candidates:
        reasons[index] = reason


def _drop(reasons: list[str], motions: Motions, failed: dict[str, BoolArray]) -> Motions:
    """Rejects rows with a segment that failed, for the first reason of those given."""
    good = np.ones(len(motions.candidate), np.bool_)
    for reason, segments in failed.items():
        if segments.any():
            bad = np.add.reduceat(segments, motions.first[:-1]) > 0
            _reject(reasons, motions.candidate[good & bad], reason)
            good &= ~bad
    return motions.take(good)


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
        profiles.velocity,
        profiles.acceleration,
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
