"""All of a job's rows as one Arrow stream, sent while they are made."""

import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from services.api.aborting_response import AbortingResponse
from services.api.jobs import JobId, Jobs
from services.api.lasting_calls import FOLLOWS, POLL_S
from services.api.problems import RESPONSES, ProblemError
from services.api.shards import After
from services.api.shared_shards import FellBehindError, Readings
from services.jobs import Job, JobStateError, commit_of
from shared import records
from shared.manifest import Commit

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""Ends an Arrow IPC stream."""
_HELD_BYTES = 8
"""The end of each message, sent with the next one. Messages are padded to a multiple of it."""

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

    Rows are sent as their shards are committed, no faster than the caller takes them; the last batch of a shard becomes
    whole when the next shard is there. If the job fails or is cancelled meanwhile, or the service stops, the connection
    is cut inside a message: no Arrow reader takes what came for the whole.
    """
    job = jobs.job(job_id)
    if job.state in ("failed", "cancelling", "cancelled"):
        raise ProblemError(409, f"this job is {job.state}, so its stream would never end; its shards can be fetched")
    return AbortingResponse(arrow_stream(job, after + 1, call.app.state.readings), media_type=MEDIA_TYPE)


async def arrow_stream(job: Job, first: int, readings: Readings) -> AsyncIterator[bytes]:
    """The stream's bytes from shard `first` on, in parts each of which but the last ends inside a message.

    Most readers take a stream that ends where a message does for a whole one, also without the mark of its end. So
    wherever this one is cut between two parts, what came is unreadable.

    Raises:
        JobStateError, CorruptShardError: it can't go on.
    """
    held = b""
    async with aclosing(_messages(job, first, readings)) as messages:
        async for message in messages:
            # One part, so that no write ends between two messages.
            yield b"".join((held, memoryview(message)[:-_HELD_BYTES]))
            held = message[-_HELD_BYTES:]
    yield held + _END


async def _messages(job: Job, first: int, readings: Readings) -> AsyncGenerator[bytes]:
    """The stream's messages: the schema, then batches."""
    yield records.schema(job.dataset.header.optional_columns).serialize().to_pybytes()
    for index in range(first, job.dataset.header.shards):
        commit = await _committed(job, index)
        # Together with other streams, or alone once they are too far ahead.
        with ExitStack() as stack:
            reading = stack.enter_context(readings.join(job, commit))
            for batch in itertools.count():
                try:
                    message = await reading.message(batch)
                except FellBehindError:
                    # Left first: what it keeps is for those who go on with it.
                    stack.close()
                    reading = stack.enter_context(readings.alone(job, commit))
                    message = await reading.message(batch)
                if not message:
                    break
                yield message


async def _committed(job: Job, index: int) -> Commit:
    """Waits for a shard. Raises JobStateError if it will never come."""
    while not job.tally.has(index):
        # Looked at again: it may have been the last commit.
        if not job.is_active and not job.tally.has(index):
            raise JobStateError(f"job {job.id[:12]} is {job.state}: its stream can't be completed")
        await anyio.sleep(POLL_S)
    return await anyio.to_thread.run_sync(commit_of, job, index)
