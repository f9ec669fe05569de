"""A shard decoded once, into arrays that windows are copied out of as they lie."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from shared.order import IntArray, WindowSpan
from shared.records import list_column
from trainer.data.action import FloatArray

_ROWS_AT_ONCE = 64


class DecodedShard(NamedTuple):
    """A shard's time steps, row after row, each row's edge steps repeated as far as windows reach past them.

    Attributes:
        actions: normalized, (steps, action_dim), memory-mapped, or on the GPU.
        condition: each step's part of the condition, (steps, step_dim), where it has one.
        first: where in these each row's first step lies, (rows,).
        length: steps of each row, without the repeated ones, (rows,).
    """

    actions: Tensor
    condition: Tensor | None
    first: IntArray
    length: IntArray

    @property
    def nbytes(self) -> int:
        """Bytes of its steps."""
        return self.actions.nbytes + (0 if self.condition is None else self.condition.nbytes)

    def to(self, device: torch.device) -> "DecodedShard":
        """The shard with its steps on `device`."""
        condition = None if self.condition is None else self.condition.to(device)
        return self._replace(actions=self.actions.to(device), condition=condition)


def joined(shards: Sequence[DecodedShard]) -> DecodedShard:
    """The rows of shards one after the other, as those of one; the shard itself where there is one alone."""
    if len(shards) == 1:
        return shards[0]
    ends = np.cumsum([len(shard.actions) for shard in shards])
    conditions = [shard.condition for shard in shards if shard.condition is not None]
    return DecodedShard(
        torch.cat([shard.actions for shard in shards]),
        torch.cat(conditions) if conditions else None,
        np.concatenate([shard.first + end - len(shard.actions) for shard, end in zip(shards, ends, strict=True)]),
        np.concatenate([shard.length for shard in shards]),
    )


def windows(steps: Tensor, starts: Tensor, horizon: int) -> Tensor:
    """Windows (n, horizon, width) of steps (steps, width) from `starts` (n,) on."""
    count, width = steps.shape
    # A window's steps lie one after the other, so each is one copy.
    every = steps.as_strided((max(0, count - horizon + 1), horizon, width), (width, width, 1))
    return every.index_select(0, starts)


class Steps(Protocol):
    """What training sees of a trajectory's time steps."""

    @property
    def columns(self) -> list[str]:
        """Columns of the record that it is made of."""
        ...

    @property
    def condition_dim(self) -> int:
        """Numbers in a window's condition."""
        ...

    @property
    def per_step(self) -> bool:
        """Whether the condition has a part of its own for each step."""
        ...

    def of_rows(self, rows: pa.Table) -> tuple[FloatArray, FloatArray | None]:
        """Normalized actions (steps, action_dim), and the condition's part of each step where it has one."""
        ...

    def condition(self, decoded: DecodedShard, actions: Tensor, first: Tensor, last: Tensor, start: Tensor) -> Tensor:
        """The condition (n, condition_dim) of windows with these actions (n, horizon, action_dim).

        Args:
            decoded: the shard that they are of.
            actions: of the windows.
            first: where in the shard the first step of each window's row lies, (n,).
            last: likewise its last step.
            start: likewise the window's first step.
        """
        ...


class ShardDecoder:
    """Tables to files, and files to a DecodedShard."""

    def __init__(self, steps: Steps, span: WindowSpan) -> None:
        self.steps, self.span = steps, span

    def write(self, table: pa.Table, folder: Path, name: str) -> None:
        """Decodes the columns of a shard into files called `name`; each appears whole, the rows' file last."""
        length = np.diff(list_column(table, "gripper")[1])
        # The last window of a row reaches so far past it (WindowSpan.bounds).
        after = np.maximum(self.span.after, self.span.horizon - self.span.before - length)
        ends = np.cumsum(self.span.before + length + after)
        first = ends - after - length
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            files: dict[str, FloatArray] = {}
            row = begin = 0
            # A little at a time, which stays in the processor's cache from one array to the next.
            for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
                rows = slice(row, row + batch.num_rows)
                parts = self._steps_of(pa.Table.from_batches([batch]))
                spread = self._spread(length[rows], after[rows])
                row, end = rows.stop, begin + len(spread)
                for part, values in parts.items():
                    if part not in files:
                        path = folder / f"{name}.{part}.npy"
                        shape = (int(ends[-1]), values.shape[1])
                        files[part] = stack.enter_context(_appearing(path, shape))
                    # Any other mode makes take() write into a copy first.
                    values.take(spread, axis=0, out=files[part][begin:end], mode="clip")
                begin = end
        with _appearing(folder / f"{name}.rows.npy", (2, len(length)), np.int64) as saved:
            saved[:] = first, length

    def _steps_of(self, rows: pa.Table) -> dict[str, FloatArray]:
        actions, condition = self.steps.of_rows(rows)
        return {"actions": actions} if condition is None else {"actions": actions, "condition": condition}

    def _spread(self, length: IntArray, after: IntArray) -> IntArray:
        """Which step lies at each place, where rows of these lengths lie one after the other."""
        end = np.cumsum(length)
        repeats = np.ones(int(end[-1]), np.int64)
        repeats[end - length] += self.span.before
        repeats[end - 1] += after
        return np.repeat(np.arange(len(repeats)), repeats)

    def read(self, folder: Path, name: str) -> DecodedShard:
        """What `write` wrote. Raises FileNotFoundError where it has not, or not to its end."""
        first, length = np.load(folder / f"{name}.rows.npy")
        actions = _mapped(folder / f"{name}.actions.npy")
        condition = _mapped(folder / f"{name}.condition.npy") if self.steps.per_step else None
        return DecodedShard(actions, condition, first, length)


def decoded_bytes(folder: Path) -> dict[str, int]:
    """Names of the decoded shards in a folder, in order, with their bytes."""
    names = [path.name.removesuffix(".rows.npy") for path in sorted(folder.glob("*.rows.npy"))]
    return {name: sum(path.stat().st_size for path in folder.glob(f"{name}.*.npy")) for name in names}


def remove_decoded(folder: Path, name: str) -> None:
    """Removes a decoded shard. Its memory-mapped arrays stay good where they are open."""
    # In this order: the rows' presence says that all are whole.
    for part in ("rows", "actions", "condition"):
        (folder / f"{name}.{part}.npy").unlink(missing_ok=True)


def _mapped(path: Path) -> Tensor:
    # Copy-on-write: torch warns of arrays that it may not write to, though nothing does.
    return torch.from_numpy(np.asarray(np.load(path, mmap_mode="c")))


@contextmanager
def _appearing(path: Path, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Iterator[NDArray[Any]]:
    """An array to be filled, in a file that appears at the end."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
