"""Joint configurations of a candidate's waypoints, by IK where its workspace draws poses."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis import ik
from services.synthesis.request import TrajectoryRequest
from services.synthesis.robot_model import RobotModel
from services.synthesis.sampling import MAX_WAYPOINTS, Candidates
from services.synthesis.workspace import JointSpace

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def waypoint_configurations(
    request: TrajectoryRequest, robot: RobotModel, candidates: Candidates
) -> tuple[FloatArray, BoolArray]:
    """Configurations (n, MAX_WAYPOINTS, dof), and which candidates have all of theirs, shape (n,).

    A box's poses are solved in order, each from the configuration before it, so that the arm goes on in the posture
    it has. Poses of `reachable` may lie anywhere: each is solved from the nearest of the robot's table.
    """
    if candidates.q is None:
        return _through_box(robot, candidates)
    if isinstance(request.workspace, JointSpace):
        return candidates.q, np.ones(len(candidates.ids), np.bool_)
    return _through_reachable(robot, candidates, candidates.q)


def _through_reachable(robot: RobotModel, candidates: Candidates, drawn: FloatArray) -> tuple[FloatArray, BoolArray]:
    """From the first drawn configuration, without IK, to the poses of the others."""
    row, waypoint = _targets(candidates)
    solution = ik.solve(robot, *robot.tool_poses(drawn[row, waypoint]))
    q = drawn.copy()
    q[row, waypoint] = solution.q
    solved = np.ones(len(candidates.ids), np.bool_)
    solved[row[~solution.converged]] = False
    return q, solved


def _targets(candidates: Candidates) -> tuple[IntArray, IntArray]:
    """Row and waypoint of every target after the start."""
    used = np.arange(1, MAX_WAYPOINTS) <= candidates.segments[:, None]
    row, waypoint = np.nonzero(used)
    return row, waypoint + 1


def _through_box(robot: RobotModel, candidates: Candidates) -> tuple[FloatArray, BoolArray]:
    position, rotation, posture = candidates.position, candidates.rotation, candidates.posture
    assert position is not None
    assert rotation is not None
    assert posture is not None
    q = np.zeros((len(candidates.ids), MAX_WAYPOINTS, robot.dof))
    solved = np.ones(len(candidates.ids), np.bool_)
    for k in range(MAX_WAYPOINTS):
        row = np.flatnonzero(solved & (candidates.segments >= k))
        before = posture[row] if k == 0 else q[row, k - 1]
        solution = ik.solve(robot, position[row, k], rotation[row, k], first_start=before)
        q[row, k] = solution.q
        solved[row] = solution.converged
    return q, solved
