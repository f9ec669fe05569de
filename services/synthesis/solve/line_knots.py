"""Configurations along straight lines of the tool, by inverse kinematics from one to the next."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.kinematics import Chain
from services.synthesis.compiled import compiled
from services.synthesis.numerics.elementary import sincos
from services.synthesis.solve.ik_steps import POSE, bounded_step, linearize, relax

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FOLLOWED, UNREACHABLE, AT_LIMIT, SINGULAR, DEVIATING = range(5)
"""What becomes of a line; `follow` answers one of the first four."""
KNOT_TOLERANCE = 1e-8
"""Greatest distance [m] and angle [rad] of a knot from its pose. Splines divide by the cube of the time between knots,
so this is far below IK's own tolerance."""
LONGEST_STEP = 0.25
"""Greatest change of a joint from knot to knot [rad]; more means that the arm passes near a singularity, or jumps."""
_MAX_ITERATIONS = 8


class Scratch(NamedTuple):
    """Arrays that a step of IK works in; they hold nothing from one to the next."""

    jacobian: FloatArray
    normal: FloatArray
    rows: FloatArray
    joints: FloatArray
    joint_free: NDArray[np.bool_]
    axis: FloatArray


@compiled
def make_scratch(dof: int) -> Scratch:
    """Scratch for an arm of so many joints."""
    return Scratch(
        np.empty((6, dof)), np.empty((6, 6)), np.empty((2, 6)), np.empty((3, dof)), np.empty(dof, np.bool_), np.empty(3)
    )


@compiled
def next_knot(
    chain: Chain,
    lower: FloatArray,
    upper: FloatArray,
    position: FloatArray,
    rotation: FloatArray,
    goal: int,
    before: FloatArray,
    after: FloatArray,
    scratch: Scratch,
) -> int:
    """Fills the configuration `after` (dof,) at a pose from the one `before`; FOLLOWED, or why it can't be reached."""
    dof = before.size
    error, rhs = scratch.rows[0], scratch.rows[1]
    sines, cosines, step = scratch.joints[0], scratch.joints[1], scratch.joints[2]
    for j in range(dof):
        after[j] = before[j]
    converged = False
    for iteration in range(_MAX_ITERATIONS + 1):
        distance, angle = linearize(
            chain, after, position, rotation, sines, cosines, scratch.jacobian, error, scratch.axis
        )
        if goal != POSE:
            angle = relax(goal, scratch.axis, rotation, scratch.jacobian, error)
        converged = distance <= KNOT_TOLERANCE and angle <= KNOT_TOLERANCE
        if converged or iteration == _MAX_ITERATIONS:
            break
        bounded_step(after, lower, upper, scratch.jacobian, error, scratch.normal, rhs, scratch.joint_free, step)
    verdict = FOLLOWED if converged else UNREACHABLE
    for j in range(dof):
        if not abs(after[j] - before[j]) <= LONGEST_STEP:
            verdict = SINGULAR
        # A joint stopped by its limit bends the path; one that starts there may leave it.
        if not lower[j] < after[j] < upper[j]:
            verdict = AT_LIMIT
    return verdict


@compiled
def follow(
    chain: Chain,
    lower: FloatArray,
    upper: FloatArray,
    position: FloatArray,
    rotation: FloatArray,
    shift: FloatArray,
    turn: FloatArray,
    goal: int,
    share: FloatArray,
    first: IntArray,
    q: FloatArray,
) -> IntArray:
    """Follows m lines; returns for each FOLLOWED or why it could not be, shape (m,).

    Args:
        chain: the arm's.
        lower: position limits, shape (dof,) [rad], like `upper`.
        upper: likewise.
        position: tool position where each line begins, shape (m, 3) [m].
        rotation: tool rotation there, row by row, shape (m, 9).
        shift: from there to its end, shape (m, 3) [m].
        turn: rotation vector, in the base frame, from there to its end, shape (m, 3) [rad].
        goal: how much of the poses is to be reached, index into GOALS.
        share: share of the line behind each knot, shape (K,).
        first: first knot of each line, and the number of knots K, shape (m + 1,).
        q: configurations at the knots, shape (K, dof): the first of each line is given, the others are filled in. A
            line that could not be followed stays at its first.
    """
    dof = q.shape[1]
    verdicts = np.zeros(shift.shape[0], np.int64)
    scratch = make_scratch(dof)
    target_position, target_rotation = np.empty(3), np.empty(9)
    for line in range(shift.shape[0]):
        for k in range(first[line] + 1, first[line + 1]):
            _pose_on_line(
                position[line], rotation[line], shift[line], turn[line], share[k], target_position, target_rotation
            )
            verdicts[line] = next_knot(
                chain, lower, upper, target_position, target_rotation, goal, q[k - 1], q[k], scratch
            )
            if verdicts[line] != FOLLOWED:
                break
        if verdicts[line] != FOLLOWED:
            for k in range(first[line] + 1, first[line + 1]):
                for j in range(dof):
                    q[k, j] = q[first[line], j]
    return verdicts


@compiled
def _pose_on_line(
    position: FloatArray,
    rotation: FloatArray,
    shift: FloatArray,
    turn: FloatArray,
    share: float,
    target_position: FloatArray,
    target_rotation: FloatArray,
) -> None:
    """Fills the pose at a share of the line: position + share * shift, and Exp(share * turn) * rotation."""
    x, y, z = share * turn[0], share * turn[1], share * turn[2]
    angle = np.sqrt(x * x + y * y + z * z)
    # Rodrigues: I + sin(angle)/angle K + (1 - cos(angle))/angle^2 K^2; the second factor by the half angle, exact to
    # the last digits for small angles.
    first = sincos(angle)[0] / angle if angle > 1e-8 else 1.0
    half = sincos(0.5 * angle)[0] / (0.5 * angle) if angle > 1e-8 else 1.0
    second = 0.5 * half * half
    r00, r01, r02 = 1.0 - second * (y * y + z * z), second * x * y - first * z, second * x * z + first * y
    r10, r11, r12 = second * x * y + first * z, 1.0 - second * (x * x + z * z), second * y * z - first * x
    r20, r21, r22 = second * x * z - first * y, second * y * z + first * x, 1.0 - second * (x * x + y * y)
    for c in range(3):
        target_position[c] = position[c] + share * shift[c]
        a, b, d = rotation[c], rotation[3 + c], rotation[6 + c]
        target_rotation[c] = r00 * a + r01 * b + r02 * d
        target_rotation[3 + c] = r10 * a + r11 * b + r12 * d
        target_rotation[6 + c] = r20 * a + r21 * b + r22 * d
