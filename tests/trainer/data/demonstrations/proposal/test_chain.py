"""An arm's kinematics out of its URDF, against the service's own."""

import numpy as np
import pytest

from services.catalogue import ARMS
from services.synthesis.arm.robot_model import robot_model
from shared.errors import RobotError
from shared.rotation import geodesic_angle, matrix_to_rotvec
from tests.services.catalogue.own import GANTRY, own
from tests.trainer.data.demonstrations.proposal.example import chain_of
from trainer.data.demonstrations.proposal.chain import read_chain


@pytest.mark.parametrize("robot", ["panda", "so101", "ur5", "xarm7"])
def test_poses_are_the_services(robot: str) -> None:
    chain, model = chain_of(robot), robot_model(ARMS[robot])
    assert chain.names == model.spec.joint_names
    limits = model.spec.limits
    q = np.random.default_rng(0).uniform(limits.lower, limits.upper, (50, model.dof))
    position, rotation = chain.tool_poses(q)
    expected = model.tool_poses(q)
    assert np.abs(position - expected[0]).max() < 1e-9
    assert geodesic_angle(rotation, expected[1]).max() < 1e-7
    assert np.linalg.norm(position, axis=1).max() < chain.reach


def test_the_jacobian_is_the_motion() -> None:
    chain = chain_of("panda")
    q = np.random.default_rng(0).uniform(-1, 1, (4, chain.dof))
    pose, jacobian = chain.tool_poses_and_jacobian(q)
    for j in range(chain.dof):
        moved = chain.tool_poses(q + 1e-6 * np.eye(chain.dof)[j])
        turn = matrix_to_rotvec(moved[1] @ np.swapaxes(pose[1], 1, 2))
        assert np.abs(np.c_[moved[0] - pose[0], turn] / 1e-6 - jacobian[:, :, j]).max() < 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((b"<robot", b"<!DOCTYPE robot><robot"), "document type"),
        ((b'type="prismatic"', b'type="planar"'), "does not move as an arm's joints do"),
        ((b'xyz="', b'xyz="x '), "is not 3 numbers"),
    ],
)
def test_what_is_no_arm_is_refused(change: tuple[bytes, bytes], message: str) -> None:
    with pytest.raises(RobotError, match=message):
        read_chain(GANTRY.encode().replace(*change), "arm.urdf", "tool")


def test_a_joint_that_slides() -> None:
    chain, model = read_chain(GANTRY.encode(), "gantry", "tool"), robot_model(own())
    assert chain.names == model.spec.joint_names
    q = np.random.default_rng(0).uniform(-0.4, 0.4, (50, model.dof))
    (position, rotation), expected = chain.tool_poses(q), model.tool_poses(q)
    assert np.abs(position - expected[0]).max() < 1e-9
    assert geodesic_angle(rotation, expected[1]).max() < 1e-7


def test_a_link_that_is_not_there_is_named() -> None:
    arm = ARMS["so101"]
    with pytest.raises(RobotError, match="so101: has no link 'hand'"):
        read_chain(arm.files.urdf(), "so101", "hand")
    with pytest.raises(RobotError, match=r"link 'base_link' is not below 'gripper_frame_link'"):
        read_chain(arm.files.urdf(), "so101", "base_link", "gripper_frame_link")
