"""Reads a trajectory request from a call's body: bounded, JSON, and with a pointer to each thing that is wrong."""

import json
from typing import Annotated

from fastapi import Depends, Request

from services.api.problems import ProblemError
from services.api.schemas import schema_components
from services.catalogue import ARMS
from services.synthesis.request import TrajectoryRequest

COMPONENTS = schema_components(TrajectoryRequest)
COMPONENTS["TrajectoryRequest"]["properties"]["robot"]["enum"] = sorted(ARMS)
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
    limit = call.app.state.settings.max_body_bytes
    body = bytearray()
    async for chunk in call.stream():
        body += chunk
        if len(body) > limit:
            raise ProblemError(413, f"a request has at most {limit} bytes")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, f"the body is not JSON: {error}") from None
    return TrajectoryRequest.parse(value)


RequestBody = Annotated[TrajectoryRequest, Depends(_read)]
"""A route's parameter: the request in the body."""
