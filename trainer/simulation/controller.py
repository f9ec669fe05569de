"""Operational space control of the arm, compiled: the law of robosuite's OSC_POSE, a control step six times as fast.

robosuite evaluates this law in Python at each of the 25 physics steps of a control step, which takes five
sixths of its time. Here it is one compiled function on views of MuJoCo's own arrays. Torques are (Khatib 1987,
with position and orientation decoupled, and a posture task in the null space):

    tau = J^T [L_p (kp e_p - kd v); L_o (kp e_o - kd w)] + bias + N^T M (10 (q_rest - q) - 2 sqrt(10) qd)

with L_p = (J_p M^-1 J_p^T)^-1, L_o likewise, N = I - M^-1 J^T (J M^-1 J^T)^-1 J, e_o half the sum of the cross
products of current and goal axes, and q_rest the (noisy) joints at reset, as in robosuite.
"""

from typing import Any

import mujoco
import numba
import numpy as np
from numpy.typing import NDArray

from trainer.poses import Pose
from trainer.simulation.frames import GRIP_SITE
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ, CONTROL_STIFFNESS

FloatArray = NDArray[np.float64]

DOF = 7
POSTURE_STIFFNESS = 10.0
_GRIPPER_RATE = 0.2  # robosuite moves the gripper's goal by this share of half its range per control step
_FLOOR = 1e-12  # keeps a pivot positive where the arm is stretched out and the law has no solution

_compiled: Any = numba.njit(cache=True)


class ArmController:
    """Drives the arm and gripper of one simulation. Holds views into `data`, so it lives as long as that.

    Attributes:
        gripper: the gripper's slowly moving goal, -1 open to +1 closed.
        substeps: physics steps in a control step.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, rest: FloatArray) -> None:
        """`rest` (7,) are the joints [rad] that the null space is pulled to."""
        self._model, self._data = model, data
        self.substeps: int = round(1 / (CONTROL_RATE_HZ * model.opt.timestep))
        self.gripper = 0.0
        site = model.site(GRIP_SITE).id
        self._state = (
            data.qM,
            model.dof_Madr[:DOF].copy(),
            data.xaxis[:DOF],
            data.xanchor[:DOF],
            data.site_xpos[site],
            data.site_xmat[site].reshape(3, 3),
            data.qpos[:DOF],
            data.qvel[:DOF],
            data.qfrc_bias[:DOF],
            np.array(rest, dtype=np.float64),
        )
        self._torque_range = model.actuator_ctrlrange[:DOF].copy()
        fingers = model.actuator_ctrlrange[DOF : DOF + 2]
        self._finger_middle = fingers.mean(1)
        self._finger_half = (fingers[:, 1] - fingers[:, 0]) / 2 * [-1.0, 1.0]

    def step(self, goal: Pose, gripper: float) -> None:
        """One control step (50 ms) towards the site's goal pose in the world; the sign of `gripper` closes it."""
        self.move_gripper(gripper)
        for _ in range(self.substeps):
            self.substep(goal)

    def move_gripper(self, gripper: float) -> None:
        """Moves the gripper's goal by what it moves in a control step; the sign of `gripper` closes it."""
        self.gripper = float(np.clip(self.gripper + _GRIPPER_RATE * np.sign(gripper), -1.0, 1.0))
        self._data.ctrl[DOF : DOF + 2] = self._finger_middle + self._finger_half * self.gripper

    def substep(self, goal: Pose) -> None:
        """One physics step towards the site's goal pose in the world."""
        data, model = self._data, self._model
        mujoco.mj_step1(model, data)
        _osc_torque(*self._state, goal[0], goal[1], CONTROL_STIFFNESS, self._torque_range, data.ctrl[:DOF])
        mujoco.mj_step2(model, data)


@_compiled
def _factor(matrix, n):  # type: ignore[no-untyped-def]
    """Cholesky factor of the leading n x n block, in place in the lower triangle."""
    for j in range(n):
        pivot = matrix[j, j]
        for k in range(j):
            pivot -= matrix[j, k] * matrix[j, k]
        pivot = np.sqrt(max(pivot, _FLOOR))
        matrix[j, j] = pivot
        for i in range(j + 1, n):
            entry = matrix[i, j]
            for k in range(j):
                entry -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = entry / pivot


@_compiled
def _solve(factor, n, vector):  # type: ignore[no-untyped-def]
    """Solves factor factor^T x = vector, in place."""
    for i in range(n):
        entry = vector[i]
        for k in range(i):
            entry -= factor[i, k] * vector[k]
        vector[i] = entry / factor[i, i]
    for i in range(n - 1, -1, -1):
        entry = vector[i]
        for k in range(i + 1, n):
            entry -= factor[k, i] * vector[k]
        vector[i] = entry / factor[i, i]


@_compiled
def _mass_matrix(packed, address):  # type: ignore[no-untyped-def]
    """The arm's dense mass matrix out of MuJoCo's packed one: row i runs from joint i back to the base."""
    mass = np.empty((DOF, DOF))
    for i in range(DOF):
        for j in range(i + 1):
            mass[i, j] = packed[address[i] + i - j]
            mass[j, i] = mass[i, j]
    return mass


@_compiled
def _jacobian(axes, anchors, position):  # type: ignore[no-untyped-def]
    """(6, 7) Jacobian of a point on the last link: linear rows, then angular ones, in the world."""
    jacobian = np.empty((6, DOF))
    for j in range(DOF):
        x, y, z = axes[j, 0], axes[j, 1], axes[j, 2]
        dx, dy, dz = position[0] - anchors[j, 0], position[1] - anchors[j, 1], position[2] - anchors[j, 2]
        jacobian[0, j], jacobian[1, j], jacobian[2, j] = y * dz - z * dy, z * dx - x * dz, x * dy - y * dx
        jacobian[3, j], jacobian[4, j], jacobian[5, j] = x, y, z
    return jacobian


@_compiled
def _desired_acceleration(position, rotation, goal_position, goal_rotation, twist, kp):  # type: ignore[no-untyped-def]
    """(6,) linear and angular acceleration of a critically damped spring to the goal."""
    wanted = np.zeros(6)
    for axis in range(3):
        wanted[axis] = kp * (goal_position[axis] - position[axis])
        ax, ay, az = rotation[0, axis], rotation[1, axis], rotation[2, axis]
        bx, by, bz = goal_rotation[0, axis], goal_rotation[1, axis], goal_rotation[2, axis]
        wanted[3] += 0.5 * kp * (ay * bz - az * by)
        wanted[4] += 0.5 * kp * (az * bx - ax * bz)
        wanted[5] += 0.5 * kp * (ax * by - ay * bx)
    return wanted - 2 * np.sqrt(kp) * twist


@_compiled
def _osc_torque(  # type: ignore[no-untyped-def]
    packed_mass, address, axes, anchors, position, rotation, q, qd, bias, rest,
    goal_position, goal_rotation, kp, torque_range, torque,
):  # fmt: skip
    """Writes the joint torques [N m] of the law above, clipped to the actuators' range, into `torque`."""
    mass = _mass_matrix(packed_mass, address)
    jacobian = _jacobian(axes, anchors, position)
    wrench = _desired_acceleration(position, rotation, goal_position, goal_rotation, jacobian @ qd, kp)

    factor = mass.copy()
    _factor(factor, DOF)
    mobility = np.empty((6, DOF))  # J M^-1
    for i in range(6):
        mobility[i] = jacobian[i]
        _solve(factor, DOF, mobility[i])
    inertia = mobility @ jacobian.T  # J M^-1 J^T: its inverse is the operational space inertia
    linear, angular = inertia[:3, :3].copy(), inertia[3:, 3:].copy()
    _factor(linear, 3)
    _solve(linear, 3, wrench[:3])
    _factor(angular, 3)
    _solve(angular, 3, wrench[3:])

    posture = mass @ (POSTURE_STIFFNESS * (rest - q) - 2 * np.sqrt(POSTURE_STIFFNESS) * qd)
    taken = mobility @ posture  # what of the posture task would move the tool: removed, so that N^T is applied
    _factor(inertia, 6)
    _solve(inertia, 6, taken)

    wanted = bias + posture + jacobian.T @ (wrench - taken)
    for j in range(DOF):
        torque[j] = min(max(wanted[j], torque_range[j, 0]), torque_range[j, 1])
