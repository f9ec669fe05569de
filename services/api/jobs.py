"""Routes of jobs: submit, list, look at, cancel, delete."""

import base64
import json
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor

from services.api.bodies import REQUEST_BODY, RequestBody
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import JobBody, JobPage
from services.api.settings import Settings
from services.api.webhooks import RefusedAddressError, TooManyWebhooksError
from services.jobs import Job, JobQueue, JobState
from services.synthesis.request.trajectory_request import TrajectoryRequest
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
MAX_PAGE_BYTES = 1 << 20
"""A page of jobs ends once it has so many: a request that lists its poses is long."""
_KEY_PATTERN = r"^[\x21-\x7e]{1,255}$"


async def _webhook(
    call: Request,
    webhook: Annotated[
        str | None,
        Query(
            max_length=2000,
            description="URL that is called (POST, signed) when the job has ended; if it has already, at once",
        ),
    ] = None,
) -> str | None:
    """A URL that may be called. Raises ProblemError."""
    if webhook is None:
        return None
    sender = call.app.state.webhooks
    try:
        if sender is None:
            raise RefusedAddressError("this service calls none: it has no HEADSTART_WEBHOOK_SECRET to sign calls with")
        await sender.check(webhook)
    except RefusedAddressError as error:
        raise ProblemError(422, "a parameter is not valid", [("/query/webhook", str(error))]) from None
    return webhook


def _call_at_end(call: Request, job: Job, webhook: str) -> None:
    """Keeps a webhook of a job that was submitted. Raises ProblemError if it can't."""
    try:
        call.app.state.webhooks.add(job.id, webhook)
    except TooManyWebhooksError as error:
        raise ProblemError(429, f"the job is submitted, but its webhook is not taken: {error}") from None
    except OSError as error:
        raise ProblemError(507, f"the job is submitted, but its webhook can't be kept: {error.strerror}") from None


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
    idempotency_key: Annotated[
        str | None,
        Header(pattern=_KEY_PATTERN, description="of the caller's; used again for another request, an error"),
    ] = None,
    priority: Annotated[
        int | None,
        Query(ge=-100, le=100, description="shards of jobs with a higher one are made first; 0 if not given"),
    ] = None,
    webhook: Annotated[str | None, Depends(_webhook)] = None,
) -> JobBody:
    """Submit a request. The same request is always the same job; one that failed or was cancelled is taken up again.

    Shards of running jobs take turns. Neither the priority nor the webhook is a part of what the job is: given anew,
    the priority changes, and the webhook is called as well.
    """
    _check_size(request, call.app.state.settings)
    _make_room(jobs, request, call.app.state.settings)
    job, active = jobs.submit(request, idempotency_key, priority)
    if webhook is not None:
        _call_at_end(call, job, webhook)
    body = JobBody.of(job)
    response.headers["Location"] = body.links["self"]
    if active:
        response.headers["Retry-After"] = "1"
    else:
        response.status_code = 200
    return body


@router.get("", operation_id="list_jobs", responses={200: {"model": JobPage}})
def list_jobs(
    jobs: Jobs,
    limit: Annotated[int, Query(ge=1, le=500, description="at most so many jobs")] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="next_cursor of the page before")] = None,
    state: Annotated[JobState | None, Query(description="only jobs in this state")] = None,
) -> Response:
    """The jobs, newest first. A page has fewer than `limit` where their requests are long."""
    found = [job for job in jobs.jobs() if state is None or job.state == state]
    if cursor is not None:
        last = _decode(cursor)
        found = [job for job in found if _place(job) < last]
    page = _bodies(found[:limit])
    following = _encode(found[len(page) - 1]) if len(page) < len(found) else None
    headers = {}
    if following:
        query = f"limit={limit}&cursor={following}" + (f"&state={state}" if state else "")
        headers["Link"] = f'</v1/jobs?{query}>; rel="next"'
    content = b'{"jobs": [' + b", ".join(page) + b'], "next_cursor": ' + json.dumps(following).encode() + b"}"
    return Response(content, headers=headers, media_type="application/json")


def _bodies(jobs: list[Job]) -> list[bytes]:
    """JSON of the first jobs: of as many as a page takes, at least one. Job by job, so that other threads get turns."""
    bodies: list[bytes] = []
    size = 0
    for job in jobs:
        bodies.append(JobBody.of(job).model_dump_json().encode())
        size += len(bodies[-1])
        if size >= MAX_PAGE_BYTES:
            break
    return bodies


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


def _make_room(jobs: JobQueue, request: TrajectoryRequest, settings: Settings) -> None:
    """Forgets the oldest job if this would be one more than is kept. Raises ProblemError (507) if it can't."""
    if request.dataset_id in jobs:
        return
    # Calls at the same moment may exceed it by as many as there are threads.
    kept = len(jobs.jobs())
    if kept < settings.max_jobs or (settings.forget_jobs and jobs.forget(kept - settings.max_jobs + 1)):
        return
    detail = f"{kept} jobs are kept already, as many as may be; delete some that have ended, with their data"
    raise ProblemError(507, detail)


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
