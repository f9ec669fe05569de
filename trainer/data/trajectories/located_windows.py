"""Windows whose places are known, in the order in which they are drawn, and batches copied out of shards from there."""

from collections.abc import Sequence

import numpy as np
import torch

from shared.order import IntArray
from trainer.data.batch_source import Batch
from trainer.data.trajectories.decoded_shard import DecodedShard, Steps, windows

_CHUNK = 2048
"""Windows copied at once where they are of several shards, or go to a GPU: for a batch alone, calls take too long."""


class LocatedWindows:
    """Windows of some shards, of which batches are parts."""

    def __init__(
        self, shards: Sequence[DecodedShard], places: IntArray, steps: Steps, horizon: int, device: torch.device
    ) -> None:
        """Takes the windows and their shards.

        Args:
            shards: that they are of.
            places: of the windows, (4, n): which of the shards, and in its arrays where the window's row
                begins, where that ends (its last step), and where the window begins.
            steps: what is seen of them.
            horizon: steps of a window.
            device: that batches are wanted on.
        """
        self._shards, self._places, self._steps = shards, places, steps
        self._horizon, self._device = horizon, device
        self._count: int = places.shape[1]
        self._chunk: tuple[int, Batch] | None = None

    def __len__(self) -> int:
        return self._count

    def batch(self, begin: int, end: int) -> Batch:
        """The windows from `begin` to `end` - 1, or fewer: to the last one, or to what is copied at once."""
        if len(self._shards) == 1 and self._device.type == "cpu":
            return self._of_shard(self._shards[0], self._places[:, begin:end])
        if self._chunk is None or not 0 <= begin - self._chunk[0] < len(self._chunk[1].actions):
            size = max(_CHUNK // (end - begin), 1) * (end - begin)
            self._chunk = begin, self._of_shards(self._places[:, begin : begin + size])
        first, (actions, condition, _) = self._chunk
        return Batch(actions[begin - first : end - first], condition[begin - first : end - first])

    def _of_shards(self, places: IntArray) -> Batch:
        """Copied shard by shard, and then into their order."""
        if len(self._shards) == 1:
            return self._of_shard(self._shards[0], places)
        order = np.argsort(places[0], kind="stable")
        borders = np.searchsorted(places[0][order], np.arange(1, len(self._shards)))
        parts = [
            self._of_shard(shard, own)
            for shard, own in zip(self._shards, np.split(places[:, order], borders, axis=1), strict=True)
            if own.shape[1]
        ]
        places_back = np.empty_like(order)
        places_back[order] = np.arange(len(order))
        back = torch.from_numpy(places_back).to(self._device)
        return Batch(
            torch.cat([part.actions for part in parts]).index_select(0, back),
            torch.cat([part.condition for part in parts]).index_select(0, back),
        )

    def _of_shard(self, shard: DecodedShard, places: IntArray) -> Batch:
        _, first, last, start = torch.from_numpy(places).to(shard.actions.device).unbind()
        actions = windows(shard.actions, start, self._horizon)
        condition = self._steps.condition(shard, actions, first, last, start)
        return Batch(actions.to(self._device), condition.to(self._device))
