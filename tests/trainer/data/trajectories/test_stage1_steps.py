from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.errors import ConfigError
from trainer.config import ActionName, HeadConfig, PretrainConfig
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.stage1_steps import Stage1Steps, condition_steps

DOF = 2
RANGE = {
    "position": {"min": [-2.0] * 3, "max": [2.0] * 3},
    "joint_position": {"min": [-3.0] * DOF, "max": [3.0] * DOF},
}


def make(action: ActionName = "ee_pose", **settings: Any) -> Stage1Steps:
    config = PretrainConfig(head=HeadConfig(action=action), **settings)
    return Stage1Steps(config, ActionNormalizer(RANGE, action), DOF)


@pytest.mark.parametrize("action", ["ee_pose", "joint_position"])
def test_actions_and_every_condition(action: ActionName) -> None:
    steps = np.random.default_rng(0).uniform(-1, 1, (5, DOF + 10)).astype(np.float32)
    poses = np.concatenate([steps[:, DOF : DOF + 3] / 2, steps[:, DOF + 3 :]], axis=-1)
    joints = np.concatenate([steps[:, :DOF] / 3, steps[:, -1:]], axis=-1)
    expected = {"ee_pose": poses, "joint_position": joints}
    width = expected[action].shape[1]
    for condition, dim in (("joint_position", 48), ("ee_pose", 160), ("endpoints", 2 * width), ("none", 0)):
        made = make(action, condition=condition)
        actions, part = made(steps[:, :DOF], steps[:, DOF:])
        assert np.abs(actions - expected[action]).max() < 1e-6
        assert made.condition_dim == dim
        assert made.per_step == (part is not None) == (condition in expected)
        assert part is None or np.abs(part - expected[condition]).max() < 1e-6


def test_steps_of_a_condition() -> None:
    steps = [condition_steps(name, HeadConfig()) for name in ("joint_position", "ee_pose", "endpoints", "none")]
    assert steps == [16, 16, 2, 0]


def test_a_range_that_is_missing_is_said() -> None:
    config = PretrainConfig(condition="joint_position")
    positions = ActionNormalizer({"position": RANGE["position"]})
    with pytest.raises(ConfigError, match="no 'joint_position', which joint actions and"):
        Stage1Steps(config, positions, DOF)
    with pytest.raises(ConfigError, match="no 'joint_position'"):
        ActionNormalizer({"position": RANGE["position"]}, "joint_position")
    joints = ActionNormalizer({"joint_position": RANGE["joint_position"]}, "joint_position")
    head = HeadConfig(action="joint_position")
    with pytest.raises(ConfigError, match="no 'position'"):
        Stage1Steps(replace(config, head=head, condition="ee_pose"), joints, DOF)
