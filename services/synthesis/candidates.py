"""A batch of candidates from draw to checked samples; each ends as a row or with the reason it was rejected."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.checks import validation
from services.synthesis.checks.validation import Samples
from services.synthesis.collision.collisions import collisions, collisions_within
from services.synthesis.collision.gaps import CLEAR
from services.synthesis.collision.separations import Separations, separations, separations_of_held
from services.synthesis.copies.copying import Copies, CopySamples, followed, make_copies, sample_copies
from services.synthesis.copies.held import carried_boxes
from services.synthesis.draw.sampling import Candidates, draw_candidates
from services.synthesis.ends import NO_REDRAWS, Ends, Redrawn
from services.synthesis.motion.motions import Motions
from services.synthesis.motion.profiles import row_durations, sample_rows
from services.synthesis.numerics.offsets import offsets
from services.synthesis.request.families import FAMILIES
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Objects
from services.synthesis.solve import line_knots
from shared.manifest import Ranges

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Texts = NDArray[np.object_]

_COPY_REASONS = {
    line_knots.UNREACHABLE: validation.COPY_UNREACHABLE,
    line_knots.AT_LIMIT: validation.COPY_JOINT_LIMIT,
    line_knots.SINGULAR: validation.COPY_TOO_FAST,
}


class DrawnCopies(NamedTuple):
    """Candidates that are copies of demonstrations: trajectory, attempt and family of each, shape (n,)."""

    ids: IntArray
    attempts: IntArray
    family: IntArray


@dataclass(frozen=True, eq=False)
class Batch:
    """What became of a batch.

    Attributes:
        candidates: as drawn.
        reasons: why each candidate was rejected, "" where it was accepted, shape (n,).
        redrawn: ends of candidates, rejected or not, that were drawn anew.
        motions: of the rows that were sampled.
        duration: of those rows [s].
        samples: of those rows.
        accepted: which of those rows were accepted.
        copied: what is written of those rows beside it where they are copies of demonstrations, else None.
    """

    candidates: Candidates | DrawnCopies
    reasons: Texts
    redrawn: Redrawn
    motions: Motions
    duration: FloatArray
    samples: Samples
    accepted: BoolArray
    copied: CopySamples | None = None


def make_batch(
    request: TrajectoryRequest,
    robot: RobotModel,
    ranges: Ranges,
    ids: IntArray,
    attempts: IntArray,
    on_draws: Callable[[IntArray, IntArray, Texts], None] = lambda family, waypoint, reasons: None,
) -> Batch:
    """Makes one candidate for each (id, attempt); for `on_draws` see Ends."""
    if isinstance(request.workspace, Objects):
        return _make_copies(request, request.workspace, robot, ranges, ids, attempts)
    candidates = draw_candidates(request, robot, ids, attempts)
    search = Ends(request, robot, _apart(request, robot), candidates, on_draws)
    motions, reasons = search.motions(), search.reasons
    motions = _drop(reasons, motions, validation.check_profiles(motions, robot.planning_limits))
    duration, samples = _sample(request, robot, motions)
    accepted = _check(request, robot, ranges, reasons, motions, samples)
    return Batch(candidates, np.array(reasons, object), search.redrawn(), motions, duration, samples, accepted)


def _make_copies(
    request: TrajectoryRequest,
    workspace: Objects,
    robot: RobotModel,
    ranges: Ranges,
    ids: IntArray,
    attempts: IntArray,
) -> Batch:
    """Makes one copy of a demonstration for each (id, attempt)."""
    reasons = [""] * len(ids)
    copies = make_copies(workspace, robot, request.goal, request.seed, ids, attempts)
    _reject(reasons, np.flatnonzero(~copies.layouts.apart), validation.OBJECTS_TOO_NEAR)
    for verdict, reason in _COPY_REASONS.items():
        _reject(reasons, np.flatnonzero(copies.layouts.apart & (copies.verdict == verdict)), reason)
    motions = copies.motions(np.flatnonzero(followed(copies)))
    motions = _drop(reasons, motions, validation.check_profiles(motions, robot.planning_limits))
    duration, samples = _sample(request, robot, motions)
    copied = sample_copies(
        workspace, copies, motions.candidate, samples.first, request.rate_hz, samples.position, samples.rotation_6d
    )
    samples = replace(samples, gripper=copied.gripper)
    accepted = _check(request, robot, ranges, reasons, motions, samples)
    apart = _apart(request, robot)
    if apart is not None:
        accepted &= _clear(reasons, robot, apart, motions, np.flatnonzero(accepted))
        accepted &= _hand_is_clear(request, workspace, robot, reasons, copies, motions, np.flatnonzero(accepted))
    family = np.full(len(ids), FAMILIES.index("demonstrated"))
    drawn = DrawnCopies(ids, attempts, family)
    return Batch(drawn, np.array(reasons, object), NO_REDRAWS, motions, duration, samples, accepted, copied)


def first_accepted(batch: Batch) -> tuple[Batch, BoolArray]:
    """A batch of several candidates of a trajectory, those of each together and in order, as one at a time are made.

    Returns the batch with at most one accepted of each trajectory, and which candidates count, shape (n,): those that
    come after the accepted one don't.
    """
    ids, accepted = batch.candidates.ids, batch.reasons == ""
    before = np.cumsum(accepted) - accepted
    begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    of_others = np.repeat(before[begins], np.diff(np.append(begins, len(ids))))
    counted = before == of_others
    return replace(batch, accepted=batch.accepted & counted[batch.motions.candidate]), counted


def _apart(request: TrajectoryRequest, robot: RobotModel) -> Separations | None:
    """What has to stay apart, if anything."""
    kept_apart = request.self_collision or bool(request.keep_out)
    return separations(robot, request.self_collision, request.keep_out) if kept_apart else None


def _check(
    request: TrajectoryRequest,
    robot: RobotModel,
    ranges: Ranges,
    reasons: list[str],
    motions: Motions,
    samples: Samples,
) -> BoolArray:
    """Checks rows as they are written; which of them are accepted. Fills in the reasons of the others."""
    low, high = (np.array(ranges["position"][side]) for side in ("min", "max"))
    accepted = np.ones(len(motions.candidate), np.bool_)
    for reason, failed in validation.check_samples(samples, robot.spec.limits, request.rate_hz, low, high).items():
        _reject(reasons, motions.candidate[accepted & failed], reason)
        accepted &= ~failed
    return accepted


def _reject(reasons: list[str], candidates: IntArray, reason: str) -> None:
    for index in candidates:
        reasons[index] = reason


def _clear(reasons: list[str], robot: RobotModel, apart: Separations, motions: Motions, rows: IntArray) -> BoolArray:
    """Rejects some rows if a pair of `apart` meets in them; which of all rows are not."""
    met = collisions(robot, apart, motions.profiles, motions.first, rows)
    for row in np.flatnonzero(met != CLEAR):
        reasons[motions.candidate[row]] = (
            validation.SELF_COLLISION if apart.second[met[row]] >= 0 else validation.KEEP_OUT
        )
    return np.asarray(met == CLEAR)


def _hand_is_clear(
    request: TrajectoryRequest,
    workspace: Objects,
    robot: RobotModel,
    reasons: list[str],
    copies: Copies,
    motions: Motions,
    rows: IntArray,
) -> BoolArray:
    """Rejects some rows if what the hand holds in them meets something; which of all rows are not."""
    clear = np.ones(len(motions.candidate), np.bool_)
    for box in carried_boxes(workspace, robot, copies, motions.candidate[rows]):
        apart = separations_of_held(robot, box.corners, request.self_collision, request.keep_out)
        chosen = rows[box.rows]
        met = collisions_within(robot, apart, motions.profiles, motions.first, chosen, box.times)
        clear[chosen[met != CLEAR]] = False
    _reject(reasons, motions.candidate[~clear], validation.HELD_COLLISION)
    return clear


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
