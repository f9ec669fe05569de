"""One step of inverse kinematics: the error and Jacobian at a configuration, and the damped step inside the limits."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.kinematics import Chain
from services.synthesis.compiled import compiled
from services.synthesis.numerics.elementary import angle_of, sincos
from services.synthesis.request.goals import GOALS

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

POSE, POSITION, _ = range(len(GOALS))
"""Goals in compiled code: their index in GOALS."""

_DAMPING_FLOOR, _DAMPING_GAIN = 1e-10, 1e-2


@compiled
def linearize(
    chain: Chain,
    q: FloatArray,
    target_position: FloatArray,
    target_rotation: FloatArray,
    sines: FloatArray,
    cosines: FloatArray,
    jacobian: FloatArray,
    error: FloatArray,
    axis: FloatArray,
) -> tuple[float, float]:
    """Fills the geometric Jacobian (6, dof), the error (6,) and the tool's z axis (3,) in the base frame.

    Returns distance [m] and angle [rad] to the target.
    """
    dof = q.size
    for j in range(dof):
        if chain.slides[j]:
            sines[j], cosines[j] = 0.0, 1.0
        else:
            sines[j], cosines[j] = sincos(q[j])
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0
    x, y, z = 0.0, 0.0, 0.0
    for j in range(dof + 1):
        f, t = chain.rotation[j], chain.translation[j]
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
        if chain.slides[j]:
            x, y, z = x + r02 * q[j], y + r12 * q[j], z + r22 * q[j]
        jacobian[0, j], jacobian[1, j], jacobian[2, j] = x, y, z
        jacobian[3, j], jacobian[4, j], jacobian[5, j] = r02, r12, r22
    for j in range(dof):
        dx, dy, dz = x - jacobian[0, j], y - jacobian[1, j], z - jacobian[2, j]
        ax, ay, az = jacobian[3, j], jacobian[4, j], jacobian[5, j]
        if chain.slides[j]:
            jacobian[0, j], jacobian[1, j], jacobian[2, j] = ax, ay, az
            jacobian[3, j], jacobian[4, j], jacobian[5, j] = 0.0, 0.0, 0.0
        else:
            jacobian[0, j], jacobian[1, j], jacobian[2, j] = ay * dz - az * dy, az * dx - ax * dz, ax * dy - ay * dx
    axis[0], axis[1], axis[2] = r02, r12, r22
    w = target_rotation
    error[0], error[1], error[2] = target_position[0] - x, target_position[1] - y, target_position[2] - z
    # target * current^T, whose skew part is sin(angle) * axis; half of the sum of crossed rows.
    ex = 0.5 * (r10 * w[6] + r11 * w[7] + r12 * w[8] - r20 * w[3] - r21 * w[4] - r22 * w[5])
    ey = 0.5 * (r20 * w[0] + r21 * w[1] + r22 * w[2] - r00 * w[6] - r01 * w[7] - r02 * w[8])
    ez = 0.5 * (r00 * w[3] + r01 * w[4] + r02 * w[5] - r10 * w[0] - r11 * w[1] - r12 * w[2])
    trace = r00 * w[0] + r01 * w[1] + r02 * w[2] + r10 * w[3] + r11 * w[4] + r12 * w[5]
    trace += r20 * w[6] + r21 * w[7] + r22 * w[8]
    sine = np.sqrt(ex * ex + ey * ey + ez * ez)
    angle = angle_of(sine, 0.5 * (trace - 1.0))
    factor = angle / sine if sine > 1e-9 else 1.0
    error[3], error[4], error[5] = ex * factor, ey * factor, ez * factor
    return np.sqrt(error[0] ** 2 + error[1] ** 2 + error[2] ** 2), angle


@compiled
def relax(goal: int, axis: FloatArray, target_rotation: FloatArray, jacobian: FloatArray, error: FloatArray) -> float:
    """Takes out of error and Jacobian what the goal leaves free; returns the angle [rad] that is left to it.

    For POSITION_AXIS the error is the turn that takes the tool's z axis the shortest way to the target's, and turns
    about the axis, which don't move it, are taken out of the Jacobian.
    """
    if goal == POSITION:
        for r in range(3, 6):
            error[r] = 0.0
            for j in range(jacobian.shape[1]):
                jacobian[r, j] = 0.0
        return 0.0
    x, y, z = axis[0], axis[1], axis[2]
    tx, ty, tz = target_rotation[2], target_rotation[5], target_rotation[8]
    ex, ey, ez = y * tz - z * ty, z * tx - x * tz, x * ty - y * tx
    sine = np.sqrt(ex * ex + ey * ey + ez * ez)
    angle = angle_of(sine, x * tx + y * ty + z * tz)
    factor = angle / sine if sine > 1e-9 else 1.0
    error[3], error[4], error[5] = ex * factor, ey * factor, ez * factor
    for j in range(jacobian.shape[1]):
        along = jacobian[3, j] * x + jacobian[4, j] * y + jacobian[5, j] * z
        jacobian[3, j] -= along * x
        jacobian[4, j] -= along * y
        jacobian[5, j] -= along * z
    return angle


@compiled
def bounded_step(
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
