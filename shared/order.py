"""The functional sample order: which trajectory is sample `position` of a pass, and where its window starts.

Everything here is a pure function of its arguments: no shuffle buffer, no loader state. Changing workers or ranks
changes nothing, and a resumed run seeks directly. One pass draws every training trajectory exactly once (or
`windows_per_row` times).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.philox import philox_uint64, philox_uniform

IntArray = NDArray[np.int64]

# Streams of permutations use ids that no trajectory has.
_SHARD_STREAM = np.array([2**62], np.int64)
_BLOCK_STREAM = 2**62 + 1
# The generator's attempts count up from 0 in the same streams; apart, a window's start says nothing of its trajectory.
_WINDOW_COUNTER = 2**63


def is_validation(trajectory_ids: IntArray, share: float) -> NDArray[np.bool_]:
    """Which trajectories are held out: a hash of the id (SplitMix64), so that it depends on nothing else.

    Args:
        trajectory_ids: any shape.
        share: of trajectories held out, 0 to 1, in steps of 1/1000.
    """
    with np.errstate(over="ignore"):
        x = trajectory_ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return np.asarray(x % np.uint64(1000) < np.uint64(round(1000 * share)))


def window_starts(
    seed: int, pass_index: int, trajectory_ids: IntArray, draws: IntArray, lengths: IntArray, span: "WindowSpan"
) -> IntArray:
    """First step of each sample's window; may lie before 0, where the first step is repeated.

    Args:
        seed: of the order.
        pass_index: of the pass.
        trajectory_ids: shape (n,).
        draws: which of the trajectory's windows in this pass, 0 to windows_per_row - 1, shape (n,).
        lengths: samples T of each trajectory, shape (n,).
        span: which starts are allowed.

    Returns:
        Shape (n,), uniform over the allowed starts.
    """
    words = int(draws.max(initial=0)) + 1
    uniform = philox_uniform(seed, trajectory_ids, _WINDOW_COUNTER + pass_index, words)
    uniform = uniform[np.arange(trajectory_ids.size), draws]
    first, last = span.bounds(lengths)
    return first + (uniform * (last - first + 1)).astype(np.int64)


@dataclass(frozen=True)
class WindowSpan:
    """Windows of `horizon` steps that may reach past either end, where the edge step is repeated.

    Attributes:
        horizon: steps in a window.
        before: steps a window may begin before the first one (n_obs_steps - 1).
        after: steps it may reach past the last one (n_action_steps - 1).
    """

    horizon: int
    before: int
    after: int

    def bounds(self, lengths: IntArray) -> tuple[IntArray, IntArray]:
        """First and last allowed start for trajectories of these lengths."""
        first = np.full(lengths.shape, -self.before, np.int64)
        return first, np.maximum(first, lengths - self.horizon + self.after)


@dataclass(frozen=True)
class SampleOrder:
    """How a dataset is walked.

    Attributes:
        seed: of the order.
        count: trajectories in the whole dataset.
        shard_rows: rows of every shard but the last.
        validation_share: of trajectories held out by `is_validation`.
        windows_per_row: windows drawn from each trajectory in one pass.
        block_shards: shards that are mixed with one another; also how many a reader holds at once.
        left_out: ids of trajectories that are not trained on.
    """

    seed: int
    count: int
    shard_rows: int
    validation_share: float = 0.0
    windows_per_row: int = 1
    block_shards: int = 4
    left_out: frozenset[int] = frozenset()

    def training_ids(self, shard: int) -> IntArray:
        """Ids of shard `shard` that are trained on, ascending."""
        ids = np.arange(shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.count), dtype=np.int64)
        if self.left_out:
            ids = ids[[one not in self.left_out for one in ids.tolist()]]
        return ids[~is_validation(ids, self.validation_share)] if self.validation_share else ids

    def one_pass(self, pass_index: int, watermark: int, shuffle_shards: bool) -> "PassOrder":
        """The order of one pass over shards 0 to watermark - 1.

        Pass 0 of a growing dataset walks its shards in index order (`shuffle_shards` false), so that it can begin
        with the first block; its watermark is the whole dataset's.
        """
        shards = np.arange(watermark, dtype=np.int64)
        if shuffle_shards:
            keys = philox_uint64(self.seed, _SHARD_STREAM, pass_index, watermark)[0]
            shards = np.argsort(keys, kind="stable").astype(np.int64)
        return PassOrder(self, pass_index, shards)


class PassOrder:
    """One pass: positions 0 to len - 1, each a (trajectory, draw). Blocks of shards are shuffled within themselves."""

    def __init__(self, order: SampleOrder, pass_index: int, shards: IntArray) -> None:
        self.order = order
        self.pass_index = pass_index
        self.blocks = [shards[i : i + order.block_shards] for i in range(0, len(shards), order.block_shards)]
        sizes = [sum(order.training_ids(int(s)).size for s in block) for block in self.blocks]
        self.ends = np.cumsum(np.asarray(sizes, np.int64)) * order.windows_per_row
        self._cached_block: tuple[int, IntArray] | None = None

    def __len__(self) -> int:
        return int(self.ends[-1]) if self.ends.size else 0

    def block_of(self, position: int) -> int:
        """Index in `blocks` of the block that holds `position`."""
        return int(np.searchsorted(self.ends, position, side="right"))

    def locate(self, position: int, n: int) -> tuple[IntArray, IntArray]:
        """The samples at positions `position` to `position` + n - 1.

        Returns:
            trajectory ids and draws, each of shape (n,), or fewer at the end of the pass.
        """
        ids, end = [], min(position + n, len(self))
        while position < end:
            block = self.block_of(position)
            first = int(self.ends[block - 1]) if block else 0
            ids.append(self._block(block)[position - first : end - first])
            position = min(end, int(self.ends[block]))
        flat = np.concatenate(ids) if ids else np.empty(0, np.int64)
        return flat // self.order.windows_per_row, flat % self.order.windows_per_row

    def _block(self, block: int) -> IntArray:
        """The block's shuffled samples as trajectory_id * windows_per_row + draw."""
        if self._cached_block is None or self._cached_block[0] != block:
            order = self.order
            ids = np.concatenate([order.training_ids(int(shard)) for shard in np.sort(self.blocks[block])])
            samples = (ids[:, None] * order.windows_per_row + np.arange(order.windows_per_row)).reshape(-1)
            stream = np.array([_BLOCK_STREAM + block], np.int64)
            keys = philox_uint64(order.seed, stream, self.pass_index, samples.size)[0]
            self._cached_block = block, samples[np.argsort(keys, kind="stable")]
        return self._cached_block[1]
