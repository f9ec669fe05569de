"""Data-parallel training: as many processes as `torchrun` starts, each with its share of every batch.

    torchrun --nproc-per-node 2 -m trainer pretrain --data DIR --out RUN

Every rank draws the whole batch and its noise, which are functions of the seed, but loads the pictures of its own slice
alone, and computes on that; gradients are averaged. So the losses are those of one process, but for the order in which
numbers are added.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from shared.errors import ConfigError
from trainer.config import TrainingConfig
from trainer.data.batch_source import Batch, RankBatch
from trainer.device import choose_device

_Array = TypeVar("_Array", Tensor, NDArray[np.int64])

# The first rank validates and saves alone, which the others wait for.
_PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Ranks:
    """This process among those of a training.

    Attributes:
        rank: its number, from 0.
        count: of processes.
        local: its number among those of this machine, which is its GPU's.
        grouped: whether they exchange numbers, as torchrun's do, be it a single one.
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    grouped: bool = False

    @classmethod
    @contextmanager
    def joined(cls) -> Iterator["Ranks"]:
        """The processes that torchrun started, joined until the end; without it, this one alone.

        This is the one place where a process group is made.
        """
        rank, count, local = (int(os.environ.get(name, one)) for name, one in _ENVIRONMENT.items())
        if count == 1 and not distributed.is_torchelastic_launched():
            yield cls()
            return
        if torch.cuda.is_available() and local < torch.cuda.device_count():
            torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)
        try:
            yield cls(rank, count, local, grouped=True)
        finally:
            distributed.destroy_process_group()

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """The device called `name`; of several GPUs, this rank's.

        Raises ConfigError where it isn't there, or is one GPU for several ranks.
        """
        if self.count == 1:
            return choose_device(name)
        if name.startswith("cuda:"):
            raise ConfigError(
                f"device {name!r} is one GPU, and there are {self.count} processes; pass --device cuda, and each takes "
                "its own (CUDA_VISIBLE_DEVICES chooses among them)"
            )
        return choose_device(f"cuda:{self.local}" if name in ("auto", "cuda") and torch.cuda.is_available() else name)

    def check(self, training: TrainingConfig) -> None:
        """Raises ConfigError where a batch can't be shared equally, or torchrun's processes have not joined."""
        started = int(os.environ.get("WORLD_SIZE", "1"))
        if started != self.count:
            raise ConfigError(f"torchrun started {started} processes, {self.count} of which train; see Ranks.joined")
        size, parts = training.batch_size, training.accumulate
        if size % (self.count * parts):
            shares = [f"shared by {self.count} processes"] if self.count > 1 else []
            shares += [f"accumulated in {parts} equal parts"] if parts > 1 else []
            raise ConfigError(
                f"batches of {size} can't be {' and '.join(shares)}; use a --batch-size that is a multiple of "
                f"{self.count * parts}"
            )

    def share(self, batch: Batch | RankBatch) -> RankBatch:
        """This rank's part of a batch."""
        if isinstance(batch, RankBatch):
            return batch
        pictures = tuple(self.part(seen) for seen in batch.pictures)
        return RankBatch(self.part(batch.actions), self.part(batch.condition), pictures)

    def part(self, values: _Array) -> _Array:
        """This rank's part of the first dimension."""
        size = len(values) // self.count
        return values[self.rank * size : (self.rank + 1) * size]

    def parallel(self, module: nn.Module) -> nn.Module:
        """A module whose gradients are averaged over the ranks."""
        if not self.grouped:
            return module
        return DistributedDataParallel(module, broadcast_buffers=False)

    def unsynchronized(self, module: nn.Module) -> AbstractContextManager[None]:
        """While entered, the gradients of a `parallel` module are added up on each rank by itself."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over the ranks."""
        if self.grouped:
            distributed.all_reduce(value)
            value = value / self.count
        return value

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank: what all must agree on."""
        if not self.grouped:
            return flag
        told = torch.tensor(int(flag))
        distributed.all_reduce(told, op=distributed.ReduceOp.MAX)
        return bool(told)

    def wait(self) -> None:
        """Returns once every rank is here."""
        self.any(False)


_ENVIRONMENT = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0}
"""What torchrun tells each process, and what it is without it."""

ALONE = Ranks()
"""The only process."""
