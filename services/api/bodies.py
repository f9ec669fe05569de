"""Reads a trajectory request from a call's body: bounded, JSON, and with a pointer to each thing that is wrong."""

import json
from typing import Annotated

import anyio
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from services.api.problems import ProblemError
from services.api.schemas.requests import request_components
from services.synthesis.request.trajectory_request import TrajectoryRequest

COMPONENTS = request_components()
"""Schemas for the OpenAPI document."""

REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TrajectoryRequest"}}},
    }
}
"""For `openapi_extra` of a route that takes a request."""


async def _read(call: Request) -> TrajectoryRequest:
    # Also keeps other sites' pages out: a browser asks before it sends this type across origins.
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ProblemError(415, "send the request as JSON, with the header `Content-Type: application/json`")
    body = await read_bounded(call, call.app.state.settings.max_body_bytes, "a request")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, f"the body is not JSON: {error}") from None
    # In a thread: uploaded robots and motions are read from disk.
    state = call.app.state
    return await run_in_threadpool(TrajectoryRequest.parse, value, state.robots.find, state.motions.find)


async def read_bounded(call: Request, most: int, what: str) -> bytes:
    """A call's body of at most so many bytes. Raises ProblemError as soon as there are more, or it takes too long."""
    body, seconds = bytearray(), call.app.state.settings.body_seconds
    try:
        with anyio.fail_after(seconds):
            async for chunk in call.stream():
                body += chunk
                if len(body) > most:
                    raise ProblemError(413, f"{what} has at most {most} bytes")
    except TimeoutError:
        detail = f"the body was not here whole after {seconds:g} s"
        raise ProblemError(408, detail, headers={"Connection": "close"}) from None
    return bytes(body)


RequestBody = Annotated[TrajectoryRequest, Depends(_read)]
"""A route's parameter: the request in the body."""
