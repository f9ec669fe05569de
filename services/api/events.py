"""A job's events, as a browser's EventSource or `curl -N` follows them (text/event-stream)."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Header
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from services.api.jobs import JobId, Jobs
from services.api.lasting_calls import FOLLOWS, POLL_S
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import ShardBody
from services.api.shards import After
from services.jobs import Job, commit_of

_LAST_ID = re.compile(r"(?P<told>\d{1,9})(\.(?P<state>[a-z]{1,20}))?")
_PROGRESS_EVERY_S = 0.5
_SILENCE_S = 15.0
_EVENT_SCHEMA = {
    "type": "object",
    "properties": {
        "event": {
            "type": "string",
            "enum": ["state", "commit", "progress"],
            "description": "what it tells",
            "examples": ["state"],
        },
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "JSON: the state and its reason, a ShardBody, or a ProgressBody",
            "examples": ['{"state": "running", "reason": ""}'],
        },
        "id": {"type": "string", "description": "for `Last-Event-ID`, to go on after it", "examples": ["4"]},
    },
    "required": ["event", "data", "id"],
}

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"], responses=RESPONSES)


@router.get(
    "/events",
    operation_id="job_events",
    response_class=StreamingResponse,
    dependencies=[FOLLOWS],
    responses={
        200: {"content": {"text/event-stream": {"itemSchema": _EVENT_SCHEMA}}, "description": "The events"},
        204: {"description": "`Last-Event-ID` is that of the job's last event: nothing more will come"},
    },
)
async def job_events(
    jobs: Jobs,
    job_id: JobId,
    after: After = -1,
    last_event_id: Annotated[str | None, Header(description="goes on after this event")] = None,
) -> Response:
    """What happens to a job, until it has ended.

    `state`: its state, and the reason if it failed. `commit`: a shard, as the list of shards has it, in index order up
    to the first that is missing. `progress`: the counts, rejections by reason, the rate and the seconds that remain.
    """
    job, told = jobs.job(job_id), after + 1
    if last_event_id is not None:
        match = _LAST_ID.fullmatch(last_event_id)
        if match is None:
            raise ProblemError(
                422, "a parameter is not valid", [("/header/Last-Event-ID", "use an event's id as it is")]
            )
        if match["state"] == job.state and not job.is_active:
            return Response(status_code=204)
        told = int(match["told"])
    return StreamingResponse(_events(job, told), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(job: Job, told: int) -> AsyncIterator[bytes]:
    """Bytes of the events. The id of each is the number of shards told, then the state once the job has ended."""
    ending, spoke_at = "", 0.0

    def event(name: str, data: dict[str, Any]) -> bytes:
        nonlocal spoke_at
        spoke_at = anyio.current_time()
        return format_sse_event(event=name, data_str=json.dumps(data), id=f"{told}{ending}")

    state, progress, progress_at = None, None, 0.0
    while True:
        # The state first: an ended job has no commit that is not told below.
        now, ended = {"state": job.state, "reason": job.reason}, not job.is_active
        if now != state and not ended:
            state = now
            yield event("state", now)
        while told < job.tally.watermark:
            commit = await anyio.to_thread.run_sync(commit_of, job, told)
            told += 1
            yield event("commit", ShardBody.of(job, commit).model_dump())
        due = ended or anyio.current_time() - progress_at >= _PROGRESS_EVERY_S
        if job.progress != progress and due:
            progress, progress_at = job.progress, anyio.current_time()
            yield event("progress", asdict(progress))
        if ended:
            ending = f".{now['state']}"
            yield event("state", now)
            return
        if anyio.current_time() - spoke_at > _SILENCE_S:
            spoke_at = anyio.current_time()
            yield KEEPALIVE_COMMENT
        await anyio.sleep(POLL_S)
