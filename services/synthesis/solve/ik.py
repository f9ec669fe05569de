"""Batched inverse kinematics: damped Gauss-Newton steps from several starts, inside joint limits.

Each goal is solved on its own, so a result never depends on what is solved beside it. The error is the position
difference and the rotation vector from the current to the target orientation, both in the base frame; the damping
1e-10 + 1e-2 |e|^2 vanishes at the solution, so the last steps converge quadratically (Sugihara 2011, "Solvability-
unconcerned inverse kinematics by the Levenberg-Marquardt method").
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.kinematics import Chain
from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.compiled import compiled
from services.synthesis.request.goals import GOALS, Goal
from services.synthesis.solve.ik_steps import POSE, bounded_step, linearize, relax
from services.synthesis.solve.reachability import reachability_table

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

POSITION_TOLERANCE = 1e-5
"""Greatest distance [m] from the target at which IK has converged."""
ANGLE_TOLERANCE = 1e-5
"""Greatest angle [rad] from the target at which IK has converged."""
STAGES = (1, 3, 8, 24)
"""Starts from the reachability table tried at each stage; a goal goes on to the next one only if none converged."""
MAX_ITERATIONS = 12
"""Steps from each start."""


@dataclass(frozen=True, eq=False)
class IkSolution:
    """Configurations for n goals, and how far they are from them.

    Attributes:
        q: joint positions inside the limits, shape (n, dof) [rad].
        position_error: distance to the target position, shape (n,) [m].
        angle_error: angle to the target orientation, or to its z axis, or 0, as the goal asks, shape (n,) [rad].
        starts: starts used, shape (n,).
        converged: whether both errors are within tolerance, shape (n,).
    """

    q: FloatArray
    position_error: FloatArray
    angle_error: FloatArray
    starts: IntArray
    converged: BoolArray


def solve(
    robot: RobotModel,
    position: FloatArray,
    rotation: FloatArray,
    first_start: FloatArray | None = None,
    goal: Goal = "pose",
) -> IkSolution:
    """Solves for tool poses in the base frame.

    Args:
        robot: the arm.
        position: targets, shape (n, 3) [m].
        rotation: targets, shape (n, 3, 3).
        first_start: configurations tried before those of the reachability table, shape (n, dof) [rad], or None.
        goal: how much of the pose to reach: all of it, its position, or its position and the direction of its z axis.
    """
    n = len(position)
    rows = np.ascontiguousarray(rotation.reshape(n, 9))
    position = np.ascontiguousarray(position)
    q, errors = np.zeros((n, robot.dof)), np.full((n, 2), np.inf)
    starts = np.zeros(n, np.int64)
    if first_start is not None:
        _solve_rows(robot, position, rows, goal, first_start[:, None, :], np.arange(n), q, errors, starts)
    table = reachability_table(robot, goal)
    tried = 0
    for count in STAGES:
        open_rows = np.flatnonzero(~_converged(errors))
        if not len(open_rows):
            break
        near = table.nearest(position[open_rows], rotation[open_rows], tried, tried + count)
        _solve_rows(robot, position, rows, goal, table.q[near], open_rows, q, errors, starts)
        tried += count
    return IkSolution(q, errors[:, 0], errors[:, 1], starts, _converged(errors))


def _converged(errors: FloatArray) -> BoolArray:
    return (errors[:, 0] <= POSITION_TOLERANCE) & (errors[:, 1] <= ANGLE_TOLERANCE)


def _solve_rows(
    robot: RobotModel,
    position: FloatArray,
    rotation: FloatArray,
    goal: Goal,
    seeds: FloatArray,
    rows: IntArray,
    q: FloatArray,
    errors: FloatArray,
    starts: IntArray,
) -> None:
    limits = robot.planning_limits
    _solve(
        robot.chain,
        limits.lower,
        limits.upper,
        position,
        rotation,
        GOALS.index(goal),
        np.ascontiguousarray(seeds),
        rows,
        q,
        errors,
        starts,
    )


@compiled
def _solve(
    chain: Chain,
    lower: FloatArray,
    upper: FloatArray,
    position: FloatArray,
    rotation: FloatArray,
    goal: int,
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
    axis = np.empty(3)
    sines, cosines, joint_free = np.empty(dof), np.empty(dof), np.empty(dof, np.bool_)
    for m in range(rows.size):
        row = rows[m]
        for k in range(seeds.shape[1]):
            starts[row] += 1
            for j in range(dof):
                current[j] = min(max(seeds[m, k, j], lower[j]), upper[j])
            for iteration in range(MAX_ITERATIONS + 1):
                distance, angle = linearize(
                    chain, current, position[row], rotation[row], sines, cosines, jacobian, error, axis
                )
                if goal != POSE:
                    angle = relax(goal, axis, rotation[row], jacobian, error)
                if distance + angle < errors[row, 0] + errors[row, 1]:
                    errors[row, 0], errors[row, 1] = distance, angle
                    for j in range(dof):
                        q[row, j] = current[j]
                if distance <= POSITION_TOLERANCE and angle <= ANGLE_TOLERANCE:
                    break
                if iteration < MAX_ITERATIONS:
                    bounded_step(current, lower, upper, jacobian, error, normal, rhs, joint_free, step)
            if errors[row, 0] <= POSITION_TOLERANCE and errors[row, 1] <= ANGLE_TOLERANCE:
                break
