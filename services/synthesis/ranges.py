"""The action_range of a dataset: bounds known before its first row, which no accepted row leaves."""

import functools

import numpy as np

from services.synthesis.reachability import seeded_configurations
from services.synthesis.request import TrajectoryRequest
from services.synthesis.robot_model import RobotModel, robot_model
from services.synthesis.workspace import Box
from shared.manifest import Ranges

BOX_MARGIN = 0.10
"""How far [m] a tool may leave the request's box between poses inside it."""


def action_range(request: TrajectoryRequest) -> Ranges:
    """Least and greatest value of each action dimension: tool positions [m] and joint positions [rad].

    Joints have the robot's limits. Positions have the request's box widened by BOX_MARGIN a side, or else the box of
    forward kinematics over the robot's seeded configurations.
    """
    limits = robot_model(request.arm).spec.limits
    if isinstance(request.workspace, Box):
        low, high = np.array(request.workspace.min) - BOX_MARGIN, np.array(request.workspace.max) + BOX_MARGIN
        position = {"min": low.tolist(), "max": high.tolist()}
    else:
        position = _reach(robot_model(request.arm))
    return {
        "position": {name: list(values) for name, values in position.items()},
        "joint_position": {"min": limits.lower.tolist(), "max": limits.upper.tolist()},
    }


@functools.lru_cache(maxsize=8)
def _reach(robot: RobotModel) -> dict[str, list[float]]:
    position, _ = robot.tool_poses(seeded_configurations(robot))
    return {"min": position.min(0).tolist(), "max": position.max(0).tolist()}
