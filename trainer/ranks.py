"""Data-parallel training: as many processes as `torchrun` starts, each with its share of every batch.

    torchrun --nproc-per-node 2 -m trainer pretrain --data DIR --out RUN

Every rank draws the whole batch and its noise, which are functions of the seed, but loads the pictures of its own slice
alone, and computes on that; gradients are averaged. So the losses are those of one process, but for the order in which
numbers are added.
"""

import atexit
import os
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from shared.errors import ConfigError
from trainer.batches import Batch

_Array = TypeVar("_Array", Tensor, NDArray[np.int64])

# The first rank validates and saves alone, which the others wait for.
_PATIENCE = timedelta(hours=1)


class Ranks:
    """This process among those of a training.

    Attributes:
        rank: its number, from 0.
        count: of processes.
    """

    def __init__(self) -> None:
        """Joins the processes that torchrun started; without it, this is the only one."""
        self.rank, self.count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        if self.count > 1 and not distributed.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            distributed.init_process_group(backend, timeout=_PATIENCE)
            atexit.register(distributed.destroy_process_group)

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def device(self, chosen: torch.device) -> torch.device:
        """Of several GPUs, this rank's."""
        if self.count > 1 and str(chosen) == "cuda":
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return chosen

    def check(self, batch_size: int) -> None:
        """Raises ConfigError where a batch can't be shared equally."""
        if batch_size % self.count:
            raise ConfigError(f"batches of {batch_size} can't be shared by {self.count} processes; use a multiple")

    def share(self, batch: Batch) -> Batch:
        """This rank's part of a batch."""
        return Batch(self.part(batch.actions), self.part(batch.condition), batch.pictures)

    def part(self, values: _Array) -> _Array:
        """This rank's part of the first dimension."""
        size = len(values) // self.count
        return values[self.rank * size : (self.rank + 1) * size]

    def parallel(self, module: nn.Module) -> nn.Module:
        """A module whose gradients are averaged over the ranks."""
        if self.count == 1:
            return module
        return DistributedDataParallel(module, broadcast_buffers=False)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over the ranks."""
        if self.count > 1:
            distributed.all_reduce(value)
            value = value / self.count
        return value

    def any(self, flag: bool) -> bool:
        """Whether it is so on any rank: what all must agree on."""
        if self.count == 1:
            return flag
        told = torch.tensor(int(flag))
        distributed.all_reduce(told, op=distributed.ReduceOp.MAX)
        return bool(told)

    def wait(self) -> None:
        """Returns once every rank is here."""
        self.any(False)
