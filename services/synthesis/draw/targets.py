"""Where a candidate's waypoints are: configurations or tool poses drawn in the workspace of the request."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.draw.arrangements import ARRANGEMENT_WORDS, chain_lines, pick_and_place
from services.synthesis.draw.listed_poses import listed_poses
from services.synthesis.numerics.elementary import sines_cosines
from services.synthesis.numerics.rotations import lengths, product
from services.synthesis.request.families import AROUND, is_family
from services.synthesis.request.goals import Goal
from services.synthesis.request.workspace import Box, DrawnWorkspace, JointSpace, Reachable, Workspace

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOME_SPREAD = 0.3
"""How far [rad] the posture that the first IK of drawn poses starts from is drawn around the arm's home."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of n candidates with up to W waypoints; entries past a candidate's own mean nothing.

    Attributes:
        q: drawn configurations (joint_space, reachable), shape (n, W, dof) [rad], or None.
        position: tool positions [m], shape (n, W, 3), or None where those of `q` are meant.
        rotation: tool rotations, shape (n, W, 3, 3), or None likewise.
        near: configurations from which IK starts where poses are drawn, shape (n, at most W, dof) [rad], or None; past
            the last that is given, it starts from the waypoint before.
    """

    q: FloatArray | None
    position: FloatArray | None
    rotation: FloatArray | None
    near: FloatArray | None

    def poses(self, robot: RobotModel, row: IntArray, waypoint: IntArray | int) -> tuple[FloatArray, FloatArray]:
        """Positions (m, 3) and rotations (m, 3, 3) of some waypoints."""
        if self.position is None or self.rotation is None:
            assert self.q is not None
            return robot.tool_poses(self.q[row, waypoint])
        return self.position[row, waypoint], self.rotation[row, waypoint]

    def put(self, robot: RobotModel, rows: IntArray, others: "Targets") -> None:
        """Replaces the targets of some candidates by others, in place."""
        for mine, theirs in ((self.q, others.q), (self.near, others.near)):
            if mine is not None and theirs is not None:
                mine[rows] = theirs
        if self.position is not None and self.rotation is not None:
            # Poses are kept of all candidates where those of some are arranged, and these may be others.
            known = others.position is not None and others.rotation is not None
            poses = (others.position, others.rotation) if known else _poses_at(robot, others.q)
            self.position[rows], self.rotation[rows] = poses


def draws_configurations(workspace: Workspace) -> bool:
    """Whether configurations are drawn in a workspace, rather than poses."""
    return isinstance(workspace, JointSpace | Reachable)


def posture_words(workspace: Workspace, robot: RobotModel) -> int:
    """Uniform numbers for the posture of a candidate."""
    return 0 if draws_configurations(workspace) else robot.dof


def target_words(robot: RobotModel) -> int:
    """Uniform numbers for each waypoint's target."""
    return max(robot.dof, ARRANGEMENT_WORDS)


def draw_targets(
    workspace: DrawnWorkspace, robot: RobotModel, goal: Goal, family: IntArray, posture: FloatArray, u: FloatArray
) -> Targets:
    """Draws the targets of n candidates.

    Where poses are drawn, lines go from one to the next, and things are picked and placed at them. Where configurations
    are drawn, which may lie anywhere, each line's end is drawn near its beginning, and the configurations are those
    before an approach, so that one is not asked for from where the arm can't be.

    Args:
        workspace: where.
        robot: the arm.
        goal: how much of a pose is asked for.
        family: index into FAMILIES, shape (n,).
        posture: uniform numbers, shape (n, posture_words).
        u: uniform numbers, shape (n, W, target_words).
    """
    line, place = is_family(family, "cartesian_line"), is_family(family, "pick_and_place")
    if not isinstance(workspace, JointSpace | Reachable):
        if isinstance(workspace, Box):
            position, rotation = _box_poses(workspace, u)
        else:
            taken = np.ones(u.shape[:2], np.bool_)
            taken[np.ix_(place, np.isin(np.arange(u.shape[1]), AROUND))] = False
            position, rotation = listed_poses(workspace, goal, taken, u)
        _arrange(place, position, rotation, u, functools.partial(pick_and_place, from_above=False))
        return Targets(None, position, rotation, _postures(robot, posture)[:, None])
    q = _configurations(robot, u[..., : robot.dof])
    if not (line.any() or place.any()):
        return Targets(q, None, None, None)
    position, rotation = _poses_at(robot, q)
    _arrange(line, position, rotation, u, chain_lines)
    _arrange(place, position, rotation, u, functools.partial(pick_and_place, from_above=True))
    return Targets(q, position, rotation, None)


def _arrange(
    rows: NDArray[np.bool_],
    position: FloatArray,
    rotation: FloatArray,
    u: FloatArray,
    arrangement: Callable[[FloatArray, FloatArray, FloatArray], None],
) -> None:
    """Applies an arrangement to the poses of the marked rows, in place."""
    if rows.any():
        some_position, some_rotation = position[rows], rotation[rows]
        arrangement(some_position, some_rotation, u[rows])
        position[rows], rotation[rows] = some_position, some_rotation


def _configurations(robot: RobotModel, u: FloatArray) -> FloatArray:
    """Configurations uniform inside the planning limits."""
    limits = robot.planning_limits
    return limits.lower + u * (limits.upper - limits.lower)


def _poses_at(robot: RobotModel, q: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Tool positions (n, W, 3) and rotations (n, W, 3, 3) in configurations (n, W, dof)."""
    assert q is not None
    position, rotation = robot.tool_poses(q.reshape(-1, robot.dof))
    return position.reshape(*q.shape[:2], 3), rotation.reshape(*q.shape[:2], 3, 3)


def _postures(robot: RobotModel, u: FloatArray) -> FloatArray:
    """Configurations around home, inside the planning limits."""
    limits = robot.planning_limits
    return np.clip(robot.home + HOME_SPREAD * (2 * u - 1), limits.lower, limits.upper)


def _box_poses(box: Box, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions uniform in the box; tool axes uniform on the cone's spherical cap; any turn about the tool axis."""
    low, high = np.array(box.min), np.array(box.max)
    position = low + u[..., :3] * (high - low)
    cone = box.orientation
    (least,) = sines_cosines(np.deg2rad([cone.angle_deg]))[1]
    cosine = np.clip(1 - u[..., 3] * (1 - least), -1, 1)
    tilted = product(_about_z(2 * np.pi * u[..., 4]), _about_y(np.sqrt(1 - cosine * cosine), cosine))
    rotation = product(_z_to(np.array(cone.axis)), product(tilted, _about_z(2 * np.pi * u[..., 5])))
    return position, rotation


def _about_z(angle: FloatArray) -> FloatArray:
    (s, c), zero, one = sines_cosines(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([c, -s, zero, s, c, zero, zero, zero, one], axis=-1).reshape(*angle.shape, 3, 3)


def _about_y(s: FloatArray, c: FloatArray) -> FloatArray:
    zero, one = np.zeros_like(s), np.ones_like(s)
    return np.stack([c, zero, s, zero, one, zero, -s, zero, c], axis=-1).reshape(*s.shape, 3, 3)


def _z_to(axis: FloatArray) -> FloatArray:
    """A rotation whose third column is the axis."""
    z = axis / lengths(axis)
    x = np.cross(np.eye(3)[np.abs(z).argmin()], z)
    x /= lengths(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
