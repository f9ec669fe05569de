"""Batches of windows of generated trajectories, from a dataset that is finished or still growing."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from shared.errors import TrainingError
from shared.follow import ShardSource
from shared.order import IntArray, PassOrder, SampleOrder, WindowSpan, is_validation, window_starts
from trainer.data.action import FloatArray
from trainer.data.batch_source import Batch
from trainer.data.motion_basis import MOST_WINDOWS
from trainer.data.trajectories.decoded_shard import DecodedShard, ShardDecoder, Steps
from trainer.data.trajectories.located_windows import LocatedWindows
from trainer.data.trajectories.shard_cache import GPU_SHARE, ShardCache

# Passes that training never reaches: held-out windows and those of the motion basis do not depend on how long it runs.
_VALIDATION_PASS = 2**32
_MOTION_PASS = 2**32 + 1
_STRETCH = 65_536
"""Windows whose places are found at once in a dataset that is held as one; else those of a block."""


class _Stretch(NamedTuple):
    """Windows that are drawn one after the other, of whole blocks.

    Attributes:
        pass_index: of the first of them.
        position: likewise, in its pass.
        pass_length: windows of a pass.
        windows: where they lie.
    """

    pass_index: int
    position: int
    pass_length: int
    windows: LocatedWindows

    def place(self, pass_index: int, position: int) -> int | None:
        """Which of them is at this position of a pass; None where none is."""
        place = (pass_index - self.pass_index) * self.pass_length + position - self.position
        return place if 0 <= place < len(self.windows) else None


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
        held_out: ids of those held out, instead of a share.
    """

    seed: int
    batch_size: int
    span: WindowSpan
    windows_per_row: int = 1
    validation_share: float = 0.0
    validation_windows: int = 0
    max_wait: float = 600.0
    left_out: frozenset[int] = frozenset()
    held_out: frozenset[int] | None = None

    def is_held_out(self, ids: IntArray) -> NDArray[np.bool_]:
        """Which trajectories, by their ids (n,), are held out."""
        if self.held_out is None:
            return is_validation(ids, self.validation_share)
        return np.isin(ids, list(self.held_out))


class TrajectoryBatches:
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
        """Opens a dataset.

        Args:
            source: of the shards.
            folder: that they are decoded into; for these steps alone.
            steps: what is seen of them.
            config: how the dataset is streamed.
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
            config.validation_share if config.held_out is None else 0.0,
            config.windows_per_row,
            left_out=config.left_out | (config.held_out or frozenset()),
        )
        self._shards = header.shards
        self._pass, self._position = 0, 0
        self._pass_length = len(self._order_of_pass(0))
        self._stretch: _Stretch | None = None
        if self._pass_length == 0:
            raise TrainingError(
                f"dataset {header.dataset_id[:12]} has no trajectory to train on: {header.count} in all, "
                f"{config.validation_share:.0%} held out; generate more of them"
            )

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition."""
        return self.cache.decoder.steps.condition_dim

    @property
    def pass_length(self) -> int:
        """Windows of a pass."""
        return self._pass_length

    def next(self, tell: Callable[[str], None]) -> Batch:
        """The next batch; waits for shards that are not there yet."""
        return self.draw(self._config.batch_size, tell)

    def draw(self, missing: int, tell: Callable[[str], None]) -> Batch:
        """The next so many windows, one or more, as `next` would give them."""
        pass_index, position, parts = self._pass, self._position, []
        while missing:
            if position == self._pass_length:
                pass_index, position = pass_index + 1, 0
            stretch, begin = self._stretch_at(pass_index, position, tell)
            part = stretch.windows.batch(begin, begin + missing)
            parts.append(part)
            taken = part.actions.shape[0]
            missing -= taken
            # The end of a pass is a position of its own, not yet the next one's beginning.
            passes, position = divmod(position + taken - 1, self._pass_length)
            pass_index, position = pass_index + passes, position + 1
        # Moved only now: a wait that is broken off must leave the place where it was.
        self._pass, self._position = pass_index, position
        if len(parts) == 1:
            return parts[0]
        return Batch(torch.cat([part.actions for part in parts]), torch.cat([part.condition for part in parts]))

    def validation(self) -> Batch | None:
        """Windows of held-out trajectories of the first shards; None where there are none among them."""
        shards = min(self._order.block_shards, self._shards)
        ids = np.arange(min(shards * self._order.shard_rows, self._order.count), dtype=np.int64)
        held_out = ids[self._config.is_held_out(ids)]
        if not held_out.size or not self._config.validation_windows:
            return None
        self.cache.wait(shards, lambda text: None)
        index = np.arange(self._config.validation_windows)
        samples = held_out[index % held_out.size], index // held_out.size
        return self._located(_VALIDATION_PASS, *samples).batch(0, len(index))

    @property
    def shards_seen(self) -> int:
        """Shards that training has come to, a function of its place."""
        if self._pass > 0:
            return self._shards
        order = self._order_of_pass(0)
        return int(order.blocks[order.block_of(max(0, self._position - 1))].max()) + 1

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
            parts.append(self._located(_MOTION_PASS, own, drawn).batch(0, len(own)).actions.cpu().numpy())
        return np.concatenate(parts)

    def state(self) -> dict[str, Any]:
        """The place of the next batch."""
        return {"pass": self._pass, "position": self._position, "watermark": self._shards}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        self._pass, self._position = int(state["pass"]), int(state["position"])

    def seek(self, window: int) -> None:
        """Goes to a window by its number, counted from 0 over all passes."""
        self._pass, self._position = divmod(window, self._pass_length)

    def _order_of_pass(self, index: int) -> PassOrder:
        return self._order.one_pass(index, self._shards, shuffle_shards=index > 0)

    def _stretch_at(self, pass_index: int, position: int, tell: Callable[[str], None]) -> tuple[_Stretch, int]:
        """Windows with that at this position of a pass among them, and which of them it is."""
        known = None if self._stretch is None else self._stretch.place(pass_index, position)
        if self._stretch is not None and known is not None:
            return self._stretch, known
        order = self._order_of_pass(pass_index)
        block = order.block_of(position)
        shards, first = order.blocks[block], int(order.ends[block - 1]) if block else 0
        needed = self._shards if pass_index > 0 else int(shards.max()) + 1
        self.cache.wait(needed, tell)
        whole = self.cache.whole() if needed == self._shards else None
        samples = self._order.samples(pass_index, block, self._shards, 1 if whole is None else _STRETCH)
        windows = self._located(*samples, whole)
        if whole is None:
            self.cache.expect(index for later in order.blocks[block + 1 : block + 2] for index in later.tolist())
        self._stretch = _Stretch(pass_index, first, self._pass_length, windows)
        return self._stretch, position - first

    def _located(
        self, passes: int | IntArray, ids: IntArray, draws: IntArray, whole: DecodedShard | None = None
    ) -> LocatedWindows:
        """The windows of these samples, in the whole dataset where it is there as one."""
        shards, which, first, length = self._rows(ids) if whole is None else _rows_of_one(whole, ids)
        start = first + window_starts(self._order.seed, passes, ids, draws, length, self._span)
        places = np.stack([which, first, first + length - 1, start])
        return LocatedWindows(shards, places, self.cache.decoder.steps, self._span.horizon, self._device)

    def _rows(self, ids: IntArray) -> "_Rows":
        number, row = np.divmod(ids, self._order.shard_rows)
        indices = np.flatnonzero(np.bincount(number)).tolist()
        shards = [self.cache.shard(index) for index in indices]
        which, first, length = (np.empty_like(ids) for _ in range(3))
        for place, (index, shard) in enumerate(zip(indices, shards, strict=True)):
            own = number == index
            which[own], first[own], length[own] = place, shard.first[row[own]], shard.length[row[own]]
        return shards, which, first, length


_Rows = tuple[list[DecodedShard], IntArray, IntArray, IntArray]
"""Shards that hold some rows, and of each row which of them does, its first step there and its length, (n,) each."""


def _rows_of_one(whole: DecodedShard, ids: IntArray) -> _Rows:
    return [whole], np.zeros_like(ids), whole.first[ids], whole.length[ids]
