"""Routes of jobs: submit, list, look at, cancel, delete."""

import base64
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor

from services.api.bodies import REQUEST_BODY, RequestBody
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import JobBody, JobPage
from services.api.settings import Settings
from services.jobs import Job, JobQueue, JobState
from services.synthesis.request import TrajectoryRequest
from shared.errors import RequestError


class _UpToColon(StringConvertor):
    """A path segment without a colon, so that /jobs/ID and /jobs/ID:cancel are different paths."""

    regex = "[^/:]+"


register_url_convertor("up_to_colon", _UpToColon())
router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=RESPONSES)


async def _queue(call: Request) -> JobQueue:
    queue = call.app.state.jobs
    assert isinstance(queue, JobQueue)
    return queue


Jobs = Annotated[JobQueue, Depends(_queue)]
JobId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="the job's id, as submitting it answered")]
_KEY_PATTERN = r"^[\x21-\x7e]{1,255}$"


@router.post(
    "",
    operation_id="submit_job",
    status_code=202,
    openapi_extra=REQUEST_BODY,
    responses={200: {"model": JobBody, "description": "The dataset is complete already"}},
)
def submit_job(
    call: Request,
    jobs: Jobs,
    request: RequestBody,
    response: Response,
    idempotency_key: Annotated[str | None, Header(pattern=_KEY_PATTERN)] = None,
) -> JobBody:
    """Submit a request. The same request is always the same job; one that failed or was cancelled is taken up again."""
    _check_size(request, call.app.state.settings)
    job, active = jobs.submit(request, idempotency_key)
    body = JobBody.of(job)
    response.headers["Location"] = body.links["self"]
    if active:
        response.headers["Retry-After"] = "1"
    else:
        response.status_code = 200
    return body


@router.get("", operation_id="list_jobs")
async def list_jobs(
    jobs: Jobs,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="next_cursor of the page before")] = None,
    state: Annotated[JobState | None, Query(description="only jobs in this state")] = None,
) -> JobPage:
    """The jobs, newest first."""
    found = [job for job in jobs.jobs() if state is None or job.state == state]
    if cursor is not None:
        last = _decode(cursor)
        found = [job for job in found if _place(job) < last]
    page, rest = found[:limit], found[limit:]
    following = _encode(page[-1]) if rest else None
    if following:
        query = f"limit={limit}&cursor={following}" + (f"&state={state}" if state else "")
        response.headers["Link"] = f'</v1/jobs?{query}>; rel="next"'
    return JobPage(jobs=[JobBody.of(job) for job in page], next_cursor=following)


@router.get("/{job_id:up_to_colon}", operation_id="get_job")
async def get_job(jobs: Jobs, job_id: JobId) -> JobBody:
    """A job's state and progress."""
    return JobBody.of(jobs.job(job_id))


@router.post("/{job_id:up_to_colon}:cancel", operation_id="cancel_job", status_code=202)
def cancel_job(jobs: Jobs, job_id: JobId) -> JobBody:
    """Cancel a job within 2 s. Shards that are committed stay; submitting the request again goes on from them."""
    return JobBody.of(jobs.cancel(job_id))


@router.delete("/{job_id:up_to_colon}", operation_id="delete_job", status_code=204)
def delete_job(jobs: Jobs, job_id: JobId) -> None:
    """Delete a job that has ended, and its data. Streams and downloads under way may be cut, but never get wrong rows.

    Submitting the request again makes the same data anew.
    """
    jobs.delete(job_id)


def _check_size(request: TrajectoryRequest, settings: Settings) -> None:
    """Raises RequestError if that is more than this service makes in one job."""
    shards = -(-request.count // request.shard_rows)
    if request.count > settings.max_rows:
        pointer = "/count"
        detail = f"{request.count} are more than the {settings.max_rows} that this service makes in one job; "
        detail += "split it by seed"
    elif shards > settings.max_shards:
        pointer = "/shard_rows"
        detail = f"{shards} shards are more than the {settings.max_shards} that this service makes in one job; "
        detail += f"use at least {-(-request.count // settings.max_shards)}"
    else:
        return
    raise RequestError("the request is not valid", [(pointer, detail)])


def _place(job: Job) -> tuple[str, str]:
    return job.created_at.isoformat(), job.id


def _encode(job: Job) -> str:
    return base64.urlsafe_b64encode("|".join(_place(job)).encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[str, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        created, job_id = text.split("|")
    except ValueError:
        wrong = ("/query/cursor", "use the next_cursor of a page as it is")
        raise ProblemError(422, "a parameter is not valid", [wrong]) from None
    return created, job_id
