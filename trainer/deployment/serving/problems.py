"""Errors as problem bodies (RFC 9457)."""

import http
from typing import Any

from starlette.responses import JSONResponse

from shared.errors import HeadstartError, RequestError

MEDIA_TYPE = "application/problem+json"


class ProblemError(HeadstartError):
    """An error that belongs to HTTP; `status` is that of the answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def problem(error: HeadstartError) -> dict[str, Any]:
    """The body of one of our errors."""
    errors = error.problems if isinstance(error, RequestError) else []
    invalid = 422 if isinstance(error, RequestError) else 500
    status = error.status if isinstance(error, ProblemError) else invalid
    return {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": "the message is not valid" if errors else str(error),
        "errors": [{"pointer": pointer, "detail": detail} for pointer, detail in errors],
    }


def answer(error: HeadstartError) -> JSONResponse:
    """The answer to a call."""
    body = problem(error)
    extra = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}, 408: {"Connection": "close"}}
    return JSONResponse(body, body["status"], headers=extra.get(body["status"]), media_type=MEDIA_TYPE)
