"""What every row is checked for before it is written, and the reasons for which candidates are rejected."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled
from services.synthesis.motion.motions import Motions
from services.synthesis.motion.profiles import GAP, WITHIN, first_violation
from shared.robots import JointLimits

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

UNREACHABLE = "unreachable"
"""IK did not converge on one of the poses."""
LINE_UNREACHABLE = "line_unreachable"
"""IK did not converge somewhere along a straight line of the tool."""
LINE_JOINT_LIMIT = "line_joint_limit"
"""A joint meets its limit along a straight line of the tool."""
LINE_SINGULAR = "line_singular"
"""A straight line of the tool passes so near a singularity that a joint would have to jump or to be far too fast."""
LINE_DEVIATION = "line_deviation"
"""Between two configurations on a straight line the tool leaves it by more than LINE_TOLERANCE."""
POSTURE_CHANGE = "posture_change"
"""Between two demonstrated poses the arm would have to turn over, which nobody demonstrated."""
TIMING = "timing"
"""Ruckig made no profile for one of the segments."""
LIMITS = "joint_limits"
"""A profile piece, or a sample as written, breaks a joint limit."""
DISCONTINUOUS = "discontinuous"
"""Two segments don't meet, or two samples are farther apart than the velocity limit allows."""
OUTSIDE_RANGE = "outside_range"
"""A sample leaves the dataset's action_range."""
SELF_COLLISION = "self_collision"
"""Two links of the arm come together."""
KEEP_OUT = "keep_out"
"""A link that moves, or the tool centre point, enters a keep-out."""
HELD_COLLISION = "held_collision"
"""What the hand holds meets a link of the arm, or enters a keep-out."""
OBJECTS_TOO_NEAR = "objects_too_near"
"""No arrangement of the objects was found in which they keep their distance."""
COPY_UNREACHABLE = "copy_unreachable"
"""IK did not converge somewhere along a copied demonstration."""
COPY_JOINT_LIMIT = "copy_joint_limit"
"""A joint meets its limit along a copied demonstration."""
COPY_TOO_FAST = "copy_too_fast"
"""A copied demonstration passes near a singularity, or asks more of the joints than a bearable slowdown gives."""

ADVICE = {
    UNREACHABLE: "the arm can't reach these poses; move or shrink the workspace, widen its orientation cone, or ask "
    "for goal 'position_axis' or 'position'",
    LINE_UNREACHABLE: "the arm can't follow straight lines here; move or shrink the workspace, narrow its cone, or ask "
    "for goal 'position_axis' or 'position'",
    LINE_JOINT_LIMIT: "joints meet their limits on straight lines; shrink the workspace, or narrow its cone",
    LINE_SINGULAR: "straight lines pass near singularities; move the workspace away from the arm's base and its reach",
    LINE_DEVIATION: "straight lines bend near singularities; move the workspace away from the arm's base and its reach",
    POSTURE_CHANGE: "the arm can't go through the demonstrations in one posture; lower the jitter, check their frame",
    TIMING: "no profile was found between its configurations; use a narrower speed_scale or tool_speed",
    LIMITS: "motions break the joint limits; use a lower speed_scale",
    DISCONTINUOUS: "motions jump between samples; raise rate_hz",
    OUTSIDE_RANGE: "motions between poses leave the workspace; make the box larger or its cone narrower",
    SELF_COLLISION: "the arm touches itself; move the workspace away from its base",
    OBJECTS_TOO_NEAR: "the objects have too little room; lower least_distance, or let them lie farther apart",
    COPY_UNREACHABLE: "the arm can't reach where the demonstrations are carried; narrow where the objects may lie",
    COPY_JOINT_LIMIT: "joints meet their limits where demonstrations are carried; narrow where the objects may lie",
    COPY_TOO_FAST: "carried demonstrations are too fast for the arm, or pass singularities; narrow where the objects "
    "may lie, or copy slower demonstrations",
    HELD_COLLISION: "what is held meets the arm or a keep-out; move the keep-outs or where the objects may lie, or "
    "check the sizes of the objects",
    KEEP_OUT: "links enter a keep-out; move the workspace away from the keep-outs, or make them smaller",
}
"""What to change in a request whose candidates fail for a reason."""

_PROFILE_TOLERANCE = 1e-9
_FLOAT32_ULP = 2.0**-23


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows one after another, as they are written.

    Attributes:
        first: first sample of each row, and the number of samples N, shape (n + 1,).
        q: joint positions [rad], shape (N, dof), float32; `qd` [rad/s] and, where wanted, `qdd` [rad/s^2] likewise.
        position: tool positions in the base frame [m], shape (N, 3), float32.
        rotation_6d: first two rows of the tool's rotation, shape (N, 6), float32.
        gripper: command, shape (N,), float32.
    """

    first: IntArray
    q: NDArray[np.float32]
    qd: NDArray[np.float32]
    qdd: NDArray[np.float32]
    position: NDArray[np.float32]
    rotation_6d: NDArray[np.float32]
    gripper: NDArray[np.float32]


def check_profiles(motions: Motions, limits: JointLimits) -> dict[str, BoolArray]:
    """Checks motions at every moment, from their pieces; for each reason, which segments fail, shape (S,)."""
    profiles = motions.profiles
    slack = _PROFILE_TOLERANCE * (limits.upper - limits.lower)
    greatest = [limits.velocity, limits.acceleration, limits.jerk]
    bounds = np.stack([limits.lower - slack, limits.upper + slack, *(x * (1 + _PROFILE_TOLERANCE) for x in greatest)])
    verdicts = first_violation(
        motions.first,
        profiles.start,
        profiles.velocity,
        profiles.acceleration,
        profiles.time,
        profiles.jerk,
        profiles.duration,
        motions.dwell,
        np.ascontiguousarray(bounds.T),
    )
    gap = verdicts == GAP
    return {LIMITS: (verdicts != WITHIN) & ~gap, DISCONTINUOUS: gap}


def check_samples(
    samples: Samples, limits: JointLimits, rate_hz: float, low: FloatArray, high: FloatArray
) -> dict[str, BoolArray]:
    """Checks rows as they are written, in float32; for each reason, which rows fail, shape (n,).

    Args:
        samples: the rows.
        limits: the robot's own.
        rate_hz: samples per second.
        low: least tool position of the action_range [m], shape (3,).
        high: greatest [m].
    """
    shape = (len(samples.first) - 1,)
    broken, jumps, outside = (np.zeros(shape, np.bool_) for _ in range(3))
    _check_rows(
        samples.first,
        samples.q,
        samples.qd,
        samples.qdd,
        samples.position,
        limits.lower,
        limits.upper,
        limits.velocity,
        limits.acceleration,
        # Between samples a joint moves at most velocity / rate, plus the rounding of both positions to float32.
        limits.velocity / rate_hz + _FLOAT32_ULP * np.maximum(-limits.lower, limits.upper),
        low,
        high,
        broken,
        jumps,
        outside,
    )
    return {LIMITS: broken, DISCONTINUOUS: jumps, OUTSIDE_RANGE: outside}


@compiled
def _check_rows(
    first: IntArray,
    q: NDArray[np.float32],
    qd: NDArray[np.float32],
    qdd: NDArray[np.float32],
    position: NDArray[np.float32],
    lower: FloatArray,
    upper: FloatArray,
    velocity: FloatArray,
    acceleration: FloatArray,
    step: FloatArray,
    low: FloatArray,
    high: FloatArray,
    broken: BoolArray,
    jumps: BoolArray,
    outside: BoolArray,
) -> None:
    """Marks rows that break a limit, jump, or leave the box. Written so that a NaN fails."""
    for row in range(first.size - 1):
        for k in range(first[row], first[row + 1]):
            for j in range(q.shape[1]):
                if not (lower[j] <= q[k, j] <= upper[j] and abs(qd[k, j]) <= velocity[j]):
                    broken[row] = True
                if qdd.shape[0] > 0 and not abs(qdd[k, j]) <= acceleration[j]:
                    broken[row] = True
                if k > first[row] and not abs(q[k, j] - q[k - 1, j]) <= step[j]:
                    jumps[row] = True
            for axis in range(3):
                if not low[axis] <= position[k, axis] <= high[axis]:
                    outside[row] = True
