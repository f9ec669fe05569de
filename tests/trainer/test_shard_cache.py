from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.dataset import Dataset
from shared.records import list_column
from tests.shared.example import HEADER, example_table
from trainer import shard_cache
from trainer.shard_cache import ShardCache


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Twelve shards of eight rows."""
    made = Dataset.create(tmp_path / "dataset", replace(HEADER, count=96))
    for index in range(12):
        made.publish(index, example_table(index, 8), 8, {})
    made.set_state("sealed")
    return made


def _cached(folder: Path) -> set[int]:
    return {int(path.name[6:14]) for path in folder.glob("*.offsets.npy")}


def _right(cache: ShardCache, index: int) -> bool:
    joints, offsets = list_column(example_table(index, 8), "joint_position")
    found = cache.shard(index)
    return np.array_equal(found.samples[:, :2], joints.reshape(-1, 2)) and np.array_equal(found.offsets * 2, offsets)


def test_a_full_cache_drops_what_was_used_longest_ago_and_decodes_it_again(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "decoded"
    cache = ShardCache(dataset, folder, 1.0, max_bytes=1)
    cache.wait(12, lambda text: None)
    for index in range(8):
        assert _right(cache, index)
    assert _cached(folder) == set(range(shard_cache._KEPT))
    assert _right(cache, 0)
    assert _right(cache, 8)
    assert _right(cache, 9)
    assert _cached(folder) == {0, 3, 4, 5, 6, 7, 8, 9}
    assert _right(cache, 1)
    assert _cached(folder) == {0, 1, 4, 5, 6, 7, 8, 9}


def test_what_an_earlier_process_left_is_used_and_counts(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "decoded"
    first = ShardCache(dataset, folder, 1.0)
    first.wait(12, lambda text: None)
    for index in range(12):
        first.shard(index)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(times) == 24
    again = ShardCache(dataset, folder, 1.0, max_bytes=1)
    again.wait(12, lambda text: None)
    assert _right(again, 11)
    assert _cached(folder) == set(range(4, 12))
    assert all(path.stat().st_mtime_ns == times[path.name] for path in folder.iterdir())
