"""Routes of the service itself: preview, health, version."""

import importlib.metadata

from fastapi import APIRouter, Request, Response

from services.api import stream
from services.api.bodies import REQUEST_BODY, RequestBody
from services.api.jobs import Jobs
from services.api.previews import make_preview
from services.api.problems import RESPONSES, ProblemError
from services.api.schemas import HealthBody, PreviewBody, VersionBody
from services.jobs import library_versions
from services.synthesis import GENERATOR_VERSION
from shared.records import SCHEMA_VERSION

try:
    _VERSION = importlib.metadata.version("headstart")
except importlib.metadata.PackageNotFoundError:
    _VERSION = "not installed, run from its source tree"

router = APIRouter(tags=["service"], responses=RESPONSES)


@router.post(
    "/v1/preview",
    operation_id="preview",
    openapi_extra=REQUEST_BODY,
    responses={200: {"model": PreviewBody, "content": {stream.MEDIA_TYPE: {}}}},
)
def preview(call: Request, request: RequestBody) -> Response:
    """Make up to 64 trajectories now, and keep them nowhere: the first rows of the same request's job.

    As JSON, or as an Arrow IPC stream where `Accept` names its type. A request that will have more samples than a
    preview may have is refused at once, with what to lower.
    """
    arrow = stream.MEDIA_TYPE in call.headers.get("accept", "")
    rows = make_preview(call.app.state.previewers, request, arrow)
    return Response(rows, media_type=stream.MEDIA_TYPE if arrow else "application/json", headers={"Vary": "Accept"})


@router.get("/healthz", operation_id="health")
async def health() -> HealthBody:
    """The process answers."""
    return HealthBody()


@router.get("/readyz", operation_id="ready")
def ready(jobs: Jobs) -> HealthBody:
    """It can make shards and store them; else 503 with the reasons."""
    problems = (("/engine", jobs.engine_problem), ("/storage", jobs.storage_problem()))
    errors = [(pointer, text) for pointer, text in problems if text]
    if errors:
        raise ProblemError(503, "; ".join(f"{pointer[1:]}: {text}" for pointer, text in errors), errors)
    return HealthBody()


@router.get("/version", operation_id="version")
def version() -> VersionBody:
    """Versions of the service and its libraries."""
    return VersionBody(
        version=_VERSION,
        generator_version=GENERATOR_VERSION,
        schema_version=SCHEMA_VERSION,
        libraries=library_versions(),
    )
