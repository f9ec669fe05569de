"""What Prometheus reads: calls, jobs, and what was made since the service started."""

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client import generate_latest as expose
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.bounded_process import BoundedProcesses
from services.api.lasting_calls import Followers
from services.api.problems import RESPONSES
from services.jobs import JOB_STATES, JobQueue
from shared.manifest import Commit

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600)

router = APIRouter(tags=["service"], responses=RESPONSES)


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text form"}
    },
)
async def metrics(call: Request) -> Response:
    """Metrics for Prometheus."""
    return Response(expose(call.app.state.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class Metrics:
    """Counts of one service."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._calls = Counter("headstart_calls", "calls answered", ["operation", "status"], registry=registry)
        self._seconds = Histogram(
            "headstart_call_seconds", "until the end of the answer", ["operation"], buckets=_SECONDS, registry=registry
        )
        self._rows = Counter("headstart_rows", "trajectories committed", registry=registry)
        self._attempts = Counter("headstart_attempts", "candidates tried for them", registry=registry)
        self._rejections = Counter("headstart_rejections", "candidates that failed", ["reason"], registry=registry)
        self._shards = Counter("headstart_shards", "shards committed", registry=registry)
        self._bytes = Counter("headstart_bytes", "bytes of those shards", registry=registry)
        self.committed_at = 0.0

    def count_call(self, operation: str, status: int, seconds: float) -> None:
        """Counts an answered call."""
        self._calls.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def count_commit(self, commit: Commit) -> None:
        """Counts a shard."""
        self._rows.inc(commit.rows)
        self._attempts.inc(commit.attempts)
        self._shards.inc()
        self._bytes.inc(commit.bytes)
        for reason, count in commit.rejections.items():
            self._rejections.labels(reason).inc(count)
        self.committed_at = time.time()


class StateCollector(Collector):
    """What is looked up when it is asked for, on the event loop."""

    def __init__(self, metrics: Metrics, jobs: JobQueue, followers: Followers, previewers: BoundedProcesses) -> None:
        self._metrics, self._jobs, self._followers, self._previewers = metrics, jobs, followers, previewers
        metrics.registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called by Prometheus' registry."""
        jobs = GaugeMetricFamily("headstart_jobs", "jobs by state", labels=["state"])
        states = Tally(job.state for job in self._jobs.jobs())
        for state in JOB_STATES:
            jobs.add_metric([state], states[state])
        yield jobs
        yield GaugeMetricFamily("headstart_streams", "streams and waiting calls open", value=self._followers.count)
        yield GaugeMetricFamily("headstart_previews", "previews in the making", value=self._previewers.calls)
        yield GaugeMetricFamily("headstart_tasks", "tasks of the event loop", value=len(asyncio.all_tasks()))
        yield GaugeMetricFamily("headstart_engine_up", "1 if shards can be made", value=not self._jobs.engine_problem)
        yield GaugeMetricFamily("headstart_workers", "shards in the making at once", value=self._jobs.engine.workers)
        yield GaugeMetricFamily(
            "headstart_last_commit_timestamp_seconds", "0 before the first", value=self._metrics.committed_at
        )


class Meter:
    """ASGI middleware that counts calls by the operation of the OpenAPI document that they reached."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the call on and counts it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 0, time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            operation = getattr(scope.get("route"), "operation_id", None) or "none"
            self._metrics.count_call(operation, status, time.perf_counter() - began)
