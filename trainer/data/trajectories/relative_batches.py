"""Stage 1's windows relative to their state: what a head learns that will see demonstrations so."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import ConfigError
from shared.follow import ShardSource, wait_for_shards
from shared.records import list_column
from trainer.config import PretrainConfig
from trainer.data.action import GRIPPER, FloatArray
from trainer.data.batch_source import Batch
from trainer.data.normalization import ActionNormalizer
from trainer.data.relative_actions import distances_in, relative, state_of_window
from trainer.data.trajectories.joined_batches import JoinedBatches
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches


class RelativeBatches:
    """A BatchSource that makes the windows of another relative to their own state (`state_of_window`).

    Endpoints, which are taken from the actions, are relative to it too; what else is seen stays as it is.
    """

    def __init__(
        self,
        absolute: TrajectoryBatches | JoinedBatches,
        normalizer: ActionNormalizer,
        config: PretrainConfig,
        device: torch.device,
    ) -> None:
        """Takes batches in the normalization of absolute actions, whose range has that of relative ones."""
        self._absolute, self._config = absolute, config
        self._scales = [
            torch.from_numpy(one).to(device)
            for pair in (normalizer.affine(), normalizer.of_relative().affine())
            for one in pair
        ]
        self._state = state_of_window(config.head)

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition."""
        return self._absolute.condition_dim

    @property
    def shards_seen(self) -> int | tuple[int, ...]:
        """The shards that the absolute batches have seen."""
        return self._absolute.shards_seen

    def next(self, tell: Callable[[str], None]) -> Batch:
        """The next batch."""
        return self._relative(self._absolute.next(tell))

    def validation(self) -> Batch | None:
        """Held-out windows; None where there are none."""
        held_out = self._absolute.validation()
        return None if held_out is None else self._relative(held_out)

    def motion_windows(self) -> FloatArray:
        """Windows of the absolute batches, relative to their state."""
        actions = torch.from_numpy(self._absolute.motion_windows()).to(self._scales[0].device)
        return self._made(actions, actions[:, self._state]).cpu().numpy()

    def state(self) -> dict[str, Any]:
        """The place of the absolute batches."""
        return self._absolute.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        self._absolute.restore(state)

    def _relative(self, batch: Batch) -> Batch:
        actions, condition = batch.actions, batch.condition
        state = actions[:, self._state]
        if self._config.condition == "endpoints":
            condition = self._made(condition.view(len(condition), 2, -1), state).flatten(1)
        return Batch(self._made(actions, state), condition)

    def _made(self, actions: Tensor, state: Tensor) -> Tensor:
        """Normalized actions (n, steps, action_dim) relative to those of a step (n, action_dim), normalized anew."""
        center, scale, new_center, new_scale = self._scales
        made = relative(actions * scale + center, (state * scale + center)[:, :GRIPPER], self._config.head.action)
        return (made - new_center) / new_scale


def distances_of(sources: Sequence[ShardSource], config: PretrainConfig) -> NDArray[np.float64]:
    """Between actions and states in the windows of each dataset's first shard, for `range_around`.

    Waits for the shards. Raises DatasetError as `wait_for_shards`, ConfigError where arms have other joints.
    """
    joints = config.head.action == "joint_position"
    column = "joint_position" if joints else "ee_position"
    parts = []
    for source in sources:
        state = wait_for_shards(source, 1, max_wait=config.max_wait)
        rows = source.read_shard(state.commits[0], [column, "gripper"])
        ends = np.cumsum(np.diff(list_column(rows, "gripper")[1]))
        values = list_column(rows, column)[0].reshape(int(ends[-1]), -1)
        parts.append(distances_in(np.split(values, ends[:-1]), config.head))
    if len({part.shape[1] for part in parts}) > 1:
        raise ConfigError("relative actions of joints need datasets of one arm")
    return np.concatenate(parts)
