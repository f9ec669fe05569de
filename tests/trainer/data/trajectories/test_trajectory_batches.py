import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shared.dataset import Dataset
from shared.errors import CorruptShardError, DatasetStalledError, TrainingError
from shared.order import SampleOrder
from shared.records import list_column
from tests.shared.example import HEADER, OTHER, example_table
from tests.trainer.example import make_dataset, training
from trainer.config import PretrainConfig
from trainer.data.batch_source import Batch
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches


def make_stream(dataset: Dataset, folder: Path, ahead: bool = True, **settings: Any) -> TrajectoryBatches:
    config = PretrainConfig(training=training(1, batch_size=7), **({"validation_share": 0.0} | settings))
    normalizer = ActionNormalizer(HEADER.action_range)
    return dataset_batches(dataset, folder / "decoded", normalizer, config, torch.device("cpu"), ahead=ahead)


def batches(stream: TrajectoryBatches, n: int) -> list[Batch]:
    return [stream.next(lambda text: None) for _ in range(n)]


def rows() -> Iterator[tuple[int, np.ndarray]]:
    """Id and joints, positions, rotations and grippers (T, 12) of every row, from the tables themselves."""
    for index in range(HEADER.shards):
        table = example_table(index, HEADER.rows_in(index))
        columns = [("joint_position", 2), ("ee_position", 3), ("ee_rotation_6d", 6), ("gripper", 1)]
        parts = {name: list_column(table, name) for name, _ in columns}
        for row in range(table.num_rows):
            values = []
            for name, width in columns:
                flat, offsets = parts[name]
                values.append(flat[offsets[row] : offsets[row + 1]].reshape(-1, width))
            yield index * HEADER.shard_rows + row, np.concatenate(values, axis=1)


def find(window: np.ndarray, sources: dict[int, np.ndarray]) -> tuple[int, int]:
    """Trajectory and start of a window: its middle steps are found by value, then all its steps are compared."""
    for trajectory, values in sources.items():
        hits = np.flatnonzero(np.abs(values[:, 2:5] - window[8, :3]).max(axis=1) < 1e-6)
        for hit in hits:
            for start in range(hit - 15, hit + 1):
                steps = np.clip(np.arange(start, start + 16), 0, len(values) - 1)
                if np.abs(values[steps][:, 2:] - window).max() < 1e-6:
                    return trajectory, start
    raise AssertionError("a window of no trajectory")


def test_windows_are_the_rows_with_their_edges_repeated_and_one_for_each_row(tmp_path: Path) -> None:
    sources = dict(rows())
    stream = make_stream(make_dataset(tmp_path), tmp_path)
    windows = np.concatenate([batch.actions.numpy() for batch in batches(stream, 6)])[:40]
    for one_pass in (windows[:20], windows[20:]):
        found = [find(window, sources) for window in one_pass]
        assert sorted(trajectory for trajectory, _ in found) == list(range(20))
        for trajectory, start in found:
            assert -1 <= start <= max(-1, len(sources[trajectory]) - 16 + 7)


def test_the_condition_is_the_joints_by_their_limits_and_the_gripper(tmp_path: Path) -> None:
    sources = dict(rows())
    stream = make_stream(make_dataset(tmp_path), tmp_path)
    batch = batches(stream, 1)[0]
    assert batch.condition.shape == (7, stream.condition_dim) == (7, 48)
    for window, condition in zip(batch.actions.numpy(), batch.condition.reshape(7, 16, 3).numpy(), strict=True):
        trajectory, start = find(window, sources)
        steps = np.clip(np.arange(start, start + 16), 0, len(sources[trajectory]) - 1)
        assert np.abs(condition[:, :2] - sources[trajectory][steps, :2] / 3).max() < 1e-6
        assert np.array_equal(condition[:, 2], window[:, 9])


def test_without_a_condition_it_is_empty(tmp_path: Path) -> None:
    stream = make_stream(make_dataset(tmp_path), tmp_path, condition="none")
    assert stream.condition_dim == 0
    assert batches(stream, 1)[0].condition.shape == (7, 0)


# Of the first release that had them: runs that were begun then go on with the same windows.
PINNED = {
    ("a", 1, "joint_position"): ("a448058b3cf4ff63", {"pass": 23, "position": 6, "watermark": 3}),
    ("a", 1, "endpoints"): ("d0c20f5a530a1d08", {"pass": 23, "position": 6, "watermark": 3}),
    ("a", 5, "joint_position"): ("d0241b7bd469dbb3", {"pass": 4, "position": 60, "watermark": 3}),
    ("b", 1, "joint_position"): ("1b48fa346f6089d7", {"pass": 8, "position": 36, "watermark": 6}),
    ("b", 1, "endpoints"): ("07793c5f68651b2f", {"pass": 8, "position": 36, "watermark": 6}),
    ("b", 5, "joint_position"): ("c8d3a0d9e520403c", {"pass": 1, "position": 180, "watermark": 6}),
}


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(("name", "windows_per_row", "condition"), PINNED)
def test_windows_and_their_order_are_those_of_earlier_runs(
    name: str, windows_per_row: int, condition: str, in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        monkeypatch.setattr("trainer.data.trajectories.shard_cache.IN_MEMORY", 0)
    dataset = make_dataset(tmp_path / "dataset", header={"a": HEADER, "b": OTHER}[name])
    settings: dict[str, Any] = {"windows_per_row": windows_per_row, "condition": condition, "endpoints": "motion"}
    stream = make_stream(dataset, tmp_path, validation_share=0.1, validation_windows=9, **settings)
    held_out = stream.validation()
    assert held_out is not None
    digest = hashlib.sha256()
    for batch in [held_out, *batches(stream, 60)]:
        digest.update(batch.actions.numpy().tobytes())
        digest.update(batch.condition.numpy().tobytes())
    digest.update(stream.motion_windows().tobytes())
    assert (digest.hexdigest()[:16], stream.state()) == PINNED[name, windows_per_row, condition]
    assert (stream.cache.whole() is not None) == in_memory


@pytest.mark.parametrize("place", [0, 1, 2, 3, 8])
def test_a_restored_stream_gives_the_same_batches(tmp_path: Path, place: int) -> None:
    dataset = make_dataset(tmp_path)
    stream = make_stream(dataset, tmp_path, windows_per_row=2)
    batches(stream, place)
    state = stream.state()
    expected = batches(stream, 5)
    again = make_stream(dataset, tmp_path / "other", windows_per_row=2)
    again.restore(state)
    for a, b in zip(expected, batches(again, 5), strict=True):
        assert torch.equal(a.actions, b.actions)
        assert torch.equal(a.condition, b.condition)
    assert again.state() == stream.state()


def test_a_growing_dataset_gives_the_batches_of_the_finished_one(tmp_path: Path) -> None:
    growing = make_dataset(tmp_path / "growing", shards=0)

    def produce() -> None:
        for index in range(HEADER.shards):
            time.sleep(0.1)
            growing.publish(index, example_table(index, HEADER.rows_in(index)), 8, {})
        growing.set_state("sealed")

    said: list[str] = []
    stream = make_stream(Dataset(growing.root), tmp_path / "a")
    producer = threading.Thread(target=produce)
    producer.start()
    live = [stream.next(said.append) for _ in range(8)]
    producer.join()
    finished = batches(make_stream(make_dataset(tmp_path / "finished"), tmp_path / "b"), 8)
    assert all(torch.equal(a.actions, b.actions) for a, b in zip(live, finished, strict=True))
    assert said[0] == "waiting for shard 3 of 3, 0 are there"


def test_a_dataset_in_an_object_store_gives_the_batches_of_one_on_disk(bucket_uri: str, tmp_path: Path) -> None:
    remote = make_stream(make_dataset(bucket_uri), tmp_path / "a")
    local = make_stream(make_dataset(tmp_path / "dataset"), tmp_path / "b")
    for a, b in zip(batches(remote, 8), batches(local, 8), strict=True):
        assert torch.equal(a.actions, b.actions)


def test_a_wait_that_is_broken_off_loses_no_place(tmp_path: Path) -> None:
    stream = make_stream(make_dataset(tmp_path, shards=1), tmp_path, max_wait=0.01)
    with pytest.raises(DatasetStalledError):
        batches(stream, 1)
    assert stream.state() == {"pass": 0, "position": 0, "watermark": 3}


def test_validation_is_held_out_and_always_the_same(tmp_path: Path) -> None:
    sources = dict(rows())
    dataset = make_dataset(tmp_path)
    stream = make_stream(dataset, tmp_path, validation_share=0.3, validation_windows=9)
    order = SampleOrder(0, HEADER.count, HEADER.shard_rows, validation_share=0.3)
    training_ids = {int(i) for shard in range(3) for i in order.training_ids(shard)}
    first = stream.validation()
    given = Counter(find(w, sources)[0] for b in batches(stream, 8) for w in b.actions.numpy())
    second = stream.validation()
    assert first is not None
    assert second is not None
    assert torch.equal(first.actions, second.actions)
    assert len(first.actions) == 9
    held_out = {find(window, sources)[0] for window in first.actions.numpy()}
    assert set(given) <= training_ids
    assert held_out.isdisjoint(training_ids)
    assert make_stream(dataset, tmp_path).validation() is None


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    dataset.shard_path(1).write_bytes(b"PAR1")
    with pytest.raises(CorruptShardError, match=r"shard-00000001-[0-9a-f]{16}\.parquet"):
        batches(make_stream(Dataset(tmp_path), tmp_path), 1)


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="has no trajectory to train on: 20 in all, 100% held out"):
        make_stream(make_dataset(tmp_path), tmp_path, validation_share=0.9999)


@pytest.mark.parametrize("endpoints", ["window", "motion"])
def test_endpoints_are_the_windows_or_the_motions(tmp_path: Path, endpoints: str) -> None:
    sources = dict(rows())
    stream = make_stream(make_dataset(tmp_path), tmp_path, condition="endpoints", endpoints=endpoints)
    batch = batches(stream, 1)[0]
    for window, ends in zip(batch.actions.numpy(), batch.condition.reshape(7, 2, 10).numpy(), strict=True):
        source = sources[find(window, sources)[0]][:, 2:]
        expected = window[[0, 15]] if endpoints == "window" else source[[0, -1]]
        assert np.abs(ends - expected).max() < 1e-6


def test_decoding_ahead_changes_nothing(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    ahead, inline = make_stream(dataset, tmp_path / "a"), make_stream(dataset, tmp_path / "b", ahead=False)
    for a, b in zip(batches(ahead, 9), batches(inline, 9), strict=True):
        assert torch.equal(a.actions, b.actions)
        assert torch.equal(a.condition, b.condition)


def test_windows_of_the_motion_basis_are_one_of_each_training_row_of_the_shards_that_were_seen(tmp_path: Path) -> None:
    sources = dict(rows())
    stream = make_stream(make_dataset(tmp_path), tmp_path, validation_share=0.2)
    order = SampleOrder(0, HEADER.count, HEADER.shard_rows, 0.2, block_shards=1)
    training_ids = [order.training_ids(index) for index in range(HEADER.shards)]
    stream._order = order
    # Before the first batch: the first shard. A shard's rows are a block here.
    for position, shards in ((0, 1), (len(training_ids[0]), 1), (len(training_ids[0]) + 1, 2)):
        stream.restore({"pass": 0, "position": position})
        found = [find(window, sources)[0] for window in stream.motion_windows()]
        assert found == np.concatenate(training_ids[:shards]).tolist()
    stream.restore({"pass": 1, "position": 0})
    whole = stream.motion_windows()
    assert [find(window, sources)[0] for window in whole] == np.concatenate(training_ids).tolist()
    assert np.array_equal(stream.motion_windows(HEADER.shards), whole)
    # Evenly spread, where there are more than are wanted; asking again and asking between batches changes nothing.
    every = np.linspace(0, len(whole) - 1, 5).round().astype(int)
    stream.next(lambda text: None)
    assert np.array_equal(stream.motion_windows(count=5), whole[every])
