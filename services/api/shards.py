"""Routes of a job's data: its manifest, and its shards as files."""

import base64
import json
from collections.abc import Iterator
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response

from services.api.aborting_response import AbortingResponse
from services.api.jobs import JobId, Jobs
from services.api.lasting_calls import FOLLOWS, Wait, until
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import ManifestBody, ShardBody, ShardPage
from services.jobs import Job, commit_of, commits_of
from shared.dataset import Dataset
from shared.errors import CorruptShardError
from shared.manifest import Commit

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["data"], responses=RESPONSES)

MEDIA_TYPE = "application/vnd.apache.parquet"
_PART_BYTES = 1 << 19

After = Annotated[int, Query(ge=-1, lt=10**8, description="only shards beyond this index")]
Limit = Annotated[int, Query(ge=1, le=1000, description="at most so many")]


@router.get("/manifest", operation_id="get_manifest", responses={200: {"model": ManifestBody}})
async def get_manifest(
    call: Request, jobs: Jobs, job_id: JobId, wait: Wait, after: After = -1, limit: Limit = 1000
) -> Response:
    """What the dataset is, its state, and its commits. With `wait`, answers when there are new ones or it has ended."""
    job = jobs.job(job_id)
    await until(call, lambda: job.tally.after(after, 1) != [] or not job.is_active, wait)
    return Response(await anyio.to_thread.run_sync(_manifest, job, after, limit), media_type="application/json")


def _manifest(job: Job, after: int, limit: int) -> bytes:
    # The state first: a sealed dataset then never lacks a commit.
    head = {"header": job.dataset.header.to_json(), "state": job.dataset_state, "reason": job.reason}
    indices = job.tally.after(after, limit + 1)
    commits = [commit.to_json() for commit in commits_of(job, indices[:limit])]
    return json.dumps({**head, "commits": commits, "more": len(indices) > limit}).encode()


@router.get("/shards", operation_id="list_shards")
async def list_shards(
    call: Request, jobs: Jobs, job_id: JobId, wait: Wait, after: After = -1, limit: Limit = 1000
) -> ShardPage:
    """The committed shards. With `wait`, answers when there are new ones or the job has ended."""
    job = jobs.job(job_id)
    await until(call, lambda: job.tally.after(after, 1) != [] or not job.is_active, wait)
    return await anyio.to_thread.run_sync(_page, job, after, limit)


def _page(job: Job, after: int, limit: int) -> ShardPage:
    indices = job.tally.after(after, limit + 1)
    shards = [ShardBody.of(job, commit) for commit in commits_of(job, indices[:limit])]
    return ShardPage(shards=shards, more=len(indices) > limit)


@router.get(
    "/shards/{index}",
    operation_id="get_shard",
    response_class=AbortingResponse,
    dependencies=[FOLLOWS],
    responses={
        200: {"content": {MEDIA_TYPE: {}}, "description": "The Parquet file"},
        206: {"content": {MEDIA_TYPE: {}}, "description": "A range of it"},
        304: {"description": "The caller has it"},
    },
)
def get_shard(
    jobs: Jobs,
    job_id: JobId,
    index: Annotated[int, PathParameter(ge=0, lt=10**8, description="of the shard, from 0")],
    range_: Annotated[str | None, Header(alias="Range", description="one range of bytes")] = None,
    if_none_match: Annotated[str | None, Header(description="ETags of what the caller has")] = None,
    if_range: Annotated[str | None, Header(description="the ETag without which the range is passed over")] = None,
) -> Response:
    """One shard as a Parquet file. Its ETag is its sha256; one Range of bytes may be asked for."""
    job = jobs.job(job_id)
    commit = commit_of(job, index)
    etag = f'"{commit.file_sha256}"'
    digest = base64.b64encode(bytes.fromhex(commit.file_sha256)).decode()
    headers = {
        "ETag": etag,
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, immutable, max-age=31536000",
    }
    if if_none_match is not None and etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)
    if job.dataset.shard_size(commit) != commit.bytes:
        raise CorruptShardError("is committed, but not here whole; restore it", f"shard {index}")
    ranged = _one_range(range_, commit.bytes) if if_range is None or if_range.strip() == etag else None
    first, stop = ranged or (0, commit.bytes)
    headers |= {
        "Accept-Ranges": "bytes",
        "Content-Length": str(stop - first),
        "Content-Disposition": f'attachment; filename="shard-{index:08d}.parquet"',
        **({"Content-Range": f"bytes {first}-{stop - 1}/{commit.bytes}"} if ranged else {}),
    }
    content = _parts(job.dataset, commit, first, stop)
    return AbortingResponse(content, 206 if ranged else 200, headers, MEDIA_TYPE)


def _parts(dataset: Dataset, commit: Commit, first: int, stop: int) -> Iterator[bytes]:
    """A shard's bytes, read as the caller takes them."""
    for start in range(first, stop, _PART_BYTES):
        yield dataset.shard_part(commit, start, min(_PART_BYTES, stop - start)).to_pybytes()


def _one_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the end of the one range of a file that `header` asks for.

    None if it asks for something else, or makes no sense to us: RFC 9110 has it passed over.

    Raises ProblemError (416) if the range lies outside.
    """
    unit, _, span = (header or "").replace(" ", "").partition("=")
    first, dash, last = span.partition("-")
    digits = [text for text in (first, last) if text]
    if unit.lower() != "bytes" or not dash or not digits:
        return None
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in digits):
        return None
    if first and last and int(last) < int(first):
        return None
    if (first and int(first) >= size) or (not first and int(last) == 0):
        raise ProblemError(416, f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
