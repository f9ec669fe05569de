"""The action_range of a dataset: bounds known before its first row, which no accepted row leaves."""

import functools

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel, robot_model
from services.synthesis.copies.layout import demonstrated_layouts, spans
from services.synthesis.copies.sources import sources
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Box, Fitted, Objects
from services.synthesis.solve.reachability import seeded_configurations
from shared.manifest import Ranges

FloatArray = NDArray[np.float64]

BOX_MARGIN = 0.10
"""How far [m] a tool may leave the request's box between poses inside it."""


def action_range(request: TrajectoryRequest) -> Ranges:
    """Least and greatest value of each action dimension: tool positions [m] and joint positions [rad].

    Joints have the robot's limits. Positions have the request's box, or the demonstrations' (of copies as much wider as
    their objects may lie), widened by BOX_MARGIN a side, or else the box of forward kinematics over the robot's seeded
    configurations.
    """
    limits = robot_model(request.arm).spec.limits
    if isinstance(request.workspace, Box | Fitted | Objects):
        low, high = _box(request.workspace)
        position = {"min": (low - BOX_MARGIN).tolist(), "max": (high + BOX_MARGIN).tolist()}
    else:
        position = _reach(robot_model(request.arm))
    return {
        "position": {name: list(values) for name, values in position.items()},
        "joint_position": {"min": limits.lower.tolist(), "max": limits.upper.tolist()},
    }


def _box(workspace: Box | Fitted | Objects) -> tuple[FloatArray, FloatArray]:
    if isinstance(workspace, Box):
        return np.array(workspace.min), np.array(workspace.max)
    if isinstance(workspace, Objects):
        return _carried(workspace)
    low, high = workspace.summary.position_range
    return low, high


def _carried(workspace: Objects) -> tuple[FloatArray, FloatArray]:
    """Where the demonstrations' commands were, and as much farther as the objects may lie farther."""
    commanded = sources(workspace.motions).position
    low, high = commanded.min(0), commanded.max(0)
    known, allowed = demonstrated_layouts(sources(workspace.motions)), spans(workspace)
    if known.shape[1]:
        low[:2] -= np.maximum(known[..., :2].min(0) - allowed.low[:, :2], 0).max(0)
        high[:2] += np.maximum(allowed.high[:, :2] - known[..., :2].max(0), 0).max(0)
        height = sources(workspace.motions).object_position[sources(workspace.motions).first[:-1], :, 2]
        low[2] -= np.nanmax(height.min(0) - allowed.height[:, 0], initial=0)
        high[2] += np.nanmax(allowed.height[:, 1] - height.max(0), initial=0)
    return low, high


@functools.lru_cache(maxsize=8)
def _reach(robot: RobotModel) -> dict[str, list[float]]:
    position, _ = robot.tool_poses(seeded_configurations(robot))
    return {"min": position.min(0).tolist(), "max": position.max(0).tolist()}
