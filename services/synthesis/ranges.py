"""The action_range of a dataset: bounds known before its first row, which no accepted row leaves."""

import functools

import numpy as np
from numpy.typing import NDArray

from services.synthesis.reachability import seeded_configurations
from services.synthesis.request import TrajectoryRequest
from services.synthesis.robot_model import RobotModel, robot_model
from services.synthesis.workspace import Box, Fitted
from shared.manifest import Ranges

FloatArray = NDArray[np.float64]

BOX_MARGIN = 0.10
"""How far [m] a tool may leave the request's box between poses inside it."""


def action_range(request: TrajectoryRequest) -> Ranges:
    """Least and greatest value of each action dimension: tool positions [m] and joint positions [rad].

    Joints have the robot's limits. Positions have the request's box, or the demonstrations', widened by BOX_MARGIN a
    side, or else the box of forward kinematics over the robot's seeded configurations.
    """
    limits = robot_model(request.arm).spec.limits
    if isinstance(request.workspace, Box | Fitted):
        low, high = _box(request.workspace)
        position = {"min": (low - BOX_MARGIN).tolist(), "max": (high + BOX_MARGIN).tolist()}
    else:
        position = _reach(robot_model(request.arm))
    return {
        "position": {name: list(values) for name, values in position.items()},
        "joint_position": {"min": limits.lower.tolist(), "max": limits.upper.tolist()},
    }


def _box(workspace: Box | Fitted) -> tuple[FloatArray, FloatArray]:
    if isinstance(workspace, Box):
        return np.array(workspace.min), np.array(workspace.max)
    low, high = workspace.summary.position_range
    return low, high


@functools.lru_cache(maxsize=8)
def _reach(robot: RobotModel) -> dict[str, list[float]]:
    position, _ = robot.tool_poses(seeded_configurations(robot))
    return {"min": position.min(0).tolist(), "max": position.max(0).tolist()}
