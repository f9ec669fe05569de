"""The functional sample order: which trajectory is sample `position` of a pass, and where its window starts.

Everything here is a pure function of its arguments: no shuffle buffer, no loader state. Changing workers or ranks
changes nothing, and a resumed run seeks directly. One pass draws every training trajectory exactly once (or
`windows_per_row` times).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.philox import UInt64Array, philox_uint64, philox_uniform

IntArray = NDArray[np.int64]

# Streams of permutations use ids that no trajectory has.
_SHARD_STREAM = np.array([2**62], np.int64)
_BLOCK_STREAM = 2**62 + 1
_NONE = np.empty(0, np.int64)
# The generator's attempts count up from 0 in the same streams; apart, a window's start says nothing of its trajectory.
_WINDOW_COUNTER = np.uint64(2**63)


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
    seed: int,
    pass_index: int | IntArray,
    trajectory_ids: IntArray,
    draws: IntArray,
    lengths: IntArray,
    span: "WindowSpan",
) -> IntArray:
    """First step of each sample's window; may lie before 0, where the first step is repeated.

    Args:
        seed: of the order.
        pass_index: of the pass, one for all or of each sample, shape (n,).
        trajectory_ids: shape (n,).
        draws: which of the trajectory's windows in this pass, 0 to windows_per_row - 1, shape (n,).
        lengths: samples T of each trajectory, shape (n,).
        span: which starts are allowed.

    Returns:
        Shape (n,), uniform over the allowed starts.
    """
    words = int(draws.max(initial=0)) + 1
    passes = np.broadcast_to(np.asarray(pass_index, np.int64), trajectory_ids.shape)
    counters = passes.astype(np.uint64) + _WINDOW_COUNTER
    if words == 1:
        uniform = philox_uniform(seed, trajectory_ids, counters, 1)[:, 0]
    else:
        # One stream of words for all windows of a trajectory in a pass.
        key = (passes - passes.min()) * (trajectory_ids.max() + 1) + trajectory_ids
        _, streams, place = np.unique(key, return_index=True, return_inverse=True)
        uniform = philox_uniform(seed, trajectory_ids[streams], counters[streams], words)[place, draws]
    first, last = span.bounds(lengths)
    return first + (uniform * (last - first + 1)).astype(np.int64)


def ascending(keys: UInt64Array) -> IntArray:
    """The places of keys in ascending order, along the last axis; of equal keys in the order in which they lie."""
    order = np.argsort(keys, axis=-1)
    ordered = np.take_along_axis(keys, order, axis=-1)
    # A quicksort takes a quarter of a stable sort's time, and differs from it only where two of these 64-bit keys are
    # equal.
    if np.any(ordered[..., 1:] == ordered[..., :-1]):
        order = np.argsort(keys, axis=-1, kind="stable")
    return order.astype(np.int64, copy=False)


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

    @cached_property
    def training_rows(self) -> IntArray:
        """How many rows of each shard are trained on, (shards,)."""
        shards = -(-self.count // self.shard_rows)
        return np.array([self.training_ids(shard).size for shard in range(shards)], np.int64)

    def samples(self, pass_index: int, block: int, watermark: int, least: int = 1) -> "Samples":
        """The samples from the beginning of a block on, in their order: of whole blocks, `least` or more.

        Args:
            pass_index: of the pass of the first block.
            block: its number in that pass.
            watermark: as in `one_pass`.
            least: samples; over as many blocks and passes as it takes.
        """
        parts: list[Samples] = []
        while least > 0:
            order = self.one_pass(pass_index, watermark, shuffle_shards=pass_index > 0)
            # Passes of one block are shuffled together, since each call has a fixed cost.
            passes = -(-least // len(order)) if len(order.blocks) == 1 else 1
            while block < len(order.blocks) and least > 0:
                parts.append(self._shuffled(order.blocks[block], block, pass_index, passes))
                least -= len(parts[-1].ids)
                block += 1
            pass_index, block = pass_index + passes, 0
        return parts[0] if len(parts) == 1 else Samples(*map(np.concatenate, zip(*parts, strict=True)))

    def _shuffled(self, shards: IntArray, block: int, pass_index: int, passes: int) -> "Samples":
        """The samples of a block of these shards, in each of some passes with the same shards."""
        ids = np.concatenate([self.training_ids(int(shard)) for shard in np.sort(shards)])
        each = np.arange(pass_index, pass_index + passes, dtype=np.int64)
        streams = np.full(passes, _BLOCK_STREAM + block, np.int64)
        keys = philox_uint64(self.seed, streams, each, ids.size * self.windows_per_row)
        row = ascending(keys).reshape(-1)
        draw = np.zeros_like(row)
        if self.windows_per_row > 1:
            row, draw = np.divmod(row, self.windows_per_row)
        return Samples(np.repeat(each, keys.shape[1]), ids[row], draw)

    def one_pass(self, pass_index: int, watermark: int, shuffle_shards: bool) -> "PassOrder":
        """The order of one pass over shards 0 to watermark - 1.

        Pass 0 of a growing dataset walks its shards in index order (`shuffle_shards` false), so that it can begin
        with the first block; its watermark is the whole dataset's.
        """
        shards = np.arange(watermark, dtype=np.int64)
        # In a single block, all are mixed anyway.
        if shuffle_shards and watermark > self.block_shards:
            keys = philox_uint64(self.seed, _SHARD_STREAM, pass_index, watermark)[0]
            shards = ascending(keys)
        return PassOrder(self, pass_index, shards)


class Samples(NamedTuple):
    """Samples in the order in which they are drawn, (n,) each: their pass, trajectory id, and draw."""

    passes: IntArray
    ids: IntArray
    draws: IntArray


class PassOrder:
    """One pass: positions 0 to len - 1, each a (trajectory, draw). Blocks of shards are shuffled within themselves."""

    def __init__(self, order: SampleOrder, pass_index: int, shards: IntArray) -> None:
        self.order = order
        self.pass_index = pass_index
        self.blocks = [shards[i : i + order.block_shards] for i in range(0, len(shards), order.block_shards)]
        sizes = [order.training_rows[block].sum() for block in self.blocks]
        self.ends = np.cumsum(np.asarray(sizes, np.int64)) * order.windows_per_row

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
        ids, draws, end = [_NONE], [_NONE], min(position + n, len(self))
        while position < end:
            block = self.block_of(position)
            first = int(self.ends[block - 1]) if block else 0
            own = self.order._shuffled(self.blocks[block], block, self.pass_index, 1)
            ids.append(own.ids[position - first : end - first])
            draws.append(own.draws[position - first : end - first])
            position = min(end, int(self.ends[block]))
        return np.concatenate(ids), np.concatenate(draws)
