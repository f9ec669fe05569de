"""Recorded poses against forward kinematics of the recorded joints, by Pinocchio from the robot's URDF."""

from pathlib import Path

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from services.audit.report import AuditReport
from services.audit.rows import Rows
from services.catalogue import find_arm
from shared.errors import RobotError
from shared.manifest import DatasetHeader
from shared.robots import RobotSpec

_TOLERANCE = 1e-5
"""On positions [m] and on rotation entries. Float32 joints alone are worth about 1e-6."""


class Kinematics:
    """A robot's forward kinematics."""

    def __init__(self, robot: RobotSpec, urdf: Path) -> None:
        """Reads the URDF. Raises RobotError if it lacks a joint or frame of `robot`."""
        full = pin.buildModelFromUrdf(str(urdf))
        for name in robot.joint_names:
            if not full.existJointName(name):
                raise RobotError(f"{urdf} has no joint {name!r}, which the dataset has")
        for name in (robot.base_frame, robot.tool_frame):
            if not full.existFrame(name):
                raise RobotError(f"{urdf} has no frame {name!r}, which the dataset has")
        locked = [full.getJointId(name) for name in full.names[1:] if name not in robot.joint_names]
        self._model = pin.buildReducedModel(full, locked, pin.neutral(full))
        self._data = self._model.createData()
        self._tool = self._model.getFrameId(robot.tool_frame)
        base = self._model.getFrameId(robot.base_frame)
        pin.framesForwardKinematics(self._model, self._data, pin.neutral(self._model))
        self._base_inverse = self._data.oMf[base].inverse().homogeneous
        starts = [self._model.joints[self._model.getJointId(name)].idx_q for name in robot.joint_names]
        # Columns of the record in the order in which the model wants them.
        self._order = np.argsort(starts)
        self.lower = self._model.lowerPositionLimit[starts]
        self.upper = self._model.upperPositionLimit[starts]
        self.velocity = self._model.velocityLimit[starts]

    def tool_poses(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """T_base_tool for each configuration (n, dof), shape (n, 4, 4)."""
        poses = np.empty((len(q), 4, 4))
        model, data, tool = self._model, self._data, self._tool
        forward, update = pin.forwardKinematics, pin.updateFramePlacement
        for i, configuration in enumerate(q[:, self._order]):
            forward(model, data, configuration)
            poses[i] = update(model, data, tool).homogeneous
        return np.asarray(self._base_inverse @ poses)


def open_kinematics(report: AuditReport, header: DatasetHeader) -> Kinematics:
    """The kinematics of the dataset's robot, from the catalogue. Raises RobotError if it is not in there."""
    arm = find_arm(header.robot.name)
    kinematics = Kinematics(header.robot, arm.urdf_path)
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
