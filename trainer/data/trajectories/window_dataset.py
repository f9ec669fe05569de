"""Windows of a generated dataset for a training loop of your own, through PyTorch's DataLoader.

dataset = WindowDataset("data/example", Path("cache"))
for batch in DataLoader(dataset, batch_size=None, num_workers=2):
    loss = ...batch.actions, batch.condition...
"""

import copy
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from shared.errors import ConfigError
from shared.follow import ShardSource
from shared.remote_dataset import open_dataset
from trainer.config import PretrainConfig, to_json
from trainer.data.action import ActionRange
from trainer.data.batch_source import Batch
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.dataset_batches import dataset_batches
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches
from trainer.settings import check_number

_CPU = torch.device("cpu")


def _silent(text: str) -> None:
    """Says nothing. No lambda: the dataset is sent to worker processes."""


class WindowDataset(IterableDataset[Batch]):
    """Batches of windows without an end: those that `pretrain` trains on with the same config, in the same order.

    It gives whole batches, so the DataLoader gets `batch_size=None`. A batch is a function of its number alone: a
    DataLoader gives the same batches in the same order whatever its number of workers, since worker w of n makes the
    numbers w, w + n, w + 2n, ... Each rank gets its equal part of every batch, one after the other as they lie in it.

    Each `iter` begins anew: with batch 0, or where `skip` or `load_state_dict` said. A dataset that still grows is
    waited for; the batches are those of the finished one.

    Attributes:
        config: what windows are, and their order.
        normalizer: turns normalized actions to metres or radians, and back.
        condition_dim: numbers in a window's condition.
        pass_length: windows of one pass over the dataset.
    """

    def __init__(
        self,
        where: Path | str,
        cache: Path | str,
        config: PretrainConfig | None = None,
        *,
        action_range: ActionRange | None = None,
        rank: int = 0,
        world_size: int = 1,
        tell: Callable[[str], None] = _silent,
    ) -> None:
        """Opens a dataset; its shards are read when the first batch is asked for.

        Args:
            where: its directory, its URI (s3://bucket/prefix), or the URL of its job (http://host:8000/v1/jobs/ID).
            cache: folder that shards are fetched and decoded into, once for all workers, ranks and later runs. Other
                datasets and configs may use it too. It may be removed while nothing uses it.
            config: as of `pretrain`, PretrainConfig() if left out. Of its `training`, the seed and the batch size
                count, which is that of all ranks together.
            action_range: its entries replace the dataset's of the same name.
            rank: of this process among those that train together, from 0.
            world_size: how many there are.
            tell: told a few words whenever shards, or a service that is away, are waited for. Worker processes call
                their own copy.

        Raises:
            ConfigError: a range is missing, or ranks can't share a batch.
            TrainingError: every trajectory is held out.
            DatasetFormatError, ServiceError: there is no dataset (open_dataset).
        """
        self.config = PretrainConfig() if config is None else config
        self._where, self._cache, self._tell = where, Path(cache), tell
        self._rank, self._world_size = rank, world_size
        self._check_ranks()
        self._unpickled_in = os.getpid()
        self._first = self._next = 0
        source = self._source()
        self.normalizer = ActionNormalizer(
            {**source.header.action_range, **(action_range or {})}, self.config.head.action
        )
        self._dataset_id = source.header.dataset_id
        batches = self._opened(source)
        self.condition_dim, self.pass_length = batches.condition_dim, batches.pass_length

    def __iter__(self) -> Iterator[Batch]:
        """This worker's batches, or all of them where there are no workers.

        Raises DatasetError where the dataset fails, stalls, or has a damaged shard; of a worker, PyTorch makes it a
        RuntimeError with the same text.
        """
        self._next = self._first
        return self._batches(self._first)

    def skip(self, batches: int) -> "WindowDataset":
        """The same dataset from so many batches later on; nothing is read to get there."""
        check_number("batches", batches, 0, whole=True)
        later = copy.copy(self)
        later._first = later._next = self._first + batches
        return later

    def state_dict(self) -> dict[str, Any]:
        """The place of the next batch, as JSON, and the order in which it is a place.

        It follows the latest iterator in this process: torchdata's StatefulDataLoader asks each of its workers. With
        workers of PyTorch's own DataLoader, count the batches, and `skip` them.
        """
        return {"batches": self._next, **self._order()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Lets iterators begin at a place that `state_dict` gave, there or in the same worker of another process.

        Raises ConfigError where it is a place in another order, saying what differs.
        """
        for name, value in self._order().items():
            if state.get(name) != value:
                raise ConfigError(
                    f"the state is of windows in another order: its {name} is {state.get(name)!r}, here it is {value!r}"
                )
        # -1 where there is none, which is refused as any wrong number is.
        place = state.get("batches", -1)
        check_number("batches", place, 0, whole=True)
        self._first = self._next = place

    def validation(self) -> Batch | None:
        """Held-out windows, always the same (`config.validation_windows`); None where there are none.

        They are of the first four shards, which are waited for.
        """
        return self._opened(self._source()).validation()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._unpickled_in = os.getpid()

    def _batches(self, first: int) -> Iterator[Batch]:
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batches, size = self._opened(self._source()), self.config.training.batch_size
        part = size // self._world_size
        # Rounds, in each of which every worker makes one batch: a place that all workers read alike.
        for round_ in itertools.count(first, workers):
            batches.seek((round_ + number) * size + self._rank * part)
            batch = batches.draw(part, self._tell)
            self._next = round_ + workers
            yield batch

    def _source(self) -> ShardSource:
        """The dataset, opened in this process: a connection doesn't survive a fork."""
        text = str(self._where)
        in_store = "://" in text and not text.startswith(("http://", "https://", "file://"))
        if in_store and os.getpid() != self._unpickled_in:
            raise ConfigError(
                f"{text} is in an object store, which a forked process can't read: give the DataLoader "
                "multiprocessing_context='forkserver', or no workers"
            )
        return open_dataset(self._where, self._cache / "shards", tell=self._tell)

    def _opened(self, source: ShardSource) -> TrajectoryBatches:
        return dataset_batches(source, self._decoded(), self.normalizer, self.config, _CPU)

    def _decoded(self) -> Path:
        """Where shards are decoded into: a folder for each way in which they can be."""
        config = self.config
        way = [self._dataset_id, to_json(config.head), config.condition, config.endpoints, self.normalizer.to_json()]
        return self._cache / "decoded" / hashlib.sha256(json.dumps(way).encode()).hexdigest()[:16]

    def _order(self) -> dict[str, Any]:
        """What a batch's number means something in."""
        training = self.config.training
        return {
            "dataset_id": self._dataset_id,
            "seed": training.seed,
            "batch_size": training.batch_size,
            "windows_per_row": self.config.windows_per_row,
            "validation_share": self.config.validation_share,
        }

    def _check_ranks(self) -> None:
        check_number("world_size", self._world_size, 1, whole=True)
        check_number("rank", self._rank, 0, self._world_size - 1, whole=True)
        size = self.config.training.batch_size
        if size % self._world_size:
            raise ConfigError(f"batches of {size} can't be shared by {self._world_size} ranks; use a multiple")
