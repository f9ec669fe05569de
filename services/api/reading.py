"""Shards read as encoded batches, once for all the streams that read along."""

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import anyio
import pyarrow.parquet as pq

from services.jobs import Job
from services.memory import trim
from shared.manifest import Commit

_BATCH_BYTES = 1 << 19
_MAX_BATCH_ROWS = 1024
_READ_BYTES = 1 << 16
_KEPT = 8
"""Batches that a reading keeps for those a little behind: 4 MB."""


class FellBehindError(Exception):
    """The batch is not kept any more, or what has read so far has failed: whoever wants it, reads by itself."""


class Reading:
    """One shard's rows as Arrow IPC messages, each decoded and encoded when the first stream asks for it.

    Attributes:
        users: streams that hold it.
    """

    def __init__(self, job: Job, commit: Commit, threads: anyio.CapacityLimiter) -> None:
        """Reads nothing yet; decodes in `threads`."""
        self.users = 0
        self._threads = threads
        self._messages = _messages(job, commit)
        self._kept: dict[int, bytes] = {}
        self._made = 0
        self._lock = threading.Lock()

    async def message(self, index: int) -> bytes:
        """Batch `index`, b"" after the last.

        Raises:
            FellBehindError: others are too far ahead of it.
            CorruptShardError: the shard is not what was committed.
        """
        message = self._kept.get(index)
        if message is not None:
            return message
        return await anyio.to_thread.run_sync(self._decode, index, limiter=self._threads)

    def close(self) -> None:
        """Closes its file."""
        with self._lock:
            self._messages.close()

    def _decode(self, index: int) -> bytes:
        with self._lock:
            while self._made <= index:
                message = next(self._messages, None)
                if message is None:
                    raise FellBehindError
                self._kept[self._made] = message
                self._kept.pop(self._made - _KEPT, None)
                self._made += 1
            if index not in self._kept:
                raise FellBehindError
            return self._kept[index]


class Readings:
    """The readings that go on now. For the event loop's thread."""

    def __init__(self, threads: anyio.CapacityLimiter) -> None:
        """All of them decode in `threads`."""
        self._threads = threads
        self._shared: dict[tuple[str, int], Reading] = {}

    @contextmanager
    def join(self, job: Job, commit: Commit) -> Iterator[Reading]:
        """The reading of a shard that others began, or a new one that others may join; closed after the last."""
        key = (job.id, commit.index)
        reading = self._shared.get(key)
        if reading is None:
            reading = self._shared[key] = Reading(job, commit, self._threads)
        reading.users += 1
        try:
            yield reading
        finally:
            reading.users -= 1
            if not reading.users:
                del self._shared[key]
                reading.close()

    @contextmanager
    def alone(self, job: Job, commit: Commit) -> Iterator[Reading]:
        """A reading for one stream."""
        reading = Reading(job, commit, self._threads)
        try:
            yield reading
        finally:
            reading.close()


def _messages(job: Job, commit: Commit) -> Generator[bytes, None, None]:
    """Batches small enough that many slow readers don't fill the memory; b"" as the last.

    Raises CorruptShardError at once if they are not those that were committed.
    """
    with (
        job.dataset.open_shard(commit) as content,
        pq.ParquetFile(content, pre_buffer=False, buffer_size=_READ_BYTES) as file,
    ):
        group = file.metadata.row_group(0)
        rows = _BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)
        for batch in file.iter_batches(min(max(rows, 1), _MAX_BATCH_ROWS), use_threads=False):
            yield batch.serialize().to_pybytes()
    # Else the process grew by 60 MB while ten followers read along with ten jobs.
    trim()
    yield b""
