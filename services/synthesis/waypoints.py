"""Joint configurations of a candidate's waypoints, by IK where its workspace draws poses."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.request import JointSpace, TrajectoryRequest
from services.synthesis.robot_model import RobotModel
from services.synthesis.sampling import Candidates

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def waypoint_configurations(
    request: TrajectoryRequest, robot: RobotModel, candidates: Candidates
) -> tuple[FloatArray, BoolArray]:
    """Configurations (n, MAX_WAYPOINTS, dof), and which candidates have all of theirs, shape (n,)."""
    if isinstance(request.workspace, JointSpace) and candidates.q is not None:
        return candidates.q, np.ones(len(candidates.ids), np.bool_)
    raise NotImplementedError(request.workspace.kind)
