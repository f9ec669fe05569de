from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.errors import ConfigError
from trainer.config import ActionName, HeadConfig, PretrainConfig
from trainer.normalization import ActionNormalizer
from trainer.stage1_condition import Stage1Windows, condition_steps

DOF = 2
RANGE = {
    "position": {"min": [-2.0] * 3, "max": [2.0] * 3},
    "joint_position": {"min": [-3.0] * DOF, "max": [3.0] * DOF},
}


def make(action: ActionName = "ee_pose", **settings: Any) -> Stage1Windows:
    config = PretrainConfig(head=HeadConfig(action=action), **settings)
    return Stage1Windows(config, ActionNormalizer(RANGE, action), DOF)


def draw(steps: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps of five windows; and the same as normalized poses and joints."""
    steps_ = np.random.default_rng(0).uniform(-1, 1, (5, steps, DOF + 10)).astype(np.float32)
    poses = np.concatenate([steps_[..., DOF : DOF + 3] / 2, steps_[..., DOF + 3 :]], axis=-1)
    joints = np.concatenate([steps_[..., :DOF] / 3, steps_[..., -1:]], axis=-1)
    return steps_, poses, joints


@pytest.mark.parametrize("action", ["ee_pose", "joint_position"])
def test_actions_and_every_condition(action: ActionName) -> None:
    steps, poses, joints = draw()
    expected = poses if action == "ee_pose" else joints
    conditions: dict[str, np.ndarray] = {
        "joint_position": joints.reshape(5, -1),
        "ee_pose": poses.reshape(5, -1),
        "endpoints": expected[:, [0, 15]].reshape(5, -1),
        "none": np.empty((5, 0)),
    }
    for condition, values in conditions.items():
        windows = make(action, condition=condition)
        assert not windows.sees_motion
        actions, given = windows(steps)
        assert np.abs(actions - expected).max() < 1e-6
        assert given.shape == (5, windows.condition_dim) == values.shape
        assert not values.size or np.abs(given - values).max() < 1e-6


def test_the_motions_endpoints_come_after_the_window() -> None:
    windows = make(condition="endpoints", endpoints="motion")
    assert windows.sees_motion
    steps, poses, _ = draw(18)
    actions, condition = windows(steps)
    assert np.abs(actions - poses[:, :16]).max() < 1e-6
    assert np.abs(condition.reshape(5, 2, 10) - poses[:, 16:]).max() < 1e-6


def test_steps_of_a_condition() -> None:
    steps = [condition_steps(name, 16) for name in ("joint_position", "ee_pose", "endpoints", "none")]
    assert steps == [16, 16, 2, 0]


def test_a_range_that_is_missing_is_said() -> None:
    config = PretrainConfig(condition="joint_position")
    positions = ActionNormalizer({"position": RANGE["position"]})
    with pytest.raises(ConfigError, match="no 'joint_position', which joint actions and"):
        Stage1Windows(config, positions, DOF)(draw()[0])
    with pytest.raises(ConfigError, match="no 'joint_position'"):
        ActionNormalizer({"position": RANGE["position"]}, "joint_position")
    joints = ActionNormalizer({"joint_position": RANGE["joint_position"]}, "joint_position")
    head = HeadConfig(action="joint_position")
    with pytest.raises(ConfigError, match="no 'position'"):
        Stage1Windows(replace(config, head=head, condition="ee_pose"), joints, DOF)(draw()[0])
