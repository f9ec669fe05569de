"""Batches of windows of generated trajectories, from a dataset that is finished or still growing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shared.errors import ConfigError, TrainingError
from shared.follow import ShardSource
from shared.motions_file import motions_of
from shared.order import IntArray, PassOrder, SampleOrder, WindowSpan, is_validation, window_starts
from trainer.config import PretrainConfig
from trainer.data.action import FloatArray
from trainer.data.batches import Batch
from trainer.data.copies.stage1 import ObjectSteps
from trainer.data.motion_basis import MOST_WINDOWS
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.decoded_shard import DecodedShard, ShardDecoder, Steps, windows
from trainer.data.trajectories.shard_cache import GPU_SHARE, ShardCache
from trainer.data.trajectories.stage1_steps import Stage1Steps

# Passes that training never reaches: held-out windows and those of the motion basis do not depend on how long it runs.
_VALIDATION_PASS = 2**32
_MOTION_PASS = 2**32 + 1
_CHUNK = 4096
"""Windows copied at once, of which batches are parts: for one batch alone, calls would take longer than copying."""


class _Windows(NamedTuple):
    """Where windows lie: shard, and in its arrays the first and last step of the row and of the window the first."""

    shard: IntArray
    first: IntArray
    last: IntArray
    start: IntArray


@dataclass(frozen=True)
class StreamConfig:
    """How a dataset is streamed.

    Attributes:
        seed: of the order.
        batch_size: windows in a batch.
        span: of the windows.
        windows_per_row: windows drawn from each trajectory in one pass.
        validation_share: of trajectories held out, by hash of their id.
        validation_windows: held-out windows, at most.
        max_wait: seconds without a new shard before giving up.
        left_out: ids of trajectories that are not trained on.
    """

    seed: int
    batch_size: int
    span: WindowSpan
    windows_per_row: int = 1
    validation_share: float = 0.0
    validation_windows: int = 0
    max_wait: float = 600.0
    left_out: frozenset[int] = frozenset()


class TrajectoryStream:
    """A BatchSource over a dataset, in the functional order of shared.order.

    Pass 0 walks the shards in index order and waits for them; by its end the dataset is complete, and later passes
    shuffle the shards too. The place in it is (pass, position, watermark).

    Attributes:
        cache: of its shards.
    """

    def __init__(
        self,
        source: ShardSource,
        folder: Path,
        steps: Steps,
        config: StreamConfig,
        device: torch.device,
        *,
        cache_bytes: float = math.inf,
        gpu_share: float = GPU_SHARE,
        ahead: bool = True,
    ) -> None:
        """Opens the stream of a dataset.

        Args:
            source: of the shards.
            folder: that they are decoded into; for these steps alone.
            steps: what is seen of them.
            config: of the stream.
            device: that batches are wanted on.
            cache_bytes: of decoded shards kept, beyond those that a batch needs.
            gpu_share: of a GPU's free memory, what they may take.
            ahead: decode the next block's shards in a thread of its own.

        Raises:
            TrainingError: every trajectory is held out.
        """
        header = source.header
        self._config, self._device = config, device
        self._span = config.span
        decoder = ShardDecoder(steps, self._span)
        self.cache = ShardCache(
            source,
            folder,
            decoder,
            config.max_wait,
            max_bytes=cache_bytes,
            device=device,
            gpu_share=gpu_share,
            ahead=ahead,
        )
        self._order = SampleOrder(
            config.seed,
            header.count,
            header.shard_rows,
            config.validation_share,
            config.windows_per_row,
            left_out=config.left_out,
        )
        self._shards = header.shards
        self._position = 0
        self._block: tuple[tuple[int, int], _Windows] | None = None
        self._chunk: tuple[tuple[int, int, int], Batch] | None = None
        self._pass = self._start_pass(0)
        if len(self._pass) == 0:
            raise TrainingError(
                f"dataset {header.dataset_id[:12]} has no trajectory to train on: {header.count} in all, "
                f"{config.validation_share:.0%} held out; generate more of them"
            )

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition."""
        return self.cache.decoder.steps.condition_dim

    def next(self, tell: Callable[[str], None]) -> Batch:
        """The next batch; waits for shards that are not there yet."""
        return self.draw(self._config.batch_size, tell)

    def draw(self, missing: int, tell: Callable[[str], None]) -> Batch:
        """The next so many windows, one or more, as `next` would give them."""
        place, position, parts = self._pass, self._position, []
        while missing:
            if position == len(place):
                place, position = self._start_pass(place.pass_index + 1), 0
            part = self._part(place, position, missing, tell)
            parts.append(part)
            taken = len(part.actions)
            position, missing = position + taken, missing - taken
        # Moved only now: a wait that is broken off must leave the place where it was.
        self._pass, self._position = place, position
        if len(parts) == 1:
            return parts[0]
        return Batch(torch.cat([part.actions for part in parts]), torch.cat([part.condition for part in parts]))

    def validation(self) -> Batch | None:
        """Windows of held-out trajectories of the first shards; None where there are none among them."""
        shards = min(self._order.block_shards, self._shards)
        ids = np.arange(min(shards * self._order.shard_rows, self._order.count), dtype=np.int64)
        held_out = ids[is_validation(ids, self._config.validation_share)]
        if not held_out.size or not self._config.validation_windows:
            return None
        self.cache.wait(shards, lambda text: None)
        index = np.arange(self._config.validation_windows)
        samples = held_out[index % held_out.size], index // held_out.size
        return self._gather(self._locate(_VALIDATION_PASS, *samples), slice(None))

    @property
    def shards_seen(self) -> int:
        """Shards that training has come to, a function of its place."""
        if self._pass.pass_index > 0:
            return self._shards
        last = self._pass.block_of(max(0, self._position - 1))
        return int(self._pass.blocks[last].max()) + 1

    def motion_windows(self, shards: int | None = None, count: int | None = None) -> FloatArray:
        """Windows of training trajectories of the first shards, evenly spread, in one walk.

        Args:
            shards: how many; waits for them. None is `shards_seen`.
            count: windows, several of a trajectory where there are fewer trajectories; None is one of each, up to
                MOST_WINDOWS.

        Returns:
            Normalized actions, (n, horizon, action_dim) float32.
        """
        shards = self.shards_seen if shards is None else shards
        self.cache.wait(shards, lambda text: None)
        ids = np.concatenate([self._order.training_ids(index) for index in range(shards)])
        count = min(MOST_WINDOWS, len(ids)) if count is None else count
        chosen = ids[np.linspace(0, len(ids) - 1, count).round().astype(np.int64)]
        # Of windows of one trajectory, which lie side by side, each is another draw.
        draws = np.arange(count) - np.searchsorted(chosen, chosen)
        border = np.flatnonzero(np.diff(chosen // self._order.shard_rows)) + 1
        parts = []
        for own, drawn in zip(np.split(chosen, border), np.split(draws, border), strict=True):
            where = self._locate(_MOTION_PASS, own, drawn)
            parts.append(self._gather(where, slice(None)).actions.cpu().numpy())
        return np.concatenate(parts)

    def state(self) -> dict[str, Any]:
        """The place of the next batch."""
        return {"pass": self._pass.pass_index, "position": self._position, "watermark": self._shards}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        self._pass, self._position = self._start_pass(int(state["pass"])), int(state["position"])

    def _start_pass(self, index: int) -> PassOrder:
        return self._order.one_pass(index, self._shards, shuffle_shards=index > 0)

    def _part(self, place: PassOrder, position: int, n: int, tell: Callable[[str], None]) -> Batch:
        """Windows of up to `n` samples from `position` on, to the end of their chunk."""
        block = place.block_of(position)
        first, end = int(place.ends[block - 1]) if block else 0, int(place.ends[block])
        chunk, begin = divmod(position - first, _CHUNK)
        key = (place.pass_index, block, chunk)
        if self._chunk is None or self._chunk[0] != key:
            where = self._block_windows(place, block, first, end, tell)
            self._chunk = key, self._gather(where, slice(chunk * _CHUNK, (chunk + 1) * _CHUNK))
        actions, condition, _ = self._chunk[1]
        return Batch(actions[begin : begin + n], condition[begin : begin + n])

    def _block_windows(
        self, place: PassOrder, block: int, first: int, end: int, tell: Callable[[str], None]
    ) -> "_Windows":
        """Where the windows of a block lie, which are the samples from `first` to `end` - 1."""
        key = (place.pass_index, block)
        if self._block is None or self._block[0] != key:
            self.cache.wait(int(place.blocks[block].max()) + 1, tell)
            ids, draws = place.locate(first, end - first)
            self._block = key, self._locate(place.pass_index, ids, draws)
            self.cache.expect(index for shards in place.blocks[block + 1 : block + 2] for index in shards.tolist())
        return self._block[1]

    def _locate(self, pass_index: int, ids: IntArray, draws: IntArray) -> _Windows:
        """Where the windows of these samples lie; all of a block at once, since each call has a fixed cost."""
        shard, row = np.divmod(ids, self._order.shard_rows)
        first, length = np.empty_like(ids), np.empty_like(ids)
        for index in np.unique(shard):
            decoded, chosen = self.cache.shard(int(index)), shard == index
            first[chosen], length[chosen] = decoded.first[row[chosen]], decoded.length[row[chosen]]
        start = window_starts(self._order.seed, pass_index, ids, draws, length, self._span)
        return _Windows(shard, first, first + length - 1, first + start)

    def _gather(self, where: _Windows, part: slice) -> Batch:
        """The windows of a part, copied shard by shard."""
        shard = where.shard[part]
        first, last, start = (torch.from_numpy(values[part]) for values in where[1:])
        actions: Tensor | None = None
        condition: Tensor | None = None
        for index in np.unique(shard):
            rows = torch.from_numpy(np.flatnonzero(shard == index))
            decoded = self.cache.shard(int(index))
            own = self._windows(decoded, first[rows], last[rows], start[rows])
            if actions is None or condition is None:
                actions, condition = (part.new_empty(len(shard), *part.shape[1:], device=self._device) for part in own)
            rows = rows.to(self._device)
            actions.index_copy_(0, rows, own[0].to(self._device))
            condition.index_copy_(0, rows, own[1].to(self._device))
        assert actions is not None
        assert condition is not None
        return Batch(actions, condition)

    def _windows(self, decoded: DecodedShard, first: Tensor, last: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (n, horizon, action_dim) and condition (n, condition_dim) of windows of one shard."""
        device, horizon = decoded.actions.device, self._span.horizon
        start = start.to(device)
        actions = windows(decoded.actions, start, horizon)
        steps = self.cache.decoder.steps
        return actions, steps.condition(decoded, actions, first.to(device), last.to(device), start)


def _stage1_steps(source: ShardSource, normalizer: ActionNormalizer, config: PretrainConfig) -> Steps:
    """What Stage 1 sees of the dataset's time steps. Raises ConfigError."""
    if config.condition != "objects":
        return Stage1Steps(config, normalizer, source.header.robot.dof)
    motions = motions_of(source)
    if motions is None:
        raise ConfigError(
            f"dataset {source.header.dataset_id[:12]} has no objects: condition 'objects' is for copies of "
            "demonstrations (docs/copies.md)"
        )
    return ObjectSteps(motions, normalizer, config.head)


def stage1_stream(
    source: ShardSource,
    folder: Path,
    normalizer: ActionNormalizer,
    config: PretrainConfig,
    device: torch.device,
    *,
    cache_bytes: float = math.inf,
    number: int = 0,
    of: int = 1,
    ahead: bool = True,
) -> TrajectoryStream:
    """The stream of Stage 1.

    Args:
        source, folder, normalizer, device, cache_bytes, ahead: as above.
        config: of the stage.
        number: of this dataset among `of` that are joined, from 0. Each has an order of its own, and an equal part of
            what may be kept.
        of: datasets that are joined.

    Raises ConfigError where a range that its condition needs is missing, TrainingError as above.
    """
    head, training = config.head, config.training
    own = StreamConfig(
        # A run's seed is below 2^32.
        seed=training.seed + (number << 32),
        batch_size=training.batch_size,
        span=WindowSpan(head.horizon, head.n_obs_steps - 1, head.n_action_steps - 1),
        windows_per_row=config.windows_per_row,
        validation_share=config.validation_share,
        validation_windows=config.validation_windows,
        max_wait=config.max_wait,
    )
    steps = _stage1_steps(source, normalizer, config)
    return TrajectoryStream(
        source, folder, steps, own, device, cache_bytes=cache_bytes / of, gpu_share=GPU_SHARE / of, ahead=ahead
    )
