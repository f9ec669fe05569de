"""What Stage 1 sees beside the noisy actions: a few steps, each like one action.

`joint_position` and `ee_pose` are the window's own, step by step; where the actions are poses, the first is the paper's
and makes Stage 1 a map for each step alone, and where they are the same kind the target is a copy of the condition.
`endpoints` are the first and last action of the window or of the whole motion: what lies between must be learned.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.action import GRIPPER, POSE_DIM, FloatArray, join_joint_action
from trainer.config import ActionName, PretrainConfig, Stage1Condition
from trainer.normalization import ActionNormalizer


def condition_steps(condition: Stage1Condition | str, horizon: int) -> int:
    """Steps of the condition, each of which a token conditioning makes a token."""
    return {"none": 0, "endpoints": 2}.get(condition, horizon)


class Stage1Windows:
    """Turns steps of trajectories into normalized actions and their condition.

    Attributes:
        condition_dim: numbers in the condition.
        sees_motion: whether the condition needs the first and last step of the whole motion.
    """

    def __init__(self, config: PretrainConfig, normalizer: ActionNormalizer, dof: int) -> None:
        self._head, self._condition, self._normalizer, self._dof = config.head, config.condition, normalizer, dof
        self.sees_motion = config.condition == "endpoints" and config.endpoints == "motion"
        step_dim = {"joint_position": dof + 1, "ee_pose": POSE_DIM}.get(config.condition, normalizer.action_dim)
        self.condition_dim = condition_steps(config.condition, config.head.horizon) * step_dim

    def __call__(self, steps: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        """Actions (n, horizon, action_dim) and condition (n, condition_dim), normalized.

        Args:
            steps: joints [rad] and poses of each window, (n, horizon, dof + 10); where `sees_motion` the motion's first
                and last step come after them, (n, horizon + 2, dof + 10).
        """
        horizon = self._head.horizon
        actions = self._normalized(self._head.action, steps)
        condition = np.empty((len(steps), 0), np.float32)
        if self._condition == "endpoints":
            condition = actions[:, [-2, -1]] if self.sees_motion else actions[:, [0, horizon - 1]]
        elif self._condition != "none":
            condition = self._normalized(self._condition, steps)
        return actions[:, :horizon], condition.reshape(len(steps), -1)

    def _normalized(self, action: ActionName, steps: NDArray[Any]) -> FloatArray:
        if action == "joint_position":
            joints = self._normalizer.normalize_joints(steps[..., : self._dof])
            return join_joint_action(joints, steps[..., GRIPPER])
        return self._normalizer.normalize_poses(steps[..., self._dof :])
