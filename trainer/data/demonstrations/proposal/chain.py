"""An arm's joints from its base to its tool, read from a URDF, and where they bring the tool."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from shared.errors import RobotError
from shared.rotation import rotvec_to_matrix
from shared.xml_reader import Element, read_xml
from trainer.poses import Pose, compose

FloatArray = NDArray[np.float64]

_MOVING = ("revolute", "continuous", "prismatic")


@dataclass(frozen=True, eq=False)
class Chain:
    """A serial arm of dof joints.

    Attributes:
        names: of the joints, from the base to the tool.
        lower: lowest position of each joint, (dof,) [rad, or m if it slides].
        upper: highest, likewise.
        velocity: greatest speed of each joint, (dof,) [rad/s or m/s]; infinite where it is not said.
        slides: whether each joint slides, (dof,).
        axes: of each joint in its own frame, unit vectors (dof, 3).
        fixed: poses of each joint's frame in the one before, and at last of the tool in the last joint's: positions
            (dof + 1, 3) [m] and rotations (dof + 1, 3, 3).
    """

    names: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    velocity: FloatArray
    slides: NDArray[np.bool_]
    axes: FloatArray
    fixed: Pose

    @property
    def dof(self) -> int:
        """Number of joints."""
        return len(self.names)

    @property
    def reach(self) -> float:
        """The tool is never farther from the base [m]."""
        slides = np.abs(np.concatenate([self.lower, self.upper])[np.tile(self.slides, 2)]).sum()
        return float(np.linalg.norm(self.fixed[0], axis=1).sum() + slides)

    def tool_poses(self, joints: FloatArray) -> Pose:
        """Poses of the tool in the base frame, (n, 3) [m] and (n, 3, 3), at joint positions (n, dof)."""
        return self.tool_poses_and_jacobian(joints)[0]

    def tool_poses_and_jacobian(self, joints: FloatArray) -> tuple[Pose, FloatArray]:
        """Also (n, 6, dof): velocity of the tool [m/s] above its rate of turn [rad/s], in the base frame."""
        pose: Pose = (np.zeros((len(joints), 3)), np.broadcast_to(np.eye(3), (len(joints), 3, 3)))
        axes, origins = [], []
        for j, slides in enumerate(self.slides):
            pose = compose(pose, (self.fixed[0][j], self.fixed[1][j]))
            axes.append(pose[1] @ self.axes[j])
            origins.append(pose[0])
            along = joints[:, j : j + 1] * self.axes[j]
            moved = (along, np.eye(3)) if slides else (np.zeros(3), rotvec_to_matrix(along))
            pose = compose(pose, moved)
        pose = compose(pose, (self.fixed[0][-1], self.fixed[1][-1]))
        jacobian = np.zeros((len(joints), 6, self.dof))
        for j, slides in enumerate(self.slides):
            jacobian[:, :3, j] = axes[j] if slides else np.cross(axes[j], pose[0] - origins[j])
            jacobian[:, 3:, j] = 0.0 if slides else axes[j]
        return pose, jacobian


def read_chain(urdf: bytes, where: str, tip: str, base: str | None = None) -> Chain:
    """The joints between two links of a URDF.

    Args:
        urdf: the file's bytes, UTF-8.
        where: how messages call it.
        tip: link that is the tool.
        base: link that poses are relative to; by default the one that no joint moves.

    Raises:
        RobotError: it is no URDF, has no such links, or a joint between them is not one of an arm's.
    """
    root = read_xml(urdf, where)
    above = {_end(joint, "child"): joint for joint in root.all("joint")}
    links = {link.attributes.get("name", "") for link in root.all("link")}
    for name in (tip, base):
        if name is not None and name not in links:
            raise RobotError(f"{where}: has no link '{name}'; it has {', '.join(sorted(links)[:12])}")
    path: list[Element] = []
    link = tip
    while link in above and link != base and len(path) < len(above):
        path.append(above[link])
        link = _end(above[link], "parent")
    if (link in above) if base is None else (link != base):
        raise RobotError(f"{where}: link '{tip}' is not below '{base or link}' in a tree of links")
    return _chain(path[::-1], where)


def _chain(path: Sequence[Element], where: str) -> Chain:
    names, lower, upper, velocity, slides, axes, positions, rotations = [], [], [], [], [], [], [], []
    pose: Pose = (np.zeros(3), np.eye(3))
    for joint in path:
        pose = compose(pose, _origin(joint, where))
        kind, name = joint.attributes.get("type", ""), joint.attributes.get("name", "")
        if kind == "fixed":
            continue
        if kind not in _MOVING or joint.first("mimic") is not None:
            raise RobotError(f"{where}, line {joint.line}: joint '{name}' does not move as an arm's joints do")
        axis = np.array(_numbers(joint, "axis", "xyz", (1.0, 0.0, 0.0), where))
        low, high = _limits(joint, kind, where)
        names.append(name)
        lower.append(low)
        upper.append(high)
        velocity.append(_numbers(joint, "limit", "velocity", (0.0,), where)[0] or math.inf)
        slides.append(kind == "prismatic")
        axes.append(axis / np.linalg.norm(axis))
        positions.append(pose[0])
        rotations.append(pose[1])
        pose = (np.zeros(3), np.eye(3))
    if not names:
        raise RobotError(f"{where}: no joint moves the tool")
    fixed = np.array([*positions, pose[0]]), np.array([*rotations, pose[1]])
    return Chain(
        tuple(names), np.array(lower), np.array(upper), np.array(velocity), np.array(slides), np.array(axes), fixed
    )


def _end(joint: Element, tag: str) -> str:
    end = joint.first(tag)
    return end.attributes.get("link", "") if end else ""


def _limits(joint: Element, kind: str, where: str) -> tuple[float, float]:
    if kind == "continuous":
        return -2 * math.pi, 2 * math.pi
    low, high = (_numbers(joint, "limit", key, (0.0,), where)[0] for key in ("lower", "upper"))
    if low >= high:
        raise RobotError(f"{where}, line {joint.line}: joint '{joint.attributes.get('name')}' has no range")
    return low, high


def _origin(joint: Element, where: str) -> Pose:
    zero = (0.0, 0.0, 0.0)
    turn = Rotation.from_euler("xyz", _numbers(joint, "origin", "rpy", zero, where))
    return np.array(_numbers(joint, "origin", "xyz", zero, where)), np.asarray(turn.as_matrix())


def _numbers(joint: Element, tag: str, attribute: str, default: tuple[float, ...], where: str) -> tuple[float, ...]:
    """Numbers of a child element; `default` where it is not there. Raises RobotError where they are not as many."""
    element = joint.first(tag)
    text = element.attributes.get(attribute) if element is not None else None
    if text is None:
        return default
    try:
        values = tuple(float(word) for word in text.split())
    except ValueError:
        values = ()
    if len(values) != len(default) or not all(map(math.isfinite, values)) or (tag == "axis" and not any(values)):
        raise RobotError(f"{where}, line {joint.line}: {tag} {attribute}='{text[:60]}' is not {len(default)} numbers")
    return values
