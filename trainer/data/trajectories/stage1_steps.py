"""What Stage 1 sees of each time step of a trajectory: its normalized action, and the condition beside it.

`joint_position` and `ee_pose` are the window's own, step by step; where the actions are poses, the first is the paper's
and makes Stage 1 a map for each step alone, and where they are the same kind the target is a copy of the condition.
`objects` are of copies of demonstrations alone (copies/stage1.py).
`endpoints` are the first and last action of the window or of the whole motion: what lies between must be learned.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import ConfigError
from shared.records import list_column
from trainer.config import ActionName, HeadConfig, PretrainConfig, Stage1Condition
from trainer.data.action import GRIPPER, POSE_DIM, FloatArray, join_action, join_joint_action
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.decoded_shard import DecodedShard, windows


def condition_steps(condition: Stage1Condition | str, head: HeadConfig) -> int:
    """Steps of the condition, each of which a token conditioning makes a token."""
    return {"none": 0, "endpoints": 2, "objects": head.n_obs_steps}.get(condition, head.horizon)


class Stage1Steps:
    """Turns steps of trajectories into normalized actions and what the condition takes of each step.

    Attributes:
        columns: of the record.
        condition_dim: numbers in a window's condition.
        per_step: whether the condition has a part of its own for each step; else it is taken from the actions.
    """

    def __init__(self, config: PretrainConfig, normalizer: ActionNormalizer, dof: int) -> None:
        """Raises ConfigError where a range is missing, or is not of `dof` joints."""
        self.columns = ["trajectory_id", "joint_position", "ee_position", "ee_rotation_6d", "gripper"]
        self._action, self._condition, self._normalizer = config.head.action, config.condition, normalizer
        self._endpoints, self._horizon = config.endpoints, config.head.horizon
        joints = normalizer.joint_position
        if joints is not None and joints.low.size != dof and "joint_position" in (self._action, self._condition):
            raise ConfigError(
                f"action_range 'joint_position' is of {joints.low.size} joints, the dataset's arm has {dof}"
            )
        actions, part = self(np.zeros((1, dof), np.float32), np.zeros((1, POSE_DIM), np.float32))
        self.per_step = part is not None
        step_dim = (actions if part is None else part).shape[1]
        self.condition_dim: int = condition_steps(config.condition, config.head) * step_dim

    def __call__(self, joints: NDArray[Any], poses: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Actions (steps, action_dim), and each step's part of the condition where it has one, (steps, step_dim).

        Args:
            joints: [rad or m], (steps, dof).
            poses: `ee_pose` actions, (steps, 10).
        """
        actions = self._normalized(self._action, joints, poses)
        if self._condition in ("joint_position", "ee_pose"):
            return actions, self._normalized(self._condition, joints, poses)
        return actions, None

    def of_rows(self, rows: pa.Table) -> tuple[FloatArray, FloatArray | None]:
        """The same of all steps of some rows of a shard."""
        poses = commanded_poses(rows)
        return self(list_column(rows, "joint_position")[0].reshape(len(poses), -1), poses)

    def condition(self, decoded: DecodedShard, actions: Tensor, first: Tensor, last: Tensor, start: Tensor) -> Tensor:
        """The condition of windows (decoded_shard.Steps)."""
        if decoded.condition is not None:
            return windows(decoded.condition, start, self._horizon).flatten(1)
        if self._condition == "none":
            return actions.new_empty(len(actions), 0)
        if self._endpoints == "window":
            return actions[:, [0, self._horizon - 1]].flatten(1)
        return decoded.actions[torch.stack([first, last], dim=1)].flatten(1)

    def _normalized(self, kind: ActionName, joints: NDArray[Any], poses: FloatArray) -> FloatArray:
        if kind == "joint_position":
            return join_joint_action(self._normalizer.normalize_joints(joints), poses[..., GRIPPER])
        return self._normalizer.normalize_poses(poses)


def commanded_poses(rows: pa.Table) -> FloatArray:
    """`ee_pose` actions (steps, 10) of all steps of some rows."""
    gripper, _ = list_column(rows, "gripper")
    position, rotation = (list_column(rows, name)[0] for name in ("ee_position", "ee_rotation_6d"))
    return join_action(position.reshape(-1, 3), rotation.reshape(-1, 6), gripper)
