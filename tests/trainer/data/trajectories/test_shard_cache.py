from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shared.dataset import Dataset
from shared.errors import CorruptShardError
from shared.manifest import Commit
from shared.order import WindowSpan
from shared.records import list_column
from tests.shared.example import HEADER, example_table
from trainer.config import PretrainConfig
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories import shard_cache
from trainer.data.trajectories.decoded_shard import ShardDecoder
from trainer.data.trajectories.shard_cache import ShardCache
from trainer.data.trajectories.stage1_steps import Stage1Steps

SPAN = WindowSpan(16, 1, 7)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Twelve shards of eight rows."""
    made = Dataset.create(tmp_path / "dataset", replace(HEADER, count=96))
    for index in range(12):
        made.publish(index, example_table(index, 8), 8, {})
    made.set_state("sealed")
    return made


def make(dataset: Dataset, folder: Path, *, max_bytes: float = 1e9, ahead: bool = True) -> ShardCache:
    steps = Stage1Steps(PretrainConfig(), ActionNormalizer(HEADER.action_range), 2)
    cache = ShardCache(dataset, folder, ShardDecoder(steps, SPAN), 1.0, max_bytes=max_bytes, ahead=ahead)
    cache.wait(12, lambda text: None)
    return cache


def _cached(folder: Path) -> set[int]:
    return {int(path.name[6:14]) for path in folder.glob("*.rows.npy")}


def _right(cache: ShardCache, index: int) -> bool:
    """That each row lies there, its first step once before it and its last so often that every window is whole."""
    joints, offsets = list_column(example_table(index, 8), "joint_position")
    gripper, rows = list_column(example_table(index, 8), "gripper")
    expected = np.concatenate([joints.reshape(-1, 2) / 3, gripper[:, None]], axis=1)
    found = cache.shard(index)
    assert found.condition is not None
    assert np.array_equal(found.length * 2, np.diff(offsets))
    for row, (first, length) in enumerate(zip(found.first, found.length, strict=True)):
        (_,), (last,) = SPAN.bounds(np.array([length]))
        steps = np.clip(np.arange(-1, last + 16), 0, length - 1) + rows[row]
        given = found.condition.numpy()[first - 1 : first + last + 16]
        if given.shape != (len(steps), 3) or np.abs(given - expected[steps]).max() > 1e-6:
            return False
    return len(found.actions) == len(found.condition)


def test_a_full_cache_drops_what_was_used_longest_ago_and_decodes_it_again(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "decoded"
    cache = make(dataset, folder, max_bytes=1)
    for index in range(8):
        assert _right(cache, index)
    assert _cached(folder) == set(range(shard_cache._KEPT))
    assert _right(cache, 0)
    assert _right(cache, 8)
    assert _right(cache, 9)
    assert _cached(folder) == {0, 3, 4, 5, 6, 7, 8, 9}
    cache.expect([1, 2])
    assert _right(cache, 1)
    assert _cached(folder) - {2} == {0, 1, 4, 5, 6, 7, 8, 9}


def test_what_an_earlier_process_left_is_used_and_counts(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "decoded"
    first = make(dataset, folder)
    for index in range(12):
        first.shard(index)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(times) == 36
    again = make(dataset, folder, max_bytes=1)
    assert _right(again, 11)
    assert _cached(folder) == set(range(4, 12))
    assert all(path.stat().st_mtime_ns == times[path.name] for path in folder.iterdir())


def test_what_was_announced_is_decoded_ahead_and_only_once(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def read_shard(commit: Commit, columns: Sequence[str] | None = None) -> pa.Table:
        read.append(commit.index)
        return example_table(commit.index, 8)

    monkeypatch.setattr(dataset, "read_shard", read_shard)
    cache = make(dataset, tmp_path / "decoded")
    cache.expect([3, 5])
    cache.expect([5, 3, 99])
    assert all(_right(cache, index) for index in (5, 3, 4))
    assert read == [3, 5, 4]
    inline = make(dataset, tmp_path / "inline", ahead=False)
    inline.expect([3])
    assert read == [3, 5, 4]
    assert _right(inline, 3)


def test_damage_found_ahead_is_said_when_the_shard_is_wanted(dataset: Dataset, tmp_path: Path) -> None:
    dataset.shard_path(2).write_bytes(b"PAR1")
    cache = make(dataset, tmp_path / "decoded")
    cache.expect([1, 2])
    assert _right(cache, 1)
    with pytest.raises(CorruptShardError, match=r"shard-00000002-[0-9a-f]{16}\.parquet"):
        cache.shard(2)
