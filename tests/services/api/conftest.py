import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.engine import InlineEngine
from services.jobs import begin, make_dataset
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.client import Client
from shared.dataset import Dataset
from tests.services.example import BODY, RunningService, running_service

DENSE = TrajectoryRequest.parse({"robot": "panda", "count": 120, "shard_rows": 120, "rate_hz": 500.0})
"""A shard of some 25 MB, unpacked twice as large, more than the buffers between here and there take."""


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """DENSE's dataset."""
    dataset = begin(DENSE, tmp_path_factory.mktemp("dense") / DENSE.dataset_id)
    assert make_dataset(DENSE, dataset, InlineEngine())
    dataset.set_state("sealed")
    return Dataset(dataset.root)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One real service with the process engine, for the tests of this folder."""
    data = tmp_path_factory.mktemp("service") / "data"
    limits = {
        "HEADSTART_MAX_ROWS": "600000",
        "HEADSTART_MAX_SHARDS": "10000",
        "HEADSTART_MAX_STREAMS": "20",
        "HEADSTART_BODY_SECONDS": "2",
    }
    with running_service(data, "--engine", "process", "--workers", "1", env=limits) as running:
        Client(running.url).wait_ready()
        yield running


@pytest.fixture(scope="session")
def api(service: RunningService) -> Iterator[httpx.Client]:
    """Plain HTTP to it."""
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def finished(api: httpx.Client) -> dict[str, Any]:
    """BODY's job, done."""
    return wait_until_ended(api, api.post("/v1/jobs", json=BODY).raise_for_status().json()["id"])


def wait_until_ended(api: httpx.Client, job_id: str) -> dict[str, Any]:
    """A job once it has ended."""
    deadline = time.monotonic() + 90
    while True:
        job: dict[str, Any] = api.get(f"/v1/jobs/{job_id}").raise_for_status().json()
        if job["state"] in ("succeeded", "failed", "cancelled"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The body of a problem, its form checked (RFC 9457)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) == {"type", "title", "status", "detail", "errors"}
    assert body["status"] == status
    assert body["detail"]
    assert all(set(item) == {"pointer", "detail"} for item in body["errors"])
    return body
