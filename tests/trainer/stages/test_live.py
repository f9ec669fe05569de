"""Stage 1's batches from a real service that is still making them, and is killed meanwhile."""

import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from shared.client import Client
from shared.dataset import Dataset
from shared.errors import DatasetCancelledError
from shared.follow import ShardSource
from shared.order import SampleOrder
from shared.remote_dataset import RemoteDataset
from tests.services.example import BODY, RunningService, running_service
from tests.trainer.example import training
from trainer.config import PretrainConfig
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches

ENGINE = ("--engine", "process", "--workers", "1")
BATCH = 10
STEPS_IN_A_PASS = 23


def _stream(source: ShardSource, folder: Path) -> TrajectoryBatches:
    config = PretrainConfig(training=training(1, batch_size=BATCH), validation_share=0.0, max_wait=60.0)
    normalizer = ActionNormalizer(source.header.action_range)
    # Not ahead: what is fetched before the service is killed must not be all that there is.
    return dataset_batches(source, folder, normalizer, config, torch.device("cpu"), ahead=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_job_is_trained_on_while_it_is_made_through_a_killed_service(data: Path, tmp_path: Path) -> None:
    """Two passes over 230 rows: begun before the first shard, and equal to those over the finished dataset."""
    service = RunningService(data, *ENGINE)
    said: list[str] = []
    try:
        port = httpx.URL(service.url).port or 0
        with Client(service.url, tell=said.append) as client:
            client.wait_ready()
            job = client.submit(BODY)
            remote = RemoteDataset(client, job["id"], tmp_path / "cache", patience=60)
            assert remote.state().commits == ()
            stream = _stream(remote, tmp_path / "live")
            live = [stream.next(said.append) for _ in range(4)]
            assert said[0] == "waiting for shard 4 of 12, 0 are there"
            service.kill()
            restarted: list[RunningService] = []
            back = threading.Timer(1.0, lambda: restarted.append(RunningService(data, *ENGINE, port=port)))
            back.start()
            live += [stream.next(said.append) for _ in range(2 * STEPS_IN_A_PASS - 4)]
            back.join()
            service = restarted[0]
            assert client.wait(job["id"], 60)["state"] == "succeeded"
    finally:
        service.kill()
    assert any("no service answers" in text and "trying for another" in text for text in said)
    finished = _stream(Dataset(data / job["id"]), tmp_path / "finished")
    for batch in live:
        expected = finished.next(lambda text: None)
        assert torch.equal(batch.actions, expected.actions)
        assert torch.equal(batch.condition, expected.condition)
    order = SampleOrder(0, 230, 20)
    for index in (0, 1):
        ids, _ = order.one_pass(index, 12, shuffle_shards=index > 0).locate(0, 230)
        assert np.array_equal(np.sort(ids), np.arange(230))


def test_a_cancelled_job_ends_training(data: Path, tmp_path: Path) -> None:
    with running_service(data, *ENGINE) as service, Client(service.url) as client:
        client.wait_ready()
        job = client.submit({**BODY, "count": 500_000, "rate_hz": 2, "shard_rows": 48_000})
        stream = _stream(RemoteDataset(client, job["id"], tmp_path / "cache"), tmp_path / "live")
        canceller = threading.Timer(0.3, lambda: client.cancel(job["id"]))
        canceller.start()
        with pytest.raises(DatasetCancelledError, match="its job was cancelled after 0 shards"):
            stream.next(lambda text: None)
        canceller.join()
