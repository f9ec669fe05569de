"""Where an arm's tool is, and joint positions that bring it to a pose. Extra `[kinematics]`: Pinocchio."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart_client.limits import ArmLimits, Array

try:
    import pinocchio as pin
except ImportError as error:  # pragma: no cover - an installation without the extra
    raise ImportError("tool poses need Pinocchio: pip install 'headstart-client[kinematics]'") from error

POSE_WIDTH = 9
"""Numbers of a pose: position [m] 3, and the first two rows of the rotation matrix, 6."""
_ROUNDS = 30
_DAMPING = 0.01
"""Least singular value of the Jacobian that counts as one [m/rad or 1]; below it joints move no faster."""
_FARTHEST = 0.2
"""Of one joint in a round [rad or m]."""
_LEAST = 1e-6
"""Length of a rotation's row that says anything."""
_EXACT = 1e-7
"""Of an error [m and rad]: no further round makes it better."""


class Posture(NamedTuple):
    """Joint positions, and how far the tool then is from where it should be.

    Attributes:
        joints: (dof,) [rad] or [m].
        apart_m: distance of the positions.
        turned_rad: angle between the rotations.
    """

    joints: Array
    apart_m: float
    turned_rad: float


class Kinematics:
    """An arm's chain from its base frame to its tool.

    Attributes:
        dof: number of joints.
        model: Pinocchio's.
        base: of the base frame in it, a pinocchio.SE3.
    """

    def __init__(
        self,
        urdf: str,
        joints: Sequence[str],
        *,
        base_frame: str,
        tool_frame: str,
        rest: Mapping[str, float] | None = None,
    ) -> None:
        """Reads a URDF.

        Args:
            urdf: its text.
            joints: names of the arm's joints, in the order of its commands.
            base_frame: link in whose frame poses are.
            tool_frame: link whose poses they are.
            rest: positions of other joints [rad] or [m]; 0 where not named.

        Raises ValueError: it is no URDF, or lacks a joint or a link.
        """
        whole = pin.buildModelFromXML(urdf)
        where = pin.neutral(whole)
        for name, value in (rest or {}).items():
            where[whole.joints[_joint(whole, name)].idx_q] = value
        arm = {_joint(whole, name) for name in joints}
        others = [joint for joint in range(1, whole.njoints) if joint not in arm]
        self._urdf, self._whole, self._held = urdf, whole, (others, where)
        self.model = pin.buildReducedModel(whole, others, where) if others else whole
        if tuple(self.model.names[1:]) != tuple(joints):
            raise ValueError(f"the URDF has these joints in the order {tuple(self.model.names[1:])}, not {joints}")
        if self.model.nq != len(joints):
            raise ValueError("joints without an end to their turning (continuous) have no positions to command here")
        self.dof, self._data = len(joints), self.model.createData()
        base, self._tool = _link(self.model, base_frame), _link(self.model, tool_frame)
        if self.model.frames[base].parentJoint != 0:
            raise ValueError(f"base frame {base_frame!r} moves with the arm; name the link that it stands on")
        self.base = self.model.frames[base].placement.copy()

    @classmethod
    def from_file(cls, urdf: str | Path, joints: Sequence[str], **frames: Any) -> "Kinematics":
        """Reads a URDF's file; the rest as the constructor. Raises OSError, ValueError."""
        return cls(Path(urdf).read_text(), joints, **frames)

    def collision_geometry(self, package_dirs: Sequence[str]) -> Any:
        """The links' collision geometry, a pinocchio.GeometryModel. Raises ValueError where a mesh is missing."""
        found = pin.buildGeomFromUrdfString(
            self._whole, self._urdf, pin.GeometryType.COLLISION, package_dirs=list(package_dirs)
        )
        others, where = self._held
        return pin.buildReducedModel(self._whole, found, others, where)[1] if others else found

    def poses(self, positions: Array) -> Array:
        """Tool poses (n, 9) of joint positions (n, dof)."""
        found = np.empty((len(positions), POSE_WIDTH))
        for row, joints in zip(found, positions, strict=True):
            pose = self.tool(joints)
            row[:3], row[3:] = pose.translation, pose.rotation[:2].ravel()
        return found

    def tool(self, joints: Array) -> Any:
        """The tool in the base frame, a pinocchio.SE3, of joint positions (dof,)."""
        pin.framesForwardKinematics(self.model, self._data, joints)
        return self.base.actInv(self._data.oMf[self._tool])

    def near(self, target: Any, start: Array, limits: ArmLimits) -> Posture:
        """The posture nearest to a start that brings the tool to a pose, or as near to it as steps from there lead.

        Damped least squares: where the arm is stretched out or folded up, joints move slowly rather than far. Joints
        that are at a limit stay there while the others do what they can.

        Args:
            target: of the tool in the base frame, a pinocchio.SE3.
            start: (dof,) [rad] or [m].
            limits: whose position limits are kept.
        """
        goal = self.base * target
        joints = np.clip(start, limits.lower, limits.upper)
        for _ in range(_ROUNDS):
            error = self._error(joints, goal)
            if np.abs(error).max() < _EXACT:
                break
            jacobian = pin.computeFrameJacobian(self.model, self._data, joints, self._tool, pin.LOCAL)
            step = _damped(jacobian, error)
            held = ((joints >= limits.upper) & (step > 0)) | ((joints <= limits.lower) & (step < 0))
            if held.any():
                step = _damped(np.where(held, 0.0, jacobian), error)
            step *= min(1.0, _FARTHEST / max(float(np.abs(step).max()), _EXACT))
            moved = np.clip(joints + step, limits.lower, limits.upper)
            if np.abs(moved - joints).max() < _EXACT:
                break
            joints = moved
        error = self._error(joints, goal)
        return Posture(joints, float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:])))

    def _error(self, joints: Array, goal: Any) -> Array:
        """(6,) twist in the tool's frame that brings it to a goal in the model's."""
        pin.framesForwardKinematics(self.model, self._data, joints)
        twist: Array = pin.log6(self._data.oMf[self._tool].actInv(goal)).vector
        return twist


def pose_of(action: Array) -> Any:
    """The pinocchio.SE3 of a pose (9,), its two rows made orthonormal. Raises ValueError if they span no plane."""
    first, second = action[3:6], action[6:9]
    row_x = first / max(float(np.linalg.norm(first)), _LEAST)
    across = second - (row_x @ second) * row_x
    row_y = across / max(float(np.linalg.norm(across)), _LEAST)
    if not np.linalg.norm(np.cross(row_x, row_y)) > 0.5:
        raise ValueError(f"the rotation {action[3:9].tolist()} has rows that span no plane")
    return pin.SE3(np.stack([row_x, row_y, np.cross(row_x, row_y)]), action[:3].copy())


def between(first: Any, last: Any, share: float) -> Any:
    """The pose at a share of the way from one to another: straight in position, by the shortest turn in rotation."""
    turn = pin.exp3(share * pin.log3(first.rotation.T @ last.rotation))
    return pin.SE3(first.rotation @ turn, (1 - share) * first.translation + share * last.translation)


def _damped(jacobian: Array, error: Array) -> Array:
    step: Array = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + _DAMPING**2 * np.eye(6), error)
    return step


def _joint(model: Any, name: str) -> int:
    if not model.existJointName(name):
        raise ValueError(f"the URDF has no joint {name!r} that moves; it has {list(model.names[1:])}")
    return int(model.getJointId(name))


def _link(model: Any, name: str) -> int:
    if not model.existFrame(name, pin.FrameType.BODY):
        raise ValueError(f"the URDF has no link {name!r}")
    return int(model.getFrameId(name, pin.FrameType.BODY))
