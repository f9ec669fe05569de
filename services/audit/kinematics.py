"""Recorded poses against forward kinematics of the recorded joints, by Pinocchio from the robot's URDF."""

from typing import Any

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from services.audit.report import AuditReport
from services.audit.rows import Rows
from services.catalogue import Arm, Tool, arm_of
from shared.dataset import Dataset
from shared.errors import RobotError
from shared.robots import RobotSpec

_TOLERANCE = 1e-5
"""On positions [m] and on rotation entries. Float32 joints alone are worth about 1e-6."""


class Kinematics:
    """Forward kinematics of an arm, from its maker's URDF, or for a user's arm from the one beside the dataset."""

    def __init__(self, robot: RobotSpec, arm: Arm) -> None:
        """Reads the URDF. Raises RobotError if it lacks a joint or frame of `robot`."""
        self._model = pin.buildModelFromXML(arm.files.urdf().decode())
        self._data = self._model.createData()
        for name in robot.joint_names:
            if not self._model.existJointName(name):
                raise RobotError(f"{arm.files.where} has no joint {name!r}, which the dataset has")
        self._base = self._frame(arm, robot.base_frame)
        placement = pin.SE3.Identity() if arm.tool is None else _placement(arm.tool)
        self._tool = self._frame(arm, robot.tool_frame if arm.tool is None else arm.tool.parent)
        self._tool_placement = placement.homogeneous
        self._joints = [self._model.joints[self._model.getJointId(name)] for name in robot.joint_names]
        starts = [joint.idx_v for joint in self._joints]
        # To Pinocchio a joint without limits is a sine and a cosine.
        endless = np.array([joint.nq == 2 for joint in self._joints])
        positions = [joint.idx_q for joint in self._joints]
        self.lower = np.where(endless, -np.inf, self._model.lowerPositionLimit[positions])
        self.upper = np.where(endless, np.inf, self._model.upperPositionLimit[positions])
        self.velocity = self._model.velocityLimit[starts]

    def tool_poses(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """T_base_tool for each configuration (n, dof), shape (n, 4, 4)."""
        whole = np.tile(pin.neutral(self._model), (len(q), 1))
        for column, joint in zip(q.T, self._joints, strict=True):
            if joint.nq == 2:
                whole[:, joint.idx_q], whole[:, joint.idx_q + 1] = np.cos(column), np.sin(column)
            else:
                whole[:, joint.idx_q] = column
        poses = np.empty((len(q), 4, 4))
        model, data, base, tool = self._model, self._data, self._base, self._tool
        forward, update = pin.forwardKinematics, pin.updateFramePlacement
        for i, configuration in enumerate(whole):
            forward(model, data, configuration)
            poses[i] = update(model, data, base).actInv(update(model, data, tool)).homogeneous
        return np.asarray(poses @ self._tool_placement)

    def _frame(self, arm: Arm, link: str) -> int:
        if not self._model.existFrame(link, pin.FrameType.BODY):
            raise RobotError(f"{arm.files.where} has no frame {link!r}, which the dataset has")
        return int(self._model.getFrameId(link, pin.FrameType.BODY))


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
    made_with = header.request.get("robot", {}).get("sha256")
    report.expect("robot's files are those of the request", made_with == arm.content_hash, header.robot.name)
    return kinematics


def check_poses(report: AuditReport, kinematics: Kinematics, rows: Rows) -> None:
    """Recorded positions and rotations against forward kinematics."""
    poses = kinematics.tool_poses(rows.lists["joint_position"].astype(np.float64))
    ids = rows.sample_ids
    distance = np.linalg.norm(poses[:, :3, 3] - rows.lists["ee_position"], axis=1)
    report.measure("FK position", distance, _TOLERANCE, "m", ids)
    # The 6D form is the first two rows of the matrix.
    entries = np.abs(poses[:, :2, :3].reshape(-1, 6) - rows.lists["ee_rotation_6d"])
    report.measure("FK rotation", entries, _TOLERANCE, "entry", ids)
