"""Every answer that is an error, as a problem body (RFC 9457, application/problem+json)."""

import http
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from services import jobs
from services.api.schemas import Problem
from services.api.schemas.fields import schema_components
from shared.errors import (
    CorruptShardError,
    DatasetError,
    HeadstartError,
    MotionsError,
    ObjectStoreError,
    RequestError,
    RobotError,
    SynthesisError,
)

MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[HeadstartError], int] = {
    RequestError: 422,
    RobotError: 422,
    MotionsError: 422,
    SynthesisError: 422,
    CorruptShardError: 500,
    ObjectStoreError: 503,
    jobs.UnknownJobError: 404,
    jobs.UnknownShardError: 404,
    jobs.JobStateError: 409,
    jobs.IdempotencyError: 422,
    jobs.QueueFullError: 429,
    jobs.StorageError: 507,
}
_RETRY_AFTER_S = {429: "30", 503: "2", 507: "60"}


class ProblemError(HeadstartError):
    """An error that belongs to HTTP: a status, and what to say.

    Attributes:
        status: of the answer.
        errors: a (JSON pointer, detail) pair for each thing that is wrong.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = list(errors)
        self.headers = dict(headers or {})


def problem(
    status: int,
    detail: str,
    *,
    kind: str = "about:blank",
    errors: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem body with `status`; `kind` is its type, a URI."""
    body: dict[str, Any] = {
        "type": kind,
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [{"pointer": pointer, "detail": text} for pointer, text in errors],
    }
    retry = {"Retry-After": _RETRY_AFTER_S[status]} if status in _RETRY_AFTER_S else {}
    return JSONResponse(body, status, headers={**retry, **(headers or {})}, media_type=MEDIA_TYPE)


def answer(error: HeadstartError) -> JSONResponse:
    """The problem body of one of our errors."""
    if isinstance(error, ProblemError):
        return problem(error.status, str(error), errors=error.errors, headers=error.headers)
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    words = re.findall("[A-Z][a-z]*", type(error).__name__.removesuffix("Error"))
    kind = "urn:headstart:problem:" + "-".join(words).lower()
    if isinstance(error, RequestError) and error.problems:
        return problem(status, "the request is not valid", kind=kind, errors=error.problems)
    return problem(status, str(error), kind=kind)


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Makes every error of `app` a problem, the framework's own included; `routes` are all that it has."""

    @app.exception_handler(HeadstartError)
    async def ours(call: Request, error: HeadstartError) -> JSONResponse:
        return _deleted() if isinstance(error, DatasetError) and _of_no_job(call) else answer(error)

    @app.exception_handler(FileNotFoundError)
    async def missing(call: Request, error: FileNotFoundError) -> JSONResponse:
        if _of_no_job(call):
            return _deleted()
        raise error

    @app.exception_handler(HTTPException)
    async def framework(call: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return problem(404, "there is nothing at this path; /openapi.json lists what there is")
        if error.status_code == 405:
            # The router names the methods of the first route that fits; others share its path.
            allow = ", ".join(sorted(_methods(routes, call)))
            return problem(405, f"this path takes {allow}", headers={"Allow": allow})
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def parameters(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [("/" + "/".join(str(part) for part in item["loc"]), str(item["msg"])) for item in error.errors()]
        return problem(422, "a parameter is not valid", errors=errors)

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> JSONResponse:
        return problem(500, "the service has a bug; its log says more")


def _of_no_job(call: Request) -> bool:
    """Whether a call asks for a job's data, and there is no such job any more."""
    job_id, queue = call.path_params.get("job_id"), getattr(call.app.state, "jobs", None)
    return job_id is not None and isinstance(queue, jobs.JobQueue) and job_id not in queue


def _deleted() -> JSONResponse:
    return answer(jobs.UnknownJobError("this job was deleted while it was read; GET /v1/jobs lists those there are"))


def _methods(routes: Sequence[BaseRoute], call: Request) -> set[str]:
    fitting = (route for route in routes if route.matches(call.scope)[0] != Match.NONE)
    return {method for route in fitting for method in getattr(route, "methods", None) or ()}


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, text in (("4XX", "What to change in the call"), ("5XX", "What is wrong with the service"))
}
"""Documents the problem bodies in OpenAPI."""

COMPONENTS = schema_components(Problem)
"""Schemas for the OpenAPI document."""
