"""Shards decoded once into files, and kept as far as they fit on the disk and, where there is one, the GPU."""

import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from threading import Thread

import torch

from headstart_client.data.commits import DatasetState
from shared.follow import ShardSource, wait_for_shards
from trainer.data.trajectories.decoded_shard import DecodedShard, ShardDecoder, decoded_bytes, joined, remove_decoded

IN_MEMORY = 2**29
"""Bytes that all shards of a dataset may take to be held in memory as one: what two blocks of large shards take."""
_KEPT = 8
"""Shards that batches may be gathered from: those of two blocks. They stay, however small the cache."""
GPU_SHARE = 0.5
"""Of the GPU memory that is free at the start, what the shards of all datasets may take."""


class ShardCache:
    """Decodes each shard at its first use into memory-mapped files, so that memory holds only what is being read.

    Beyond `max_bytes` on the disk, the shards that have not been used for longest go, to be decoded again when needed.
    """

    def __init__(
        self,
        source: ShardSource,
        folder: Path,
        decoder: ShardDecoder,
        max_wait: float,
        *,
        max_bytes: float = math.inf,
        device: torch.device | None = None,
        gpu_share: float = GPU_SHARE,
        ahead: bool = True,
    ) -> None:
        """Opens the cache in a folder, which may hold what an earlier process left.

        Args:
            source: of the shards.
            folder: for the files.
            decoder: that writes and reads them.
            max_wait: seconds without a new shard before giving up.
            max_bytes: on the disk.
            device: a GPU that shards are kept on while they fit.
            gpu_share: of its memory that is free at the start, what they may take.
            ahead: decode what `expect` announces in a thread of its own; changes nothing but the waiting.
        """
        self.source, self.decoder = source, decoder
        self._folder, self._max_wait, self._max_bytes = folder, max_wait, max_bytes
        self._commits = DatasetState("growing").commits
        self._shards: dict[int, DecodedShard] = {}
        self._device = device if device is not None and device.type == "cuda" else None
        self._gpu_room = gpu_share * torch.cuda.mem_get_info(self._device)[0] if self._device else 0.0
        self._ahead = ahead
        self._decoding: dict[int, Future[None]] = {}
        self._whole: DecodedShard | None = None
        self._fits = True

    @cached_property
    def _bytes(self) -> dict[int, int]:
        """Bytes of each shard on the disk, the one used last at the end.

        Looked up at its first use: until training begins, what lies in the folder may be removed.
        """
        return {int(name.removeprefix("shard-")): size for name, size in decoded_bytes(self._folder).items()}

    def wait(self, watermark: int, tell: Callable[[str], None]) -> None:
        """Waits until shards 0 to `watermark` - 1 are committed; raises what `wait_for_shards` raises."""
        if self._commits.watermark >= watermark:
            return

        def on_wait(state: DatasetState) -> None:
            tell(f"waiting for shard {watermark} of {self.source.header.shards}, {state.watermark} are there")

        state = wait_for_shards(self.source, watermark, max_wait=self._max_wait, on_wait=on_wait)
        self._commits = state.commits

    def expect(self, indices: Iterable[int]) -> None:
        """Announces the shards that will be wanted next, as far as they are there."""
        known, there = self._decoding.keys() | self._bytes.keys(), self._commits.indices
        expected = {index: Future[None]() for index in indices if index in there and index not in known}
        if self._ahead and expected:
            self._decoding |= expected
            # A daemon: it may wait for a service that is away, which the end of the program must not.
            Thread(target=self._decode_all, args=(expected,), daemon=True).start()

    def shard(self, index: int) -> DecodedShard:
        """A shard that has been waited for. Raises CorruptShardError where it is not what was committed."""
        if index not in self._shards:
            shard = self._open(index)
            self._bytes.pop(index, None)
            self._bytes[index] = shard.nbytes
            if self._device and shard.nbytes <= self._gpu_room:
                self._gpu_room -= shard.nbytes
                shard = shard.to(self._device)
            self._shards[index] = shard
            self._make_room()
        self._bytes[index] = self._bytes.pop(index)
        return self._shards[index]

    def whole(self) -> DecodedShard | None:
        """All shards of a complete dataset as one, its rows in the order of their ids; None where they take too much.

        In memory: windows of it are copied once, those of several shards twice. On a GPU there is none, since shards
        are in its own memory.
        """
        if self._whole is None and self._fits:
            parts: list[DecodedShard] = []
            for index in range(self.source.header.shards):
                parts.append(self.shard(index))
                if self._device or sum(part.nbytes for part in parts) > IN_MEMORY:
                    self._fits = False
                    return None
            self._whole = joined(parts)
        return self._whole

    def _open(self, index: int) -> DecodedShard:
        if index in self._decoding:
            self._decoding[index].exception()
            # What went wrong ahead, goes wrong below once more, or not.
            del self._decoding[index]
        try:
            return self.decoder.read(self._folder, _name(index))
        except FileNotFoundError:
            self._decode(index)
            return self.decoder.read(self._folder, _name(index))

    def _decode_all(self, decoding: Mapping[int, "Future[None]"]) -> None:
        for index, future in decoding.items():
            try:
                self._decode(index)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(None)

    def _decode(self, index: int) -> None:
        commit = self._commits.get(index)
        assert commit is not None, f"shard {index} was not waited for"
        table = self.source.read_shard(commit, columns=self.decoder.steps.columns)
        self.decoder.write(table, self._folder, _name(index))

    def _make_room(self) -> None:
        """Removes the shards that have not been used for longest, while there are too many bytes."""
        while len(self._bytes) > _KEPT and sum(self._bytes.values()) > self._max_bytes:
            oldest = next(iter(self._bytes))
            remove_decoded(self._folder, _name(oldest))
            dropped = self._shards.pop(oldest, None)
            if dropped is not None and dropped.actions.device == self._device:
                self._gpu_room += dropped.nbytes
            del self._bytes[oldest]


def _name(index: int) -> str:
    return f"shard-{index:08d}"
