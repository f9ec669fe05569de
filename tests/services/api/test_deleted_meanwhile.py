"""A job that is deleted while its data are read: that is said, and is no fault of the service."""

from typing import cast

import anyio
import httpx
import pytest
from fastapi import FastAPI

from services.api import problems
from services.jobs import Job, JobQueue
from shared.errors import CorruptShardError, DatasetFormatError

THERE, GONE = "a" * 64, "b" * 64


class _Queue(JobQueue):
    def __init__(self) -> None:
        self._jobs = cast(dict[str, Job], {THERE: None})


def _answer(error: Exception, job_id: str) -> httpx.Response:
    app = FastAPI()
    app.state.jobs = _Queue()
    problems.install(app, [])

    @app.get("/v1/jobs/{job_id}/data")
    async def data(job_id: str) -> None:
        raise error

    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(f"/v1/jobs/{job_id}/data")

    return anyio.run(call)


@pytest.mark.parametrize(
    "error",
    [DatasetFormatError("is missing", "commits/0"), CorruptShardError("is committed but missing", "shards/0"),
     FileNotFoundError("shards/0")],
)  # fmt: skip
def test_what_is_missing_of_a_deleted_job_is_a_404(error: Exception) -> None:
    answer = _answer(error, GONE)
    assert (answer.status_code, answer.json()["detail"][:38]) == (404, "this job was deleted while it was read")
    assert _answer(error, THERE).status_code == 500
