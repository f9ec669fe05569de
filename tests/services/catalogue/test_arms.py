from dataclasses import replace

import numpy as np
import pinocchio as pin
import pytest

from services.catalogue import ARMS, find_arm
from services.catalogue.files import PackageFiles
from services.synthesis.arm.robot_model import robot_model
from shared.errors import RobotError


@pytest.mark.parametrize("name", list(ARMS))
def test_an_entry_describes_its_arm(name: str) -> None:
    arm, robot = find_arm(name), robot_model(find_arm(name))
    limits = robot.spec.limits
    assert robot.spec.joint_names == arm.joints
    assert ((np.array(arm.home) > limits.lower) & (np.array(arm.home) < limits.upper)).all()
    assert arm.limits_source
    assert len(arm.content_hash) == 64
    assert replace(arm, jerk=tuple(2 * j for j in arm.jerk)).content_hash != arm.content_hash
    assert replace(arm, limits_source="elsewhere").content_hash == arm.content_hash


@pytest.mark.parametrize("name", list(ARMS))
def test_what_is_read_of_a_urdf_moves_as_the_makers_file_does(name: str) -> None:
    """Our reading of the URDF, its holding of joints and its chain against Pinocchio's of the whole file."""
    arm, robot = find_arm(name), robot_model(find_arm(name))
    model = pin.buildModelFromXML(arm.files.urdf().decode())
    data, rng = model.createData(), np.random.default_rng(0)
    limits = robot.spec.limits
    configurations = limits.lower + rng.random((20, robot.dof)) * (limits.upper - limits.lower)
    position, rotation = robot.tool_poses(configurations)
    frame = arm.tool.parent if arm.tool else arm.tool_frame
    offset = pin.SE3.Identity()
    if arm.tool:
        offset = pin.SE3(pin.rpy.rpyToMatrix(*arm.tool.origin.rpy), np.array(arm.tool.origin.xyz))
    ids = [model.getFrameId(link, pin.FrameType.BODY) for link in (arm.base_frame, frame)]
    for q, p, r in zip(configurations, position, rotation, strict=True):
        whole = pin.neutral(model)
        for joint, value in zip(arm.joints, q, strict=True):
            at = model.joints[model.getJointId(joint)]
            whole[at.idx_q : at.idx_q + at.nq] = value if at.nq == 1 else (np.cos(value), np.sin(value))
        pin.framesForwardKinematics(model, data, whole)
        pose = data.oMf[ids[0]].actInv(data.oMf[ids[1]]) * offset
        np.testing.assert_allclose(p, pose.translation, rtol=0, atol=1e-12)
        np.testing.assert_allclose(r, pose.rotation, rtol=0, atol=1e-12)


def test_pandas_limits_are_the_urdfs_and_the_datasheets() -> None:
    limits = robot_model(find_arm("panda")).spec.limits
    assert limits.lower.tolist() == [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]
    assert limits.upper.tolist() == [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]
    assert limits.velocity.tolist() == [2.175] * 4 + [2.61] * 3
    assert limits.jerk[0] == 500 * limits.acceleration[0]


def test_unknown_and_missing_arms_are_named() -> None:
    with pytest.raises(RobotError, match=r"'panada'.*panda"):
        find_arm("panada")
    files = find_arm("panda").files
    assert isinstance(files, PackageFiles)
    with pytest.raises(RobotError, match="no-such-package"):
        replace(files, package="no-such-package").urdf()
    with pytest.raises(RobotError, match="is missing"):
        replace(files, urdf_file="nowhere.urdf").urdf()
