"""Where a candidate's waypoints are: configurations or tool poses drawn in the workspace of the request."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.robot_model import RobotModel
from services.synthesis.workspace import Box, Workspace

FloatArray = NDArray[np.float64]

HOME_SPREAD = 0.3
"""How far [rad] the posture that the first IK of drawn poses starts from is drawn around the arm's home."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Of n candidates with up to W waypoints; entries past a candidate's own mean nothing.

    Attributes:
        q: drawn configurations (joint_space, reachable), shape (n, W, dof) [rad], or None.
        position: drawn tool positions (box) [m], shape (n, W, 3), or None.
        rotation: drawn tool rotations (box), shape (n, W, 3, 3), or None.
        posture: configuration from which the first IK starts (box), shape (n, dof), or None.
    """

    q: FloatArray | None
    position: FloatArray | None
    rotation: FloatArray | None
    posture: FloatArray | None


def posture_words(workspace: Workspace, robot: RobotModel) -> int:
    """Uniform numbers for the posture of a candidate."""
    return robot.dof if isinstance(workspace, Box) else 0


def target_words(robot: RobotModel) -> int:
    """Uniform numbers for each waypoint's target."""
    return max(robot.dof, 6)


def draw_targets(workspace: Workspace, robot: RobotModel, posture: FloatArray, u: FloatArray) -> Targets:
    """Draws the targets of n candidates.

    Args:
        workspace: where.
        robot: the arm.
        posture: uniform numbers, shape (n, posture_words).
        u: uniform numbers, shape (n, W, target_words).
    """
    if isinstance(workspace, Box):
        position, rotation = _box_poses(workspace, u)
        return Targets(None, position, rotation, _postures(robot, posture))
    return Targets(_configurations(robot, u[..., : robot.dof]), None, None, None)


def _configurations(robot: RobotModel, u: FloatArray) -> FloatArray:
    """Configurations uniform inside the planning limits."""
    limits = robot.planning_limits
    return limits.lower + u * (limits.upper - limits.lower)


def _postures(robot: RobotModel, u: FloatArray) -> FloatArray:
    """Configurations around home, inside the planning limits."""
    limits = robot.planning_limits
    return np.clip(robot.home + HOME_SPREAD * (2 * u - 1), limits.lower, limits.upper)


def _box_poses(box: Box, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions uniform in the box; tool axes uniform on the cone's spherical cap; any turn about the tool axis."""
    low, high = np.array(box.min), np.array(box.max)
    position = low + u[..., :3] * (high - low)
    cone = box.orientation
    cosine = 1 - u[..., 3] * (1 - np.cos(np.deg2rad(cone.angle_deg)))
    tilt = np.arccos(np.clip(cosine, -1, 1))
    around, turn = 2 * np.pi * u[..., 4], 2 * np.pi * u[..., 5]
    rotation = _z_to(np.array(cone.axis)) @ _about_z(around) @ _about_y(tilt) @ _about_z(turn)
    return position, rotation


def _about_z(angle: FloatArray) -> FloatArray:
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([c, -s, zero, s, c, zero, zero, zero, one], axis=-1).reshape(*angle.shape, 3, 3)


def _about_y(angle: FloatArray) -> FloatArray:
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([c, zero, s, zero, one, zero, -s, zero, c], axis=-1).reshape(*angle.shape, 3, 3)


def _z_to(axis: FloatArray) -> FloatArray:
    """A rotation whose third column is the axis."""
    z = axis / np.linalg.norm(axis)
    x = np.cross(np.eye(3)[np.abs(z).argmin()], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
