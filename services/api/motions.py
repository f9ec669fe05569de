"""Routes of motions files: demonstrations whose copies requests may ask for."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from services.api.bounded_process import BoundedProcesses
from services.api.jobs import Jobs
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import MotionsBody, MotionsListBody
from services.api.uploads import Uploads
from services.motions_registry import MotionsRegistry, MotionsRegistryFullError
from shared import motions_parquet
from shared.demonstrated_motions import DemonstratedMotions

READ_S = 60.0
"""Longest time for reading an uploaded file."""
MAX_UPLOADS = 4
"""At once, each with its body in memory."""

_KIND = "application/octet-stream"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "what `python -m trainer motions` wrote",
        "content": {_KIND: {"schema": {"type": "string", "format": "binary"}}},
    }
}

router = APIRouter(prefix="/v1/motions", tags=["motions"], responses=RESPONSES)


def _registry(call: Request) -> MotionsRegistry:
    registry = call.app.state.motions
    assert isinstance(registry, MotionsRegistry)
    return registry


Registry = Annotated[MotionsRegistry, Depends(_registry)]
Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="of the content")]


async def _content(call: Request) -> AsyncIterator[bytes]:
    """The body. Counts as an upload until the call is answered."""
    uploads = call.app.state.motions_uploads
    assert isinstance(uploads, Uploads)
    async with uploads.body(call, (_KIND,), f"a motions file as {_KIND}", motions_parquet.MAX_BYTES) as body:
        yield body


@router.get("", operation_id="list_motions")
def list_motions(registry: Registry) -> MotionsListBody:
    """The motions files that were uploaded."""
    found = (registry.find(sha256) for sha256 in registry.names())
    return MotionsListBody(motions=[MotionsBody.of(motions) for motions in found if motions is not None])


@router.post(
    "",
    operation_id="upload_motions",
    status_code=201,
    openapi_extra=_BODY,
    responses={200: {"model": MotionsBody, "description": "This file is there already"}},
)
def upload_motions(
    call: Request, jobs: Jobs, registry: Registry, response: Response, content: Annotated[bytes, Depends(_content)]
) -> MotionsBody:
    """Upload the motions of demonstrations. Requests name them by the sha256 of their content."""
    if problem := jobs.storage_problem():
        raise ProblemError(507, problem)
    reader = call.app.state.motions_reader
    assert isinstance(reader, BoundedProcesses)
    motions = reader.call(read_motions_content, content)
    try:
        if not registry.add(motions):
            response.status_code = 200
    except (MotionsRegistryFullError, OSError) as error:
        raise ProblemError(507, f"the motions can't be kept: {error}") from error
    body = MotionsBody.of(motions)
    response.headers["Location"] = body.links["self"]
    return body


def read_motions_content(content: bytes) -> DemonstratedMotions:
    """Runs in a process of its own: Parquet is unpacked in its memory. Raises MotionsError."""
    return motions_parquet.from_parquet(content)


@router.get(
    "/{sha256}",
    operation_id="get_motions",
    response_class=Response,
    responses={
        200: {"content": {_KIND: {"schema": {"type": "string", "format": "binary"}}}, "description": "The file"}
    },
)
def get_motions(registry: Registry, sha256: Sha256) -> Response:
    """A motions file."""
    content = registry.content(sha256)
    if content is None:
        raise ProblemError(404, f"no motions file of sha256 {sha256} was uploaded")
    headers = {"ETag": f'"{sha256}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=_KIND, headers=headers)


@router.delete("/{sha256}", operation_id="delete_motions", status_code=204)
def delete_motions(registry: Registry, sha256: Sha256) -> None:
    """Delete a motions file. Datasets of copies keep their own."""
    if not registry.remove(sha256):
        raise ProblemError(404, f"no motions file of sha256 {sha256} was uploaded")
