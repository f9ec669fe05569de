"""Windows through PyTorch's DataLoader are those of the trainer's own stream, in its order."""

import json
import multiprocessing
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from shared.dataset import Dataset
from shared.errors import ConfigError, CorruptShardError, DatasetStalledError, TrainingError
from tests.shared.example import HEADER, OTHER, example_table
from tests.trainer.example import make_dataset, training
from trainer.config import PretrainConfig
from trainer.data.batch_source import Batch
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.data.trajectories.window_dataset import WindowDataset

BATCH = 6
"""Four batches and a third of one are a pass of the smaller dataset."""


def config(**settings: Any) -> PretrainConfig:
    return PretrainConfig(**{"training": training(1, batch_size=BATCH), "validation_share": 0.0, **settings})


def own(dataset: Dataset, folder: Path, count: int, settings: PretrainConfig | None = None) -> list[Batch]:
    """The first batches of the trainer's own stream."""
    normalizer = ActionNormalizer(dataset.header.action_range)
    cpu = torch.device("cpu")
    stream = dataset_batches(dataset, folder / "own", normalizer, settings or config(), cpu)
    return [stream.next(lambda text: None) for _ in range(count)]


def loaded(dataset: WindowDataset, count: int, **settings: Any) -> list[Batch]:
    """The first batches that a DataLoader gives."""
    return list(islice(DataLoader(dataset, batch_size=None, **settings), count))


def equal(some: list[Batch], others: list[Batch]) -> bool:
    pairs = zip(some, others, strict=True)
    return all(torch.equal(a.actions, b.actions) and torch.equal(a.condition, b.condition) for a, b in pairs)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_are_those_of_our_stream_in_its_order(
    workers: int, in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        monkeypatch.setattr("trainer.data.trajectories.shard_cache.IN_MEMORY", 0)
    # Two passes and more, the second with its shards in another order.
    dataset = make_dataset(tmp_path / "dataset", header=OTHER)
    windows = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config())
    batches = loaded(windows, 21, num_workers=workers)
    assert equal(batches, own(dataset, tmp_path, 21))
    assert batches[0].actions.shape == (BATCH, 16, 10)
    assert batches[0].condition.shape == (BATCH, windows.condition_dim) == (BATCH, 48)
    assert windows.pass_length == 53


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_get_the_parts_of_every_batch(workers: int, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset")
    ranks = [
        loaded(
            WindowDataset(tmp_path / "dataset", tmp_path / "cache", config(), rank=rank, world_size=2),
            9,
            num_workers=workers,
        )
        for rank in range(2)
    ]
    assert {len(batch.actions) for batches in ranks for batch in batches} == {3}
    joined = [
        Batch(torch.cat([a.actions, b.actions]), torch.cat([a.condition, b.condition]))
        for a, b in zip(*ranks, strict=True)
    ]
    assert equal(joined, own(dataset, tmp_path, 9))


def test_it_goes_on_where_its_state_says(tmp_path: Path) -> None:
    expected = own(make_dataset(tmp_path / "dataset"), tmp_path, 12)
    windows = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config())
    batches, states = iter(DataLoader(windows, batch_size=None)), [windows.state_dict()]
    for _ in range(8):
        next(batches)
        states.append(windows.state_dict())
    assert [state["batches"] for state in states] == list(range(9))
    for place, state in enumerate(states):
        later = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config())
        later.load_state_dict(json.loads(json.dumps(state)))
        assert later.state_dict() == state
        assert equal(loaded(later, 4), expected[place : place + 4])
        # A second iterator begins where the first did.
        assert equal(loaded(later, 1), expected[place : place + 1])


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_what_is_skipped_is_not_given(workers: int, tmp_path: Path) -> None:
    expected = own(make_dataset(tmp_path / "dataset"), tmp_path, 12)
    windows = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config())
    assert equal(loaded(windows.skip(3).skip(2), 7, num_workers=workers), expected[5:])
    assert equal(loaded(windows, 2), expected[:2])


def test_far_places_are_reached_at_once(tmp_path: Path) -> None:
    make_dataset(tmp_path / "dataset")
    windows = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config())
    passes = 10**9
    first, second = (loaded(windows.skip(passes * 20 // BATCH), 1)[0] for _ in range(2))
    assert torch.equal(first.actions, second.actions)


# torchdata 0.11 calls what this torch is about to drop.
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.parametrize("place", [1, 4, 5])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_stateful_loader_goes_on_to_the_batch(workers: int, place: int, tmp_path: Path) -> None:
    from torchdata.stateful_dataloader import StatefulDataLoader  # Here, where its warning is expected.

    expected = own(make_dataset(tmp_path / "dataset"), tmp_path, 10)

    def loader() -> Any:
        windows = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config())
        return StatefulDataLoader(windows, batch_size=None, num_workers=workers)

    before = loader()
    assert equal(list(islice(before, place)), expected[:place])
    after = loader()
    after.load_state_dict(before.state_dict())
    assert equal(list(islice(after, 10 - place)), expected[place:])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"windows_per_row": 2}, "its windows_per_row is 1, here it is 2"),
        ({"validation_share": 0.1}, r"its validation_share is 0\.0, here it is 0\.1"),
        ({"training": training(1, batch_size=4)}, "its batch_size is 6, here it is 4"),
        ({"training": training(1, batch_size=BATCH, seed=3)}, "its seed is 0, here it is 3"),
    ],
)
def test_a_place_in_another_order_is_refused(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    make_dataset(tmp_path / "dataset")
    state = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config()).state_dict()
    other = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config(**settings))
    with pytest.raises(ConfigError, match=said):
        other.load_state_dict(state)
    make_dataset(tmp_path / "other", header=OTHER)
    another = WindowDataset(tmp_path / "other", tmp_path / "cache", config())
    with pytest.raises(ConfigError, match="its dataset_id is 'aaaa"):
        another.load_state_dict(state)


@pytest.mark.parametrize("place", [-1, 1.5, "3", None])
def test_a_state_without_a_place_is_refused(place: object, tmp_path: Path) -> None:
    make_dataset(tmp_path / "dataset")
    windows = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config())
    state = windows.state_dict()
    if place is None:
        del state["batches"]
    else:
        state["batches"] = place
    with pytest.raises(ConfigError, match="batches is "):
        windows.load_state_dict(state)


def test_a_growing_dataset_gives_the_batches_of_the_finished_one(tmp_path: Path) -> None:
    growing = make_dataset(tmp_path / "growing", shards=0)
    windows = WindowDataset(tmp_path / "growing", tmp_path / "cache", config())

    def produce() -> None:
        for index in range(HEADER.shards):
            time.sleep(0.1)
            growing.publish(index, example_table(index, HEADER.rows_in(index)), 8, {})
        growing.set_state("sealed")

    # The workers are there, and wait, before the first shard is.
    batches = iter(DataLoader(windows, batch_size=None, num_workers=2))
    producer = threading.Thread(target=produce)
    producer.start()
    live = list(islice(batches, 8))
    producer.join()
    assert equal(live, own(make_dataset(tmp_path / "finished"), tmp_path, 8))


def test_waiting_is_told_and_ends(tmp_path: Path) -> None:
    make_dataset(tmp_path / "dataset", shards=1)
    said: list[str] = []
    windows = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config(max_wait=0.01), tell=said.append)
    with pytest.raises(DatasetStalledError):
        loaded(windows, 1)
    assert said[0] == "waiting for shard 3 of 3, 1 are there"
    assert windows.state_dict()["batches"] == 0


@pytest.mark.parametrize(("workers", "kind"), [(0, CorruptShardError), (1, RuntimeError)])
def test_a_damaged_shard_is_named(workers: int, kind: type[Exception], tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset")
    dataset.shard_path(1).write_bytes(b"PAR1")
    windows = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config())
    with pytest.raises(kind, match=r"shard-00000001-[0-9a-f]{16}\.parquet"):
        loaded(windows, 1, num_workers=workers)


def test_one_cache_serves_other_configs_and_datasets(tmp_path: Path) -> None:
    for name, header in (("a", HEADER), ("b", OTHER)):
        dataset = make_dataset(tmp_path / name, header=header)
        for number, settings in enumerate((config(), config(condition="none"), config(windows_per_row=3))):
            windows = WindowDataset(tmp_path / name, tmp_path / "cache", settings)
            assert equal(loaded(windows, 5), own(dataset, tmp_path / name / str(number), 5, settings))
    # windows_per_row is of the order alone: two ways to decode each dataset.
    assert len(list((tmp_path / "cache" / "decoded").iterdir())) == 4


def test_a_wider_range_scales_the_actions(tmp_path: Path) -> None:
    make_dataset(tmp_path / "dataset")
    wider = {"position": {"min": [-2.0] * 3, "max": [2.0] * 3}}
    plain = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config())
    wide = WindowDataset(tmp_path / "dataset", tmp_path / "cache", config(), action_range=wider)
    a, b = (loaded(windows, 1)[0].actions for windows in (plain, wide))
    assert torch.allclose(a[..., :3], 2 * b[..., :3], atol=1e-6)
    assert torch.equal(a[..., 3:], b[..., 3:])
    metres = [windows.normalizer.denormalize(x.numpy()) for windows, x in ((plain, a), (wide, b))]
    assert metres[0] == pytest.approx(metres[1], abs=1e-6)


def test_held_out_windows_are_those_of_the_stream(tmp_path: Path) -> None:
    dataset, settings = make_dataset(tmp_path / "dataset"), config(validation_share=0.3, validation_windows=9)
    normalizer = ActionNormalizer(HEADER.action_range)
    stream = dataset_batches(dataset, tmp_path / "own", normalizer, settings, torch.device("cpu"))
    expected, held_out = stream.validation(), WindowDataset(dataset.where, tmp_path / "cache", settings).validation()
    assert expected is not None
    assert held_out is not None
    assert len(held_out.actions) == 9
    assert equal([held_out], [expected])
    assert WindowDataset(dataset.where, tmp_path / "cache", config()).validation() is None


@pytest.mark.timeout(600)
def test_a_dataset_in_an_object_store_is_read_by_workers_that_are_no_forks(bucket_uri: str, tmp_path: Path) -> None:
    dataset = make_dataset(bucket_uri)
    windows = WindowDataset(bucket_uri, tmp_path / "cache", config())
    with pytest.raises(ConfigError, match="which a forked process can't read: give the DataLoader"):
        loaded(windows, 1, num_workers=1, multiprocessing_context=multiprocessing.get_context("fork"))
    expected = own(dataset, tmp_path, 7)
    assert equal(loaded(windows, 7), expected)
    assert equal(loaded(windows.skip(2), 5, num_workers=1, multiprocessing_context="forkserver"), expected[2:])


@pytest.mark.parametrize(
    ("rank", "world_size", "said"),
    [
        (0, 4, "batches of 6 can't be shared by 4 ranks; use a multiple"),
        (2, 2, "rank is 2; it must be an integer, at least 0 and at most 1"),
        (0, 0, "world_size is 0; it must be an integer, at least 1"),
    ],
)
def test_wrong_ranks_are_named(rank: int, world_size: int, said: str, tmp_path: Path) -> None:
    make_dataset(tmp_path / "dataset")
    with pytest.raises(ConfigError, match=said):
        WindowDataset(tmp_path / "dataset", tmp_path / "cache", config(), rank=rank, world_size=world_size)


def test_nothing_to_train_on_is_said_at_once(tmp_path: Path) -> None:
    make_dataset(tmp_path / "dataset")
    with pytest.raises(TrainingError, match="has no trajectory to train on: 20 in all, 100% held out"):
        WindowDataset(tmp_path / "dataset", tmp_path / "cache", config(validation_share=0.9999))
