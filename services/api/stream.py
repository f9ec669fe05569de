"""All of a job's rows as one Arrow stream, sent while they are made."""

from collections.abc import AsyncIterator, Generator, Iterator
from functools import partial
from typing import Any

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from services.api.cut import CutResponse
from services.api.following import FOLLOWS, POLL_S
from services.api.jobs import JobId, Jobs
from services.api.problems import RESPONSES, ProblemError
from services.api.shards import After
from services.jobs import Job, JobStateError, commit_of
from services.memory import trim
from shared import records
from shared.manifest import Commit

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
_BATCH_BYTES = 1 << 19
_MAX_BATCH_ROWS = 1024
_READ_BYTES = 1 << 16

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["data"], responses=RESPONSES)


@router.get(
    "/stream",
    operation_id="stream_rows",
    response_class=StreamingResponse,
    dependencies=[FOLLOWS],
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "An Arrow IPC stream"}},
)
async def stream_rows(call: Request, jobs: Jobs, job_id: JobId, after: After = -1) -> Response:
    """Every row in order of its id as an Arrow IPC stream, which ends when the dataset is sealed.

    Rows are sent as their shards are committed, no faster than the caller takes them. If the job fails or is cancelled
    meanwhile, the connection is cut.
    """
    job = jobs.job(job_id)
    if job.state in ("failed", "cancelling", "cancelled"):
        raise ProblemError(409, f"this job is {job.state}, so its stream would never end; its shards can be fetched")
    return CutResponse(_arrow_stream(job, after + 1, call.app.state.decoders), media_type=MEDIA_TYPE)


async def _arrow_stream(job: Job, first: int, decoders: anyio.CapacityLimiter) -> AsyncIterator[bytes]:
    in_thread = partial(anyio.to_thread.run_sync, limiter=decoders)
    pipe = _Pipe()
    writer = pa.ipc.new_stream(pipe, records.schema(job.dataset.header.optional_columns))
    for index in range(first, job.dataset.header.shards):
        commit = await _committed(job, index)
        batches = await in_thread(_batches, job, commit)
        try:
            while chunk := await in_thread(_write_next, batches, writer, pipe):
                yield chunk
        finally:
            batches.close()
        # Else the process grew by 60 MB while ten followers read along with ten jobs.
        await in_thread(trim)
    writer.close()
    yield pipe.take()


async def _committed(job: Job, index: int) -> Commit:
    """Waits for a shard. Raises JobStateError if it will never come."""
    while not job.tally.has(index):
        # Looked at again: it may have been the last commit.
        if not job.is_active and not job.tally.has(index):
            raise JobStateError(f"job {job.id[:12]} is {job.state}: its stream can't be completed")
        await anyio.sleep(POLL_S)
    return await anyio.to_thread.run_sync(commit_of, job, index)


def _batches(job: Job, commit: Commit) -> Generator[pa.RecordBatch, None, None]:
    """A shard's rows, in batches small enough that many slow readers don't fill the memory.

    Raises CorruptShardError at once if they are not those that were committed.
    """
    content = job.dataset.open_shard(commit)

    def read() -> Generator[pa.RecordBatch, None, None]:
        with content, pq.ParquetFile(content, pre_buffer=False, buffer_size=_READ_BYTES) as file:
            group = file.metadata.row_group(0)
            rows = _BATCH_BYTES * group.num_rows // max(group.total_byte_size, 1)
            yield from file.iter_batches(min(max(rows, 1), _MAX_BATCH_ROWS), use_threads=False)

    return read()


def _write_next(batches: Iterator[pa.RecordBatch], writer: Any, pipe: "_Pipe") -> bytes:
    """What Arrow writes for the next batch, b"" after the last."""
    batch = next(batches, None)
    if batch is not None:
        writer.write_batch(batch)
    return pipe.take()


class _Pipe:
    """What Arrow writes to and the response takes from."""

    closed = False

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: Any) -> int:
        """Called by Arrow."""
        self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Called by Arrow."""

    def close(self) -> None:
        """Called by Arrow."""
        self.closed = True

    def take(self) -> bytes:
        """What was written since the last call."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)
