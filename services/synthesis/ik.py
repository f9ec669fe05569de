"""Batched inverse kinematics: damped Gauss-Newton steps from several starts, inside joint limits.

Each goal is solved on its own, so a result never depends on what is solved beside it. The error is the position
difference and the rotation vector from the current to the target orientation, both in the base frame; the damping
1e-10 + 1e-2 |e|^2 vanishes at the solution, so the last steps converge quadratically (Sugihara 2011, "Solvability-
unconcerned inverse kinematics by the Levenberg-Marquardt method").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled
from services.synthesis.kinematics import sincos
from services.synthesis.reachability import reachability_table
from services.synthesis.robot_model import RobotModel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

POSITION_TOLERANCE = 1e-5
"""Greatest distance [m] from the target at which IK has converged."""
ANGLE_TOLERANCE = 1e-4
"""Greatest angle [rad] from the target at which IK has converged."""
STAGES = (1, 3, 8, 24)
"""Starts from the reachability table tried at each stage; a goal goes on to the next one only if none converged."""
MAX_ITERATIONS = 12
"""Steps from each start."""

_DAMPING_FLOOR, _DAMPING_GAIN = 1e-10, 1e-2


@dataclass(frozen=True, eq=False)
class IkSolution:
    """Configurations for n goals, and how far they are from them.

    Attributes:
        q: joint positions inside the limits, shape (n, dof) [rad].
        position_error: distance to the target position, shape (n,) [m].
        angle_error: angle to the target orientation, shape (n,) [rad].
        starts: starts used, shape (n,).
        converged: whether both errors are within tolerance, shape (n,).
    """

    q: FloatArray
    position_error: FloatArray
    angle_error: FloatArray
    starts: IntArray
    converged: BoolArray


def solve(
    robot: RobotModel, position: FloatArray, rotation: FloatArray, first_start: FloatArray | None = None
) -> IkSolution:
    """Solves for tool poses in the base frame.

    Args:
        robot: the arm.
        position: targets, shape (n, 3) [m].
        rotation: targets, shape (n, 3, 3).
        first_start: configurations tried before those of the reachability table, shape (n, dof) [rad], or None.
    """
    n = len(position)
    rows = np.ascontiguousarray(rotation.reshape(n, 9))
    position = np.ascontiguousarray(position)
    q, errors = np.zeros((n, robot.dof)), np.full((n, 2), np.inf)
    starts = np.zeros(n, np.int64)
    if first_start is not None:
        _solve_rows(robot, position, rows, first_start[:, None, :], np.arange(n), q, errors, starts)
    table = reachability_table(robot)
    tried = 0
    for count in STAGES:
        open_rows = np.flatnonzero(~_converged(errors))
        if not len(open_rows):
            break
        near = table.nearest(position[open_rows], rotation[open_rows], tried, tried + count)
        _solve_rows(robot, position, rows, table.q[near], open_rows, q, errors, starts)
        tried += count
    return IkSolution(q, errors[:, 0], errors[:, 1], starts, _converged(errors))


def _converged(errors: FloatArray) -> BoolArray:
    return (errors[:, 0] <= POSITION_TOLERANCE) & (errors[:, 1] <= ANGLE_TOLERANCE)


def _solve_rows(
    robot: RobotModel,
    position: FloatArray,
    rotation: FloatArray,
    seeds: FloatArray,
    rows: IntArray,
    q: FloatArray,
    errors: FloatArray,
    starts: IntArray,
) -> None:
    limits = robot.planning_limits
    _solve(
        robot.chain_rotation,
        robot.chain_translation,
        limits.lower,
        limits.upper,
        position,
        rotation,
        np.ascontiguousarray(seeds),
        rows,
        q,
        errors,
        starts,
    )


@compiled
def _solve(
    chain_rotation: FloatArray,
    chain_translation: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    position: FloatArray,
    rotation: FloatArray,
    seeds: FloatArray,
    rows: IntArray,
    q: FloatArray,
    errors: FloatArray,
    starts: IntArray,
) -> None:
    """Tries the seeds (m, k, dof) of goals `rows` (m,) in order until one converges; keeps the best."""
    dof = lower.size
    current, step = np.empty(dof), np.empty(dof)
    jacobian, normal, rhs, error = np.empty((6, dof)), np.empty((6, 6)), np.empty(6), np.empty(6)
    sines, cosines, joint_free = np.empty(dof), np.empty(dof), np.empty(dof, np.bool_)
    for m in range(rows.size):
        row = rows[m]
        for k in range(seeds.shape[1]):
            starts[row] += 1
            for j in range(dof):
                current[j] = min(max(seeds[m, k, j], lower[j]), upper[j])
            for iteration in range(MAX_ITERATIONS + 1):
                distance, angle = _linearize(
                    chain_rotation, chain_translation, current, position[row], rotation[row], sines, cosines,
                    jacobian, error,
                )  # fmt: skip
                if distance + angle < errors[row, 0] + errors[row, 1]:
                    errors[row, 0], errors[row, 1] = distance, angle
                    q[row] = current
                if distance <= POSITION_TOLERANCE and angle <= ANGLE_TOLERANCE:
                    break
                if iteration < MAX_ITERATIONS:
                    _bounded_step(current, lower, upper, jacobian, error, normal, rhs, joint_free, step)
            if errors[row, 0] <= POSITION_TOLERANCE and errors[row, 1] <= ANGLE_TOLERANCE:
                break


@compiled
def _linearize(
    chain_rotation: FloatArray,
    chain_translation: FloatArray,
    q: FloatArray,
    target_position: FloatArray,
    target_rotation: FloatArray,
    sines: FloatArray,
    cosines: FloatArray,
    jacobian: FloatArray,
    error: FloatArray,
) -> tuple[float, float]:
    """Fills the geometric Jacobian (6, dof) and the error (6,) in the base frame; returns distance and angle."""
    dof = q.size
    for j in range(dof):
        sines[j], cosines[j] = sincos(q[j])
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0
    x, y, z = 0.0, 0.0, 0.0
    for j in range(dof + 1):
        f, t = chain_rotation[j], chain_translation[j]
        x += r00 * t[0] + r01 * t[1] + r02 * t[2]
        y += r10 * t[0] + r11 * t[1] + r12 * t[2]
        z += r20 * t[0] + r21 * t[1] + r22 * t[2]
        a0 = r00 * f[0, 0] + r01 * f[1, 0] + r02 * f[2, 0]
        a1 = r00 * f[0, 1] + r01 * f[1, 1] + r02 * f[2, 1]
        b0 = r10 * f[0, 0] + r11 * f[1, 0] + r12 * f[2, 0]
        b1 = r10 * f[0, 1] + r11 * f[1, 1] + r12 * f[2, 1]
        c0 = r20 * f[0, 0] + r21 * f[1, 0] + r22 * f[2, 0]
        c1 = r20 * f[0, 1] + r21 * f[1, 1] + r22 * f[2, 1]
        r02 = r00 * f[0, 2] + r01 * f[1, 2] + r02 * f[2, 2]
        r12 = r10 * f[0, 2] + r11 * f[1, 2] + r12 * f[2, 2]
        r22 = r20 * f[0, 2] + r21 * f[1, 2] + r22 * f[2, 2]
        if j == dof:
            r00, r01, r10, r11, r20, r21 = a0, a1, b0, b1, c0, c1
            break
        s, c = sines[j], cosines[j]
        r00, r01 = a0 * c + a1 * s, a1 * c - a0 * s
        r10, r11 = b0 * c + b1 * s, b1 * c - b0 * s
        r20, r21 = c0 * c + c1 * s, c1 * c - c0 * s
        jacobian[0, j], jacobian[1, j], jacobian[2, j] = x, y, z
        jacobian[3, j], jacobian[4, j], jacobian[5, j] = r02, r12, r22
    for j in range(dof):
        dx, dy, dz = x - jacobian[0, j], y - jacobian[1, j], z - jacobian[2, j]
        ax, ay, az = jacobian[3, j], jacobian[4, j], jacobian[5, j]
        jacobian[0, j], jacobian[1, j], jacobian[2, j] = ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx
    w = target_rotation
    error[0], error[1], error[2] = target_position[0] - x, target_position[1] - y, target_position[2] - z
    # target * current^T, whose skew part is sin(angle) * axis; half of the sum of crossed rows.
    ex = 0.5 * (r10 * w[6] + r11 * w[7] + r12 * w[8] - r20 * w[3] - r21 * w[4] - r22 * w[5])
    ey = 0.5 * (r20 * w[0] + r21 * w[1] + r22 * w[2] - r00 * w[6] - r01 * w[7] - r02 * w[8])
    ez = 0.5 * (r00 * w[3] + r01 * w[4] + r02 * w[5] - r10 * w[0] - r11 * w[1] - r12 * w[2])
    trace = r00 * w[0] + r01 * w[1] + r02 * w[2] + r10 * w[3] + r11 * w[4] + r12 * w[5]
    trace += r20 * w[6] + r21 * w[7] + r22 * w[8]
    sine = np.sqrt(ex * ex + ey * ey + ez * ez)
    angle = np.arctan2(sine, 0.5 * (trace - 1.0))
    factor = angle / sine if sine > 1e-9 else 1.0
    error[3], error[4], error[5] = ex * factor, ey * factor, ez * factor
    return np.sqrt(error[0] ** 2 + error[1] ** 2 + error[2] ** 2), angle


@compiled
def _bounded_step(
    q: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    jacobian: FloatArray,
    error: FloatArray,
    normal: FloatArray,
    rhs: FloatArray,
    joint_free: BoolArray,
    step: FloatArray,
) -> None:
    """Takes a damped step and clips it; where a joint sits on a limit and pushes outward, solves again without it."""
    dof = q.size
    for j in range(dof):
        joint_free[j] = True
    _damped_step(jacobian, error, joint_free, normal, rhs, step)
    blocked = False
    for j in range(dof):
        if (q[j] <= lower[j] and step[j] < 0.0) or (q[j] >= upper[j] and step[j] > 0.0):
            joint_free[j] = False
            blocked = True
    if blocked:
        _damped_step(jacobian, error, joint_free, normal, rhs, step)
    for j in range(dof):
        q[j] = min(max(q[j] + step[j], lower[j]), upper[j])


@compiled
def _damped_step(
    jacobian: FloatArray,
    error: FloatArray,
    joint_free: BoolArray,
    normal: FloatArray,
    rhs: FloatArray,
    step: FloatArray,
) -> None:
    """step = J^T (J J^T + lambda I)^-1 e over the free joints, by Cholesky in place; blocked joints get 0."""
    dof = step.size
    damping = _DAMPING_FLOOR
    for r in range(6):
        damping += _DAMPING_GAIN * error[r] * error[r]
    for r in range(6):
        rhs[r] = error[r]
        for c in range(r + 1):
            total = damping if r == c else 0.0
            for j in range(dof):
                if joint_free[j]:
                    total += jacobian[r, j] * jacobian[c, j]
            normal[r, c] = total
    for c in range(6):
        for k in range(c):
            normal[c, c] -= normal[c, k] * normal[c, k]
        # J J^T is singular where the arm is; the floor keeps the root of a pivot lost to rounding real.
        normal[c, c] = np.sqrt(max(normal[c, c], 1e-14))
        for r in range(c + 1, 6):
            for k in range(c):
                normal[r, c] -= normal[r, k] * normal[c, k]
            normal[r, c] /= normal[c, c]
    for r in range(6):
        for k in range(r):
            rhs[r] -= normal[r, k] * rhs[k]
        rhs[r] /= normal[r, r]
    for r in range(5, -1, -1):
        for k in range(r + 1, 6):
            rhs[r] -= normal[k, r] * rhs[k]
        rhs[r] /= normal[r, r]
    for j in range(dof):
        total = 0.0
        if joint_free[j]:
            for r in range(6):
                total += jacobian[r, j] * rhs[r]
        step[j] = total
