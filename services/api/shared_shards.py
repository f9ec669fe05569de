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
_KEPT_BYTES = 4 << 20
"""What a reading keeps of its last batches for those a little behind; the newest is kept whatever its size."""


class FellBehindError(Exception):
    """The batch is not kept any more, or what has read so far has failed: whoever wants it, reads by itself."""


class Reading:
    """One shard's rows as Arrow IPC messages, each decoded and encoded when the first stream asks for it.

    Attributes:
        users: streams that hold it.
    """

    def __init__(self, job: Job, commit: Commit, threads: anyio.CapacityLimiter, keep: int) -> None:
        """Reads nothing yet; decodes in `threads`, and keeps so many bytes of batches, the newest in any case."""
        self.users = 0
        self._threads = threads
        self._keep = keep
        self._messages = _messages(job, commit)
        self._kept: dict[int, bytes] = {}
        self._made = 0
        # Awaited before a thread is taken: those who wait for one batch leave the other threads to other shards.
        self._turn = anyio.Lock()
        # Held in the thread, which goes on where the task that awaits it is cancelled.
        self._lock = threading.Lock()

    @property
    def has_all(self) -> bool:
        """Whether who joins it now can still have every batch."""
        return not self._made or 0 in self._kept

    async def message(self, index: int) -> bytes:
        """Batch `index`, b"" after the last.

        Raises:
            FellBehindError: others are too far ahead of it.
            CorruptShardError: the shard is not what was committed.
        """
        if index not in self._kept:
            async with self._turn:
                if self._made <= index:
                    await anyio.to_thread.run_sync(self._decode, index, limiter=self._threads)
        message = self._kept.get(index)
        if message is None:
            raise FellBehindError
        return message

    def close(self) -> None:
        """Closes its file."""
        with self._lock:
            self._messages.close()

    def _decode(self, index: int) -> None:
        """Makes the batches up to `index`. Each is kept as it is made, whoever still waits for it."""
        with self._lock:
            while self._made <= index:
                message = next(self._messages, None)
                if message is None:
                    raise FellBehindError
                self._make_room(len(message))
                self._kept[self._made] = message
                self._made += 1

    def _make_room(self, size: int) -> None:
        # The end, of no size, displaces nothing.
        while size and self._kept and size + sum(map(len, self._kept.values())) > self._keep:
            del self._kept[min(self._kept)]


class Readings:
    """The readings that go on now. For the event loop's thread."""

    def __init__(self, threads: anyio.CapacityLimiter) -> None:
        """All of them decode in `threads`."""
        self._threads = threads
        self._shared: dict[tuple[str, int], Reading] = {}

    @contextmanager
    def join(self, job: Job, commit: Commit) -> Iterator[Reading]:
        """The reading of a shard that others began, or a new one that others may join; closed after the last.

        One that has lost its first batch is of no use to who comes now, nor to who comes after: a new one takes its
        place, while those who have it go on with it.
        """
        key = (job.id, commit.index)
        reading = self._shared.get(key)
        if reading is None or not reading.has_all:
            reading = self._shared[key] = Reading(job, commit, self._threads, _KEPT_BYTES)
        reading.users += 1
        try:
            yield reading
        finally:
            reading.users -= 1
            if not reading.users:
                if self._shared.get(key) is reading:
                    del self._shared[key]
                reading.close()

    @contextmanager
    def alone(self, job: Job, commit: Commit) -> Iterator[Reading]:
        """A reading for one stream, which keeps nothing for others."""
        reading = Reading(job, commit, self._threads, 0)
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
