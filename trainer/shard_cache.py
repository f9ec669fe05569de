"""Shards decoded once into arrays that windows can be gathered from."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.follow import ShardSource, wait_for_shards
from shared.manifest import Commit, DatasetState
from shared.records import list_column
from trainer.action import FloatArray, join_action

_KEPT = 8
"""Shards that a batch may be gathered from: those of two blocks. They stay, however small the cache."""
_COLUMNS = ["trajectory_id", "joint_position", "ee_position", "ee_rotation_6d", "gripper"]


class DecodedShard(NamedTuple):
    """A shard's time steps, row after row.

    Attributes:
        samples: joints and `ee_pose` action of each step in rad and m, (steps, dof + 10), memory-mapped.
        offsets: first step of each row, and the end, (rows + 1,).
    """

    samples: FloatArray
    offsets: NDArray[np.int64]


class ShardCache:
    """Decodes each shard at its first use into .npy files, so that memory holds only what is being read.

    Beyond `max_bytes` on the disk, the shards that have not been used for longest go, to be decoded again when needed.
    """

    def __init__(self, source: ShardSource, folder: Path, max_wait: float, max_bytes: float = math.inf) -> None:
        self.source, self._folder, self._max_wait, self._max_bytes = source, folder, max_wait, max_bytes
        self._commits: dict[int, Commit] = {}
        self._shards: dict[int, DecodedShard] = {}
        # Bytes of each shard on the disk, the one used last at the end; an earlier process may have left some.
        found = ((int(path.name[6:14]), path.stat().st_size) for path in sorted(folder.glob("shard-????????.npy")))
        self._bytes: dict[int, int] = dict(found)

    def wait(self, watermark: int, tell: Callable[[str], None]) -> None:
        """Waits until shards 0 to `watermark` - 1 are committed; raises what `wait_for_shards` raises."""
        if all(index in self._commits for index in range(watermark)):
            return

        def on_wait(state: DatasetState) -> None:
            tell(f"waiting for shard {watermark} of {self.source.header.shards}, {state.watermark} are there")

        state = wait_for_shards(self.source, watermark, max_wait=self._max_wait, on_wait=on_wait)
        self._commits = {commit.index: commit for commit in state.commits}

    def shard(self, index: int) -> DecodedShard:
        """A shard that has been waited for. Raises CorruptShardError where it is not what was committed."""
        if index not in self._shards:
            samples, offsets = self._paths(index)
            if not offsets.exists():
                self._decode(index, samples, offsets)
            # A plain view: indexing a np.memmap costs more than the rows it returns.
            mapped = np.asarray(np.load(samples, mmap_mode="r"))
            self._shards[index] = DecodedShard(mapped, np.load(offsets))
            self._bytes.pop(index, None)
            self._bytes[index] = samples.stat().st_size
            self._make_room()
        self._bytes[index] = self._bytes.pop(index)
        return self._shards[index]

    def _make_room(self) -> None:
        """Removes the shards that have not been used for longest, while there are too many bytes."""
        while len(self._bytes) > _KEPT and sum(self._bytes.values()) > self._max_bytes:
            oldest = next(iter(self._bytes))
            samples, offsets = self._paths(oldest)
            # In this order: the offsets' presence says that both are whole.
            offsets.unlink(missing_ok=True)
            samples.unlink(missing_ok=True)
            self._shards.pop(oldest, None)
            del self._bytes[oldest]

    def _paths(self, index: int) -> tuple[Path, Path]:
        """Files of a decoded shard: its samples, and the first step of each row."""
        name = f"shard-{index:08d}"
        return self._folder / f"{name}.npy", self._folder / f"{name}.offsets.npy"

    def _decode(self, index: int, samples: Path, offsets: Path) -> None:
        table = self.source.read_shard(self._commits[index], columns=_COLUMNS)
        position, _ = list_column(table, "ee_position")
        rotation, _ = list_column(table, "ee_rotation_6d")
        gripper, row_offsets = list_column(table, "gripper")
        steps = len(gripper)
        joints = list_column(table, "joint_position")[0].reshape(steps, -1)
        action = join_action(position.reshape(steps, 3), rotation.reshape(steps, 6), gripper)
        self._folder.mkdir(parents=True, exist_ok=True)
        _save(samples, np.concatenate([joints, action], axis=1))
        # Written last: its presence says that both are whole.
        _save(offsets, row_offsets)


def _save(path: Path, values: NDArray[Any]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        np.save(file, values)
    os.replace(part, path)
