"""Routes of a job's data: its manifest, its shards as files, and all of it as one Arrow stream."""

from collections.abc import AsyncIterator, Generator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Header, Query
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.api.jobs import JobId, Jobs
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import ManifestBody, ShardBody, ShardPage
from services.jobs import Job
from shared.dataset import Dataset, verify_shard
from shared.errors import CorruptShardError
from shared.manifest import Commit

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["data"], responses=RESPONSES)

After = Annotated[int, Query(ge=-1, lt=10**8, description="only shards beyond this index")]
Limit = Annotated[int, Query(ge=1, le=1000, description="at most so many")]
_POLL_S = 0.1
_BATCH_ROWS = 128


@router.get("/manifest", operation_id="get_manifest")
def get_manifest(jobs: Jobs, job_id: JobId, after: After = -1, limit: Limit = 1000) -> ManifestBody:
    """What the dataset is, its state, and its commits."""
    dataset = jobs.job(job_id).dataset
    # The state first: a sealed one then never lacks a commit.
    state = dataset.state()
    commits = [commit for commit in state.commits if commit.index > after]
    return ManifestBody(
        header=dataset.header.to_json(),
        state=state.state,
        reason=state.reason,
        commits=[asdict(commit) for commit in commits[:limit]],
        more=len(commits) > limit,
    )


@router.get("/shards", operation_id="list_shards")
def list_shards(jobs: Jobs, job_id: JobId, after: After = -1, limit: Limit = 1000) -> ShardPage:
    """The committed shards."""
    job = jobs.job(job_id)
    commits = [commit for commit in job.dataset.commits() if commit.index > after]
    return ShardPage(shards=[ShardBody.of(job, commit) for commit in commits[:limit]], more=len(commits) > limit)


@router.get(
    "/shards/{index}",
    operation_id="get_shard",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/vnd.apache.parquet": {}}, "description": "The Parquet file"},
        206: {"content": {"application/vnd.apache.parquet": {}}, "description": "A range of it"},
        304: {"description": "The caller has it"},
    },
)
def get_shard(
    jobs: Jobs,
    job_id: JobId,
    index: Annotated[int, PathParameter(ge=0, lt=10**8)],
    range_: Annotated[str | None, Header(alias="Range", description="one range of bytes")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """One shard as a Parquet file. Its ETag is its sha256; one Range of bytes may be asked for."""
    dataset = jobs.job(job_id).dataset
    commit = dataset.commit(index)
    if commit is None:
        raise ProblemError(404, f"shard {index} is not committed (yet); GET the manifest to see which are")
    etag = f'"{commit.file_sha256}"'
    headers = {"ETag": etag, "Cache-Control": "private, immutable, max-age=31536000"}
    if if_none_match is not None and etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)
    path = dataset.shard_path(index)
    if not path.is_file() or path.stat().st_size != commit.bytes:
        raise CorruptShardError("is committed, but not here whole; restore it", path.name)
    wanted = _one_range(range_, commit.bytes)
    return _ShardResponse(path, headers, ranged=wanted)


class _ShardResponse(FileResponse):
    """A file, whole unless `ranged`: a Range header that makes no sense to us is passed over, as RFC 9110 has it."""

    def __init__(self, path: Path, headers: dict[str, str], ranged: bool) -> None:
        super().__init__(path, headers=headers, media_type="application/vnd.apache.parquet", filename=path.name)
        self._ranged = ranged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._ranged:
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"range"]}
        await super().__call__(scope, receive, send)


def _one_range(header: str | None, size: int) -> bool:
    """Whether `header` asks for one range of a file. Raises ProblemError (416) if it lies outside."""
    unit, _, span = (header or "").replace(" ", "").partition("=")
    first, dash, last = span.partition("-")
    digits = [text for text in (first, last) if text]
    if unit.lower() != "bytes" or not dash or not digits:
        return False
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in digits):
        return False
    if first and last and int(last) < int(first):
        return False
    if (first and int(first) >= size) or (not first and int(last) == 0):
        raise ProblemError(416, f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return True


@router.get(
    "/stream",
    operation_id="stream_rows",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/vnd.apache.arrow.stream": {}}, "description": "An Arrow IPC stream"}},
)
def stream_rows(jobs: Jobs, job_id: JobId) -> Response:
    """Every row in order of its id as an Arrow IPC stream, which ends when the dataset is sealed.

    Rows are sent as their shards are committed. If the job fails or is cancelled meanwhile, the connection is cut.
    """
    job = jobs.job(job_id)
    if job.state in ("failed", "cancelling", "cancelled"):
        raise ProblemError(409, f"this job is {job.state}, so its stream would never end; its shards can be fetched")
    return StreamingResponse(_arrow_stream(job), media_type="application/vnd.apache.arrow.stream")


async def _arrow_stream(job: Job) -> AsyncIterator[bytes]:
    pipe = _Pipe()
    header = job.dataset.header
    writer: Any = None
    for index in range(header.shards):
        commit = await _committed(job, index)
        batches = await anyio.to_thread.run_sync(_checked_batches, job.dataset, commit)
        try:
            while (batch := await anyio.to_thread.run_sync(partial(next, batches, None))) is not None:
                if writer is None:
                    writer = pa.ipc.new_stream(pipe, batch.schema)
                await anyio.to_thread.run_sync(writer.write_batch, batch)
                for chunk in pipe.take():
                    yield chunk
        finally:
            batches.close()
    writer.close()
    for chunk in pipe.take():
        yield chunk


async def _committed(job: Job, index: int) -> Commit:
    """Waits for a shard. Raises ConnectionAbortedError, which cuts the connection, if it will never come."""
    while True:
        ended = not job.is_active
        commit = await anyio.to_thread.run_sync(job.dataset.commit, index)
        if commit is not None:
            return commit
        if ended:
            raise ConnectionAbortedError(f"job {job.id[:12]} is {job.state}: its stream can't be completed")
        await anyio.sleep(_POLL_S)


def _checked_batches(dataset: Dataset, commit: Commit) -> Generator[pa.RecordBatch, None, None]:
    verify_shard(dataset.shard_path(commit.index), commit)
    return _batches(dataset.shard_path(commit.index))


def _batches(path: Path) -> Generator[pa.RecordBatch, None, None]:
    """A shard's rows, in batches small enough that many slow readers don't fill the memory."""
    with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False)


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

    def take(self) -> list[bytes]:
        """What was written since the last call."""
        chunks, self._chunks = self._chunks, []
        return chunks
