"""Several datasets as one: whose windows a batch holds, in which order, and what can't be joined."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shared.dataset import Dataset
from shared.errors import ConfigError, DatasetStalledError
from shared.manifest import DatasetHeader
from shared.robots import RobotSpec
from tests.shared.example import HEADER, OTHER, example_table
from tests.trainer.data.copies.example import RANGE as COPIES_RANGE
from tests.trainer.data.copies.example import make_copies
from tests.trainer.example import make_dataset, training
from trainer.config import HeadConfig, PretrainConfig
from trainer.data.batch_source import Batch
from trainer.data.normalization import ActionNormalizer
from trainer.data.shares import windows_of_each
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.data.trajectories.joined_batches import JoinedBatches, stage1_batches
from trainer.data.trajectories.joined_datasets import JoinedDatasets
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches
from trainer.stages.pretrain import pretrain

BATCH = 10
CONFIG = PretrainConfig(training=training(1, batch_size=BATCH), validation_share=0.0)


def joined(
    datasets: Sequence[Dataset], folder: Path, weights: Sequence[float] | None = None, **settings: Any
) -> JoinedBatches:
    every = JoinedDatasets.of(datasets, weights)
    normalizer = ActionNormalizer(every.action_range)
    stream = stage1_batches(every, folder / "decoded", normalizer, replace(CONFIG, **settings), torch.device("cpu"))
    assert isinstance(stream, JoinedBatches)
    return stream


def alone(dataset: Dataset, folder: Path, every: Sequence[Dataset], **settings: Any) -> TrajectoryBatches:
    """One of them by its own stream, in the normalization of all."""
    config = replace(CONFIG, **settings)
    normalizer = ActionNormalizer(JoinedDatasets.of(every).action_range)
    return dataset_batches(dataset, folder / "decoded", normalizer, config, torch.device("cpu"))


def batches(stream: JoinedBatches | TrajectoryBatches, n: int) -> list[Batch]:
    return [stream.next(lambda text: None) for _ in range(n)]


def assert_equal(a: Sequence[Batch], b: Sequence[Batch]) -> None:
    for x, y in zip(a, b, strict=True):
        assert torch.equal(x.actions, y.actions)
        assert torch.equal(x.condition, y.condition)


@pytest.fixture
def two(tmp_path: Path) -> list[Dataset]:
    return [make_dataset(tmp_path / "a"), make_dataset(tmp_path / "b", header=OTHER)]


def test_any_stretch_of_windows_holds_each_dataset_by_its_share() -> None:
    assert [windows_of_each((0.75, 0.25), first, 8).tolist() for first in range(0, 40, 8)] == [
        [6, 2], [6, 2], [6, 2], [6, 2], [7, 1]
    ]  # fmt: skip
    shares = (0.7, 0.1, 0.1999, 0.0001)
    for first, count in ((0, 10), (12_345, 1000), (2**40, 1_000_000)):
        counts = windows_of_each(shares, first, count)
        assert counts.sum() == count
        assert np.abs(counts - count * np.array(shares)).max() < 3
    whole = windows_of_each(shares, 0, 1000)
    assert np.array_equal(sum(windows_of_each(shares, first, 8) for first in range(0, 1000, 8)), whole)


def test_a_batch_is_what_each_dataset_gives_next(two: list[Dataset], tmp_path: Path) -> None:
    stream = joined(two, tmp_path, [3, 1])
    given = batches(stream, 30)
    counts = [windows_of_each((0.75, 0.25), BATCH * index, BATCH).tolist() for index in range(30)]
    first = torch.cat([batch.actions[:own] for batch, (own, _) in zip(given, counts, strict=True)])
    second = torch.cat([batch.actions[own:] for batch, (own, _) in zip(given, counts, strict=True)])
    assert (len(first), len(second)) == (225, 75)
    # The first is walked as it is alone.
    own = torch.cat([batch.actions for batch in batches(alone(two[0], tmp_path / "alone", two), 23)])
    assert torch.equal(first, own[:225])
    # The second has an order of its own, in which one pass has one window of each of its rows.
    grippers = [np.round(window[:, :3].sum(), 3) for window in second[:53].double().numpy()]
    assert len(set(grippers)) == 53
    own = torch.cat([batch.actions for batch in batches(alone(two[1], tmp_path / "other", two), 6)])
    assert not torch.equal(second[:53], own[:53])
    assert stream.state() == {
        "windows": 300,
        "datasets": [
            {"pass": 11, "position": 5, "watermark": 3},
            {"pass": 1, "position": 22, "watermark": 6},
        ],
    }


@pytest.mark.parametrize("place", [0, 1, 2, 9])
def test_a_restored_stream_gives_the_same_batches(two: list[Dataset], tmp_path: Path, place: int) -> None:
    stream = joined(two, tmp_path / "one", [1, 2], windows_per_row=2)
    batches(stream, place)
    state = stream.state()
    expected = batches(stream, 9)
    again = joined(two, tmp_path / "two", [1, 2], windows_per_row=2)
    again.restore(state)
    assert_equal(expected, batches(again, 9))
    assert again.state() == stream.state()


def test_one_that_grows_and_one_in_an_object_store_give_the_batches_of_finished_ones(
    two: list[Dataset], bucket_uri: str, tmp_path: Path
) -> None:
    growing = make_dataset(tmp_path / "growing", shards=1, header=OTHER)

    def produce() -> None:
        for index in range(1, OTHER.shards):
            time.sleep(0.1)
            growing.publish(index, example_table(index, OTHER.rows_in(index), OTHER), 8, {})
        growing.set_state("sealed")

    said: list[str] = []
    stream = joined([make_dataset(bucket_uri), Dataset(growing.root)], tmp_path / "live")
    producer = threading.Thread(target=produce)
    producer.start()
    live = [stream.next(said.append) for _ in range(20)]
    producer.join()
    assert_equal(live, batches(joined(two, tmp_path / "finished"), 20))
    assert said[0] == "dataset bbbbbbbbbbbb: waiting for shard 4 of 6, 1 are there"


def test_a_batch_that_waits_in_vain_is_given_once_more_after_the_place_is_restored(
    two: list[Dataset], tmp_path: Path
) -> None:
    growing = make_dataset(tmp_path / "growing", shards=5, header=OTHER)
    stream = joined([two[0], growing], tmp_path, max_wait=0.01)
    whole = batches(joined(two, tmp_path / "whole"), 20)
    # The fifth shard of its second block is missing, which the 41st of its windows is of.
    given = batches(stream, 8)
    state = stream.state()
    with pytest.raises(DatasetStalledError, match="bbbbbbbbbbbb: no new shard for 0 s"):
        batches(stream, 1)
    growing.publish(5, example_table(5, OTHER.rows_in(5), OTHER), 8, {})
    stream.restore(state)
    assert_equal(given + batches(stream, 12), whole)


def test_held_out_windows_and_those_of_the_basis_are_by_the_shares(
    two: list[Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.data.trajectories.joined_batches.MOST_WINDOWS", 80)
    settings = {"validation_share": 0.2, "validation_windows": 40}
    stream = joined(two, tmp_path, [3, 1], **settings)
    streams = [
        dataset_batches(
            dataset, tmp_path / f"alone-{number}", ActionNormalizer(JoinedDatasets.of(two).action_range),
            replace(CONFIG, validation_share=0.2, validation_windows=(31, 9)[number]), torch.device("cpu"),
            number=number, of=2,
        )
        for number, dataset in enumerate(two)
    ]  # fmt: skip
    held_out, parts = stream.validation(), [each.validation() for each in streams]
    assert held_out is not None
    assert torch.equal(held_out.actions, torch.cat([part.actions for part in parts if part is not None]))
    assert len(held_out.actions) == 40
    batches(stream, 30)
    assert stream.shards_seen == (3, 6)
    windows = stream.motion_windows()
    expected = [
        each.motion_windows(shards, count) for each, shards, count in zip(streams, (3, 6), (60, 20), strict=True)
    ]
    assert np.array_equal(windows, np.concatenate(expected))
    # The first has fewer rows to train on: some four windows of each, which differ where the row is long enough.
    different = Counter(window.tobytes() for window in expected[0])
    assert len(different) == 40


def other(**changes: Any) -> DatasetHeader:
    return replace(OTHER, **changes)


def arm(name: str, tool: str = "tip") -> RobotSpec:
    return RobotSpec(name, ("a", "b"), HEADER.robot.limits, "base", tool)


def test_what_does_not_fit_is_refused_by_name_before_anything_is_touched(two: list[Dataset], tmp_path: Path) -> None:
    def refused(message: str, config: PretrainConfig = CONFIG, **changes: Any) -> None:
        header = other(**changes)
        datasets = JoinedDatasets.of([two[0], make_dataset(tmp_path / uuid.uuid4().hex, 0, header)])
        with pytest.raises(ConfigError, match=message):
            pretrain(tmp_path / "run", datasets, config)
        assert not (tmp_path / "run").exists()

    a, b = "dataset aaaaaaaaaaaa", "dataset bbbbbbbbbbbb"
    refused(f"{a} is at 20 Hz, {b} at 10 Hz; datasets that are joined need one rate", rate_hz=10.0)
    joints = replace(CONFIG, head=HeadConfig(action="joint_position"), condition="none")
    for config in (CONFIG, joints):
        refused(f"{a} is of robot 'twolink', {b} of 'UR5': their joints are not the same", config, robot=arm("UR5"))
    poses = replace(CONFIG, condition="none")
    tool = arm("twolink", tool="flange")
    refused(f"the poses of {a} are of 'tip' in 'base', those of {b} of 'flange' in 'base'", poses, robot=tool)
    with pytest.raises(ConfigError, match="dataset aaaaaaaaaaaa is given as number 1 and as number 3; give it once"):
        JoinedDatasets.of([*two, Dataset(two[0].root)])
    for weights, message in (
        ([1.0], r"weights is \[1.0\]; it must be 2 numbers"),
        ([1.0, -1.0], "weights is -1.0; it must be a finite number, above 0"),
        ([0.0, 0.0], "weights is 0.0; it must be a finite number, above 0"),
        ([1.0, float("nan")], "weights is nan; it must be a finite number, above 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            JoinedDatasets.of(two, weights)
    assert JoinedDatasets.of(two, [1e308, 1e308]).shares == (0.5, 0.5)


def test_poses_of_two_arms_are_joined_where_no_joints_are_used(two: list[Dataset], tmp_path: Path) -> None:
    arms = make_dataset(tmp_path / "arms", header=other(dataset_id="c" * 64, robot=arm("UR5")))
    every = JoinedDatasets.of([two[0], arms])
    every.check(replace(CONFIG, condition="endpoints"))
    assert every.action_range == {"position": {"min": [-1.5] * 3, "max": [1.0] * 3}}
    assert JoinedDatasets.of(two).action_range["joint_position"] == {"min": [-3.0] * 2, "max": [4.0] * 2}
    given = batches(joined([two[0], arms], tmp_path, condition="endpoints"), 2)
    assert given[0].actions.shape == (BATCH, 16, 10)


def test_copies_are_not_joined_with_what_has_no_objects_or_others(tmp_path: Path) -> None:
    copies = make_copies(tmp_path / "copies")
    plain = make_dataset(tmp_path / "plain", header=OTHER)
    config = PretrainConfig(HeadConfig(size="tiny"), training(1), condition="objects")
    with pytest.raises(ConfigError, match="dataset bbbbbbbbbbbb has no objects: condition 'objects' is for copies of"):
        pretrain(tmp_path / "run", JoinedDatasets.of([copies, plain]), config, action_range=COPIES_RANGE)
    normalizer = ActionNormalizer(COPIES_RANGE)
    streams = [
        dataset_batches(source, tmp_path / "decoded", normalizer, given, torch.device("cpu"))
        for source, given in ((copies, config), (plain, replace(config, condition="none")))
    ]
    with pytest.raises(
        ConfigError, match=r"dataset [0-9a-f]{12} is seen by the columns trajectory_id, .*object/.*, da"
    ):
        JoinedBatches(streams, JoinedDatasets.of([copies, plain]), config)
    assert not (tmp_path / "run").exists()
