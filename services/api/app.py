"""The application: routes, problems, guard, and the jobs behind them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.api import (
    bodies,
    coverage,
    events,
    jobs,
    metrics,
    motions,
    page,
    previews,
    problems,
    robots,
    service,
    shards,
    stream,
    trajectories,
)
from services.api.access import OPEN_PATHS, AccessGuard
from services.api.bounded_process import BoundedProcesses
from services.api.lasting_calls import Followers
from services.api.open_calls import CallCutter, OpenCalls
from services.api.settings import Settings
from services.api.shared_shards import Readings
from services.api.uploads import Uploads
from services.api.webhooks import WebhookSender, documented_webhooks
from services.catalogue.robot_registry import RobotRegistry
from services.engine import open_engine
from services.jobs import JobQueue
from services.motions_registry import MotionsRegistry
from shared.webhook_signature import key_of

_ROUTERS = (
    jobs.router,
    events.router,
    shards.router,
    stream.router,
    trajectories.router,
    coverage.router,
    robots.router,
    motions.router,
    service.router,
    metrics.router,
    page.router,
)
_DECODERS = 2
_GRACE_S = 0.3
"""For the calls that are under way when the service stops."""
_DESCRIPTION = """Jerk-limited arm trajectories by the million, as Parquet shards that can be read while they are made.

Submit a request, follow its job, fetch its shards. Every error is a problem body (RFC 9457).
"""


def create_app(settings: Settings) -> FastAPI:
    """The API on `settings`. Answers at once; the engine starts in the background (see /readyz).

    Raises:
        ConfigError: a key is needed and there is none.
    """
    keys = settings.keys()
    # Its pages for browsing the API load scripts from other hosts: /docs is one of ours.
    app = FastAPI(title="Headstart", description=_DESCRIPTION, lifespan=_lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.metrics = metrics.Metrics()
    app.add_middleware(AccessGuard, keys=keys, open_paths=OPEN_PATHS | page.PATHS)
    app.add_middleware(metrics.Meter, metrics=app.state.metrics)
    app.state.open_calls = OpenCalls()
    app.add_middleware(CallCutter, calls=app.state.open_calls)
    for router in _ROUTERS:
        app.include_router(router)
    app.webhooks.include_router(documented_webhooks)
    problems.install(app, [*app.routes, *(route for router in _ROUTERS for route in router.routes)])

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, bool(keys))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The jobs and all that routes work with, from the start of the server to its end."""
    queue = _open_state(app)
    queue.start()
    try:
        async with anyio.create_task_group() as group:
            if app.state.webhooks is not None:
                group.start_soon(app.state.webhooks.run)
            yield
            group.cancel_scope.cancel()
    finally:
        await end_calls(app)
        await anyio.to_thread.run_sync(queue.stop)


def _open_state(app: FastAPI) -> JobQueue:
    """Fills in `app.state` from its settings; the queue of jobs, which is in it, has yet to be started."""
    state, settings = app.state, app.state.settings
    state.jobs = queue = JobQueue(
        settings.data,
        open_engine(settings.engine, settings.workers),
        state=settings.state_folder,
        max_queued=settings.max_queued_jobs,
        max_running=settings.max_running_jobs,
        min_free_bytes=settings.min_free_bytes,
        on_commit=state.metrics.count_commit,
    )
    state.followers = Followers(settings.max_streams)
    state.decoders = anyio.CapacityLimiter(_DECODERS)
    state.readings = Readings(state.decoders)
    state.coverages = coverage.Coverages()
    state.previewers = BoundedProcesses(
        settings.preview_seconds, "preview", settings.preview_processes, previews.prepare
    )
    metrics.StateCollector(state.metrics, queue, state.followers, state.previewers)
    state.robots = RobotRegistry(settings.state_folder / "robots", settings.max_robots)
    state.robot_uploads = Uploads(robots.MAX_UPLOADS, "robot")
    state.robot_reader = BoundedProcesses(robots.READ_S, "robot")
    state.motions = MotionsRegistry(settings.state_folder / "motions", settings.max_motions)
    state.motions_uploads = Uploads(motions.MAX_UPLOADS, "motions file")
    state.motions_reader = BoundedProcesses(motions.READ_S, "motions file")
    state.webhooks = _webhooks(settings, queue)
    return queue


def _webhooks(settings: Settings, queue: JobQueue) -> WebhookSender | None:
    """What calls webhooks; None without a secret to sign the calls with."""
    if settings.webhook_secret is None:
        return None
    return WebhookSender(
        settings.state_folder / "webhooks",
        queue,
        key=key_of(settings.webhook_secret.get_secret_value()),
        seconds=settings.webhook_seconds,
        most=settings.max_webhooks,
        allow_private=settings.webhook_allow_private,
    )


async def end_calls(app: FastAPI) -> None:
    """Ends what a service does, for a server that is about to stop: jobs, processes beside it, and then calls.

    Those under way have a moment to be answered; streams are cut.
    """
    state = app.state
    if state.open_calls.are_cut:
        return
    state.jobs.begin_to_stop()
    async with anyio.create_task_group() as group:
        for process in (state.previewers, state.robot_reader, state.motions_reader):
            group.start_soon(anyio.to_thread.run_sync, process.close)
        await anyio.sleep(_GRACE_S)
        state.open_calls.cut()


def _document(app: FastAPI, keyed: bool) -> dict[str, Any]:
    """The OpenAPI document, with the schemas that no route's signature names."""
    document = get_openapi(
        title=app.title, version="1", description=_DESCRIPTION, routes=app.routes, webhooks=app.webhooks.routes
    )
    components = document["components"]
    components["schemas"].update(bodies.COMPONENTS)
    components["schemas"].update(problems.COMPONENTS)
    if keyed:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, operations in document["paths"].items():
            for operation in operations.values() if path not in OPEN_PATHS else ():
                operation["security"] = [{"key": []}]
    return document
