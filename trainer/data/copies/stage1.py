"""Stage 1 on copies of demonstrations: the head learns from where tool and objects are.

Stage 2 then learns the same from what it really sees, pictures for instance, with the head frozen: the decoupled action
head with a Stage 1 that knows the task.
"""

import numpy as np
import pyarrow as pa
from torch import Tensor

from shared.demonstrated_motions import DemonstratedMotions
from shared.errors import ConfigError
from shared.rotation import matrix_to_rot6d
from trainer.config import HeadConfig
from trainer.data.action import FloatArray
from trainer.data.copies.rows import copied_columns, copied_rows
from trainer.data.copies.scene import Scene, SceneOfCopies
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.decoded_shard import DecodedShard, windows
from trainer.data.trajectories.stage1_steps import commanded_poses

_POSE = 9
"""Numbers of a pose: position 3, rotation_6d 6."""


class ObjectSteps:
    """What Stage 1 sees of copies with condition `objects`: decoded_shard.Steps.

    A window's condition is where tool and objects would be seen at its first n_obs_steps, in the head's normalization.

    Attributes:
        columns: of the record.
        condition_dim: numbers in a window's condition.
        per_step: true.
    """

    per_step = True

    def __init__(self, motions: DemonstratedMotions, normalizer: ActionNormalizer, head: HeadConfig) -> None:
        """Raises ConfigError where the head's actions are no poses."""
        if head.action != "ee_pose":
            raise ConfigError(f"condition 'objects' is of tool poses; the head's actions are '{head.action}'")
        self._scenes, self._normalizer, self._n_obs_steps = SceneOfCopies(motions), normalizer, head.n_obs_steps
        self._objects = [thing.name for thing in motions.objects]
        self.columns = ["trajectory_id", *copied_columns(self._objects)]
        self.condition_dim = head.n_obs_steps * _POSE * (1 + len(self._objects))

    def of_rows(self, rows: pa.Table) -> tuple[FloatArray, FloatArray | None]:
        """Normalized actions (steps, 10) and poses of tool and objects (steps, 9 * (1 + O))."""
        scenes = [self._scenes.copied(row) for row in copied_rows(rows, self._objects)]
        return self._normalizer.normalize_poses(commanded_poses(rows)), np.concatenate(
            [self._normalized(scene) for scene in scenes]
        )

    def condition(self, decoded: DecodedShard, actions: Tensor, first: Tensor, last: Tensor, start: Tensor) -> Tensor:
        """Poses at the first n_obs_steps of windows, flattened."""
        assert decoded.condition is not None
        return windows(decoded.condition, start, self._n_obs_steps).flatten(1)

    def _normalized(self, scene: Scene) -> FloatArray:
        """(T, 9 * (1 + O)): positions as the head's actions are scaled, rotations as they are."""
        poses = np.concatenate([scene.position, matrix_to_rot6d(scene.rotation)], axis=-1)
        return self._normalizer.normalize_poses(poses.astype(np.float32)).reshape(len(poses), -1)
