"""A robot's forward kinematics, by Pinocchio's reading of its URDF, for many configurations at once.

The transforms from joint to joint are Pinocchio's; multiplying them is done here, for thousands of configurations side
by side, and compared with Pinocchio's own result when a robot is opened.
"""

from typing import Any

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from services.audit.findings import AuditReport
from services.audit.row_check import Rows
from services.catalogue import Arm, Tool, arm_of
from shared.dataset import Dataset
from shared.errors import RobotError
from shared.robots import RobotSpec

FloatArray = NDArray[np.float64]
Frames = list[tuple[FloatArray, FloatArray]]
"""For each joint of a model rotations (3, 3, n) and positions (3, n) [m] in the world; n is 1 where the arm moves
nothing."""

_TOLERANCE = 1e-5
"""On positions [m] and on rotation entries. Float32 joints alone are worth about 1e-6."""
_ROUNDING = 1e-9


class Kinematics:
    """Forward kinematics of an arm, from its maker's URDF, or for a user's arm from the one beside the dataset.

    Attributes:
        arm: the arm.
        limits: of its joints, as the dataset says.
        dof: number of them.
        model: Pinocchio's, of the whole robot.
        lower: position limits of the arm's joints in the URDF, like `upper`, shape (dof,).
        upper: likewise.
        velocity: velocity limits, shape (dof,).
        drives: of each joint of `model` that moves, the number of the arm's joint that it moves with, from 0, and the
            multiplier and offset of that one's position: 1 and 0 for the arm's own.
    """

    def __init__(self, robot: RobotSpec, arm: Arm) -> None:
        """Reads the URDF. Raises RobotError if it lacks a joint or frame of `robot`."""
        self.arm, self.limits, self.dof = arm, robot.limits, robot.dof
        self.model = pin.buildModelFromXML(arm.files.urdf().decode())
        for name in robot.joint_names:
            if not self.model.existJointName(name):
                raise RobotError(f"{arm.files.where} has no joint {name!r}, which the dataset has")
        self._base = self._frame(robot.base_frame)
        self._tool = self._frame(robot.tool_frame if arm.tool is None else arm.tool.parent)
        self._tool_placement = pin.SE3.Identity() if arm.tool is None else _placement(arm.tool)
        self._joint_ids = [self.model.getJointId(name) for name in robot.joint_names]
        self._joints = [self.model.joints[joint] for joint in self._joint_ids]
        self.drives = {joint: (number, 1.0, 0.0) for number, joint in enumerate(self._joint_ids)}
        for one in arm.followers:
            self.drives[self.model.getJointId(one.joint.name)] = (one.source, one.multiplier, one.offset)
        self._rest = pin.neutral(self.model)
        for name, value in arm.rest:
            self._rest[self.model.joints[self.model.getJointId(name)].idx_q] = value
        # To Pinocchio a joint without limits is a sine and a cosine.
        endless = np.array([joint.nq == 2 for joint in self._joints])
        positions = [joint.idx_q for joint in self._joints]
        self.lower = np.where(endless, -np.inf, self.model.lowerPositionLimit[positions])
        self.upper = np.where(endless, np.inf, self.model.upperPositionLimit[positions])
        self.velocity = self.model.velocityLimit[[joint.idx_v for joint in self._joints]]
        self._steps = self._steps_between_joints()
        self._compare_with_pinocchio()

    def configurations(self, q: FloatArray) -> FloatArray:
        """Pinocchio's configurations of the whole robot (n, nq) for the arm's (n, dof)."""
        whole = np.tile(self._rest, (len(q), 1))
        for number, (source, multiplier, offset) in self.drives.items():
            joint, column = self.model.joints[number], multiplier * q[:, source] + offset
            if joint.nq == 2:
                whole[:, joint.idx_q], whole[:, joint.idx_q + 1] = np.cos(column), np.sin(column)
            else:
                whole[:, joint.idx_q] = column
        return whole

    def frames(self, q: FloatArray) -> Frames:
        """Every joint's frame for configurations of the arm (n, dof)."""
        frames: Frames = [(np.eye(3)[..., None], np.zeros((3, 1)))]
        for joint in range(1, self.model.njoints):
            rotation, position = frames[self.model.parents[joint]]
            hinge, slide = self._steps[joint]
            column = np.zeros(1)
            if joint in self.drives:
                number, factor, shift = self.drives[joint]
                column = factor * q[:, number] + shift
            with np.errstate(invalid="ignore"):
                step = hinge[0] + np.sin(column) * hinge[1] + np.cos(column) * hinge[2]
            offset = slide[0] + column * slide[1]
            frames.append((_product(rotation, step), position + (rotation * offset).sum(1)))
        return frames

    def tool_poses(self, frames: Frames) -> tuple[FloatArray, FloatArray]:
        """The tool in the base frame: rotations (3, 3, n) and positions (3, n) [m]."""
        base = self.base_placement.inverse()
        tool = self.model.frames[self._tool]
        rotation, position = frames[tool.parentJoint]
        placement = tool.placement * self._tool_placement
        at = position + (rotation * placement.translation[:, None]).sum(1)
        turned = _product(rotation, placement.rotation[..., None])
        return (
            _product(base.rotation[..., None], turned),
            (base.rotation[..., None] * at).sum(1) + base.translation[:, None],
        )

    @property
    def base_placement(self) -> Any:
        """T_world_base as an SE3; the arm doesn't move its base."""
        data = self.model.createData()
        pin.framesForwardKinematics(self.model, data, self._rest)
        return data.oMf[self._base]

    @property
    def arm_joints(self) -> list[int]:
        """The arm's joints in `model`."""
        return self._joint_ids

    def moving_path(self, joint: int) -> list[int]:
        """The joints that move what is fixed to one, the nearest first."""
        path = []
        while joint > 0:
            if joint in self.drives:
                path.append(joint)
            joint = self.model.parents[joint]
        return path

    def slides(self, joint: int) -> bool:
        """Whether a joint that moves is prismatic."""
        return bool(self._steps[joint][1][1].any())

    def length(self, joint: int) -> float:
        """Distance [m] of a joint's frame from its parent's, where a prismatic one is at 0."""
        return float(np.linalg.norm(self._steps[joint][1][0]))

    def _steps_between_joints(self) -> list[tuple[list[FloatArray], list[FloatArray]]]:
        """From each joint's parent: rotation a + sin(q) b + cos(q) c, each (3, 3, 1), and translation a + q b, (3, 1).

        The rotation is Rodrigues' formula after the joint's placement.
        """
        data = self.model.createData()
        pin.computeJointJacobians(self.model, data, self._rest)
        steps = [([np.zeros((3, 3, 1))] * 3, [np.zeros((3, 1))] * 2)]
        for joint in range(1, self.model.njoints):
            if joint not in self.drives:
                held = data.liMi[joint]
                rotation = [held.rotation[..., None], np.zeros((3, 3, 1)), np.zeros((3, 3, 1))]
                steps.append((rotation, [held.translation[:, None], np.zeros((3, 1))]))
                continue
            axis = pin.getJointJacobian(self.model, data, joint, pin.LOCAL)[:, self.model.joints[joint].idx_v]
            placement, turns = self.model.jointPlacements[joint], np.linalg.norm(axis[3:]) > 0.5
            cross = pin.skew(axis[3:]) if turns else np.zeros((3, 3))
            fixed = np.eye(3) + cross @ cross
            rotation = [(placement.rotation @ part)[..., None] for part in (fixed, cross, -cross @ cross)]
            along = np.zeros(3) if turns else placement.rotation @ axis[:3]
            steps.append((rotation, [placement.translation[:, None], along[:, None]]))
        return steps

    def _compare_with_pinocchio(self) -> None:
        """Raises RobotError unless `frames` gives what Pinocchio does, on 16 configurations."""
        rng, data = np.random.default_rng(0), self.model.createData()
        q = rng.uniform(-3, 3, (16, len(self._joints)))
        frames = self.frames(q)
        for i, configuration in enumerate(self.configurations(q)):
            pin.forwardKinematics(self.model, data, configuration)
            for joint, (rotation, position) in enumerate(frames):
                expected, k = data.oMi[joint], min(i, rotation.shape[2] - 1)
                error = max(
                    np.abs(rotation[..., k] - expected.rotation).max(),
                    np.abs(position[..., min(i, position.shape[1] - 1)] - expected.translation).max(),
                )
                if not error < _ROUNDING:
                    raise RobotError(f"{self.arm.files.where}: kinematics differ from Pinocchio's by {error:.1e}")

    def _frame(self, link: str) -> int:
        if not self.model.existFrame(link, pin.FrameType.BODY):
            raise RobotError(f"{self.arm.files.where} has no frame {link!r}, which the dataset has")
        return int(self.model.getFrameId(link, pin.FrameType.BODY))


def _product(a: FloatArray, b: FloatArray) -> FloatArray:
    """Matrix products (3, 3, n) of a (3, 3, n) and b (3, 3, n); either may have n = 1."""
    return np.asarray(a[:, 0, None] * b[None, 0] + a[:, 1, None] * b[None, 1] + a[:, 2, None] * b[None, 2])


def _placement(tool: Tool) -> Any:
    return pin.SE3(pin.rpy.rpyToMatrix(*tool.origin.rpy), np.array(tool.origin.xyz))


def open_kinematics(report: AuditReport, dataset: Dataset) -> Kinematics:
    """The kinematics of the dataset's robot. Raises RobotError if it is neither in the catalogue nor beside it."""
    header = dataset.header
    arm = arm_of(header.robot.name, dataset.storage)
    kinematics = Kinematics(header.robot, arm)
    limits = header.robot.limits
    within = (limits.lower >= kinematics.lower) & (limits.upper <= kinematics.upper)
    report.expect("header's limits are the URDF's", bool(within.all()), "position")
    report.expect("header's limits are the URDF's", bool((limits.velocity <= kinematics.velocity).all()), "velocity")
    same = header.request.get("robot") == {"name": header.robot.name, "sha256": arm.content_hash}
    report.expect("robot's files are those of the request", same, header.robot.name)
    return kinematics


def check_poses(report: AuditReport, kinematics: Kinematics, rows: Rows, frames: Frames) -> None:
    """Recorded positions and rotations against forward kinematics."""
    rotation, position = kinematics.tool_poses(frames)
    ids = rows.sample_ids
    distance = np.linalg.norm(position.T - rows.lists["ee_position"], axis=1)
    report.measure("FK position", distance, _TOLERANCE, "m", ids)
    # The 6D form is the first two rows of the matrix.
    entries = np.abs(rotation[:2].reshape(6, -1).T - rows.lists["ee_rotation_6d"])
    report.measure("FK rotation", entries, _TOLERANCE, "entry", ids)
