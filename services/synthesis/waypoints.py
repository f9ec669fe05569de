"""Joint configurations of a candidate's waypoints, by IK where its workspace draws poses."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis import ik
from services.synthesis.families import SAME, SOLVED
from services.synthesis.ik_steps import Goal
from services.synthesis.robot_model import RobotModel
from services.synthesis.sampling import Candidates

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def waypoint_configurations(
    robot: RobotModel, candidates: Candidates, goal: Goal = "pose"
) -> tuple[FloatArray, BoolArray]:
    """Configurations (n, W, dof), and which candidates have all of theirs, shape (n,).

    Poses drawn in a box are solved in order, each from the configuration before it, so that the arm goes on in the
    posture it has. Poses of `reachable` may lie anywhere: each is solved from the nearest of the robot's table.
    """
    n, waypoints = candidates.arrival.shape
    used = np.arange(waypoints) <= candidates.segments[:, None]
    wanted = used & (candidates.arrival == SOLVED)
    solved = np.ones(n, np.bool_)
    drawn = candidates.targets.q
    if drawn is None:
        q = np.zeros((n, waypoints, robot.dof))
    else:
        q = drawn.copy()
        _solve_poses_of(robot, goal, wanted, q, solved)
    for k in range(waypoints):
        if drawn is None:
            _solve_from_before(robot, goal, candidates, np.flatnonzero(wanted[:, k] & solved), k, q, solved)
        same = candidates.arrival[:, k] == SAME
        q[same, k] = q[same, k - 1]
    return q, solved


def _solve_poses_of(robot: RobotModel, goal: Goal, wanted: BoolArray, q: FloatArray, solved: BoolArray) -> None:
    """Replaces each wanted configuration by one that IK finds for its tool pose."""
    row, waypoint = np.nonzero(wanted)
    solution = ik.solve(robot, *robot.tool_poses(q[row, waypoint]), goal=goal)
    q[row, waypoint] = solution.q
    solved[row[~solution.converged]] = False


def _solve_from_before(
    robot: RobotModel,
    goal: Goal,
    candidates: Candidates,
    row: NDArray[np.int64],
    k: int,
    q: FloatArray,
    solved: BoolArray,
) -> None:
    """Solves the drawn poses of waypoint k from the waypoint before it, or from the drawn posture."""
    position, rotation, posture = candidates.targets.position, candidates.targets.rotation, candidates.targets.posture
    assert position is not None
    assert rotation is not None
    assert posture is not None
    before = posture[row] if k == 0 else q[row, k - 1]
    solution = ik.solve(robot, position[row, k], rotation[row, k], first_start=before, goal=goal)
    q[row, k] = solution.q
    solved[row] = solution.converged
