"""Stage 1's batches: windows of generated trajectories, from a dataset that is finished or still growing."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from shared.errors import TrainingError
from shared.order import IntArray, PassOrder, SampleOrder, WindowSpan, is_validation, window_starts
from trainer.action import POSE_DIM, FloatArray
from trainer.batches import Batch
from trainer.config import PretrainConfig
from trainer.normalization import ActionNormalizer
from trainer.shard_cache import ShardCache
from trainer.stage1_condition import Stage1Windows

# A pass that training never reaches: held-out windows do not depend on how long it runs.
_VALIDATION_PASS = 2**32


class _Windows(NamedTuple):
    """Where windows lie: shard, first step of the row in it, the row's steps, and the window's start in the row."""

    shard: IntArray
    begin: IntArray
    length: IntArray
    start: IntArray


class TrajectoryStream:
    """A BatchSource over a dataset, in the functional order of shared.order.

    Pass 0 walks the shards in index order and waits for them; by its end the dataset is complete, and later passes
    shuffle the shards too. The place in it is (pass, position, watermark).
    """

    def __init__(
        self, cache: ShardCache, normalizer: ActionNormalizer, config: PretrainConfig, device: torch.device
    ) -> None:
        header = cache.source.header
        self._cache, self._config, self._device = cache, config, device
        self._windows = Stage1Windows(config, normalizer, header.robot.dof)
        self._batch = config.training.batch_size
        self._span = WindowSpan(config.head.horizon, config.head.n_obs_steps - 1, config.head.n_action_steps - 1)
        self._order = SampleOrder(
            config.training.seed, header.count, header.shard_rows, config.validation_share, config.windows_per_row
        )
        self._shards, self._dof = header.shards, header.robot.dof
        self._position = 0
        self._block: tuple[tuple[int, int], _Windows] | None = None
        self._pass = self._start_pass(0)
        if len(self._pass) == 0:
            raise TrainingError(
                f"dataset {header.dataset_id[:12]} has no trajectory to train on: {header.count} in all, "
                f"{config.validation_share:.0%} held out; generate more of them"
            )

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition."""
        return self._windows.condition_dim

    def next(self, tell: Callable[[str], None]) -> Batch:
        """The next batch; waits for shards that are not there yet."""
        place, position, parts = self._pass, self._position, []
        missing = self._batch
        while missing:
            if position == len(place):
                place, position = self._start_pass(place.pass_index + 1), 0
            part = self._part(place, position, missing, tell)
            parts.append(part)
            position, missing = position + len(part), missing - len(part)
        # Moved only now: a wait that is broken off must leave the place where it was.
        self._pass, self._position = place, position
        return self._to_batch(np.concatenate(parts))

    def validation(self) -> Batch | None:
        """Windows of held-out trajectories of the first shards; None where there are none among them."""
        shards = min(self._order.block_shards, self._shards)
        ids = np.arange(min(shards * self._order.shard_rows, self._order.count), dtype=np.int64)
        held_out = ids[is_validation(ids, self._config.validation_share)]
        if not held_out.size or not self._config.validation_windows:
            return None
        self._cache.wait(shards, lambda text: None)
        index = np.arange(self._config.validation_windows)
        samples = held_out[index % held_out.size], index // held_out.size
        return self._to_batch(self._gather(self._locate(_VALIDATION_PASS, *samples), slice(None)))

    def state(self) -> dict[str, Any]:
        """The place of the next batch."""
        return {"pass": self._pass.pass_index, "position": self._position, "watermark": self._shards}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        self._pass, self._position = self._start_pass(int(state["pass"])), int(state["position"])

    def _start_pass(self, index: int) -> PassOrder:
        return self._order.one_pass(index, self._shards, shuffle_shards=index > 0)

    def _part(self, place: PassOrder, position: int, n: int, tell: Callable[[str], None]) -> FloatArray:
        """Windows of up to `n` samples from `position` on, to the end of their block."""
        block = place.block_of(position)
        first, end = int(place.ends[block - 1]) if block else 0, int(place.ends[block])
        key = (place.pass_index, block)
        if self._block is None or self._block[0] != key:
            self._cache.wait(int(place.blocks[block].max()) + 1, tell)
            ids, draws = place.locate(first, end - first)
            self._block = key, self._locate(place.pass_index, ids, draws)
        return self._gather(self._block[1], slice(position - first, min(position - first + n, end - first)))

    def _locate(self, pass_index: int, ids: IntArray, draws: IntArray) -> "_Windows":
        """Where the windows of these samples lie; all of a block at once, since each call has a fixed cost."""
        shard, row = np.divmod(ids, self._order.shard_rows)
        begin, length = np.empty_like(ids), np.empty_like(ids)
        for index in np.unique(shard):
            offsets, chosen = self._cache.shard(int(index)).offsets, shard == index
            begin[chosen], length[chosen] = offsets[row[chosen]], np.diff(offsets)[row[chosen]]
        start = window_starts(self._order.seed, pass_index, ids, draws, length, self._span)
        return _Windows(shard, begin, length, start)

    def _gather(self, windows: "_Windows", part: slice) -> FloatArray:
        """Joints and poses (n, horizon, dof + 10), shard by shard; and the motions' first and last where asked for."""
        shard, begin, length, start = (values[part] for values in windows)
        # Past either end the edge step is repeated.
        inside = np.clip(start[:, None] + np.arange(self._span.horizon), 0, length[:, None] - 1)
        if self._windows.sees_motion:
            inside = np.concatenate([inside, np.zeros_like(length)[:, None], length[:, None] - 1], axis=1)
        steps = begin[:, None] + inside
        gathered = np.empty((*steps.shape, self._dof + POSE_DIM), np.float32)
        for index in np.unique(shard):
            chosen = np.flatnonzero(shard == index)
            gathered[chosen] = self._cache.shard(int(index)).samples[steps[chosen]]
        return gathered

    def _to_batch(self, steps: FloatArray) -> Batch:
        actions, condition = self._windows(steps)
        return Batch(torch.from_numpy(actions).to(self._device), torch.from_numpy(condition).to(self._device))
