from dataclasses import replace

import numpy as np
import pytest

from services.catalogue import ARMS, find_arm
from services.synthesis.robot_model import robot_model
from shared.errors import RobotError


@pytest.mark.parametrize("name", list(ARMS))
def test_an_entry_describes_its_arm(name: str) -> None:
    arm, robot = find_arm(name), robot_model(name)
    limits = robot.spec.limits
    assert robot.spec.joint_names == arm.joints
    assert ((np.array(arm.home) > limits.lower) & (np.array(arm.home) < limits.upper)).all()
    assert arm.limits_source
    assert len(arm.content_hash) == 64
    assert replace(arm, jerk=tuple(2 * j for j in arm.jerk)).content_hash != arm.content_hash


def test_pandas_limits_are_the_urdfs_and_the_datasheets() -> None:
    limits = robot_model("panda").spec.limits
    assert limits.lower.tolist() == [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]
    assert limits.upper.tolist() == [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]
    assert limits.velocity.tolist() == [2.175] * 4 + [2.61] * 3
    assert limits.jerk[0] == 500 * limits.acceleration[0]


def test_unknown_and_missing_arms_are_named() -> None:
    with pytest.raises(RobotError, match=r"'panada'.*panda"):
        find_arm("panada")
    with pytest.raises(RobotError, match="no-such-package"):
        _ = replace(find_arm("panda"), package="no-such-package").urdf_path
    with pytest.raises(RobotError, match="is missing"):
        _ = replace(find_arm("panda"), urdf="nowhere.urdf").urdf_path
