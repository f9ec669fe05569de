"""What callers can make the service hold, or keep open, at once."""

import math
import select
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from services.api.jobs import MAX_PAGE_BYTES
from services.api.robots import MAX_UPLOADS
from shared.dataset import Dataset
from tests.services.api.conftest import DENSE, problem
from tests.services.catalogue.own import GANTRY
from tests.services.example import LONG_BODY, running_service

STREAMS, JOBS = 2, 12


@pytest.fixture(scope="module")
def bounded(dense: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Plain HTTP to a service of small limits, which has that dataset."""
    data = tmp_path_factory.mktemp("bounded") / "data"
    shutil.copytree(dense.root, data / dense.header.dataset_id)
    # Others than the one that works wait, and are never made.
    limits = {
        "HEADSTART_MAX_STREAMS": str(STREAMS),
        "HEADSTART_MAX_JOBS": str(JOBS),
        "HEADSTART_FORGET_JOBS": "false",
        "HEADSTART_MAX_RUNNING_JOBS": "1",
    }
    with (
        running_service(data, "--engine", "process", "--workers", "1", env=limits) as service,
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as client,
    ):
        yield client


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_downloads_of_shards_count_among_the_streams(bounded: httpx.Client) -> None:
    path = f"/v1/jobs/{DENSE.dataset_id}/shards/0"
    with ExitStack() as stack:
        for _ in range(STREAMS):
            stack.enter_context(bounded.stream("GET", path)).raise_for_status()
        assert "downloads" in problem(bounded.get(path), 429)["detail"]
        assert bounded.get("/healthz").status_code == 200
    until(lambda: bounded.get(path, headers={"Range": "bytes=0-3"}).status_code == 206)


def test_uploads_of_robots_are_few_at_once(bounded: httpx.Client) -> None:
    def upload() -> httpx.Response:
        headers = {"Content-Type": "application/xml"}
        return bounded.post("/v1/robots", params={"tip": "tool", "jerk": "?"}, content=GANTRY, headers=headers)

    head = b"POST /v1/robots?tip=tool HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/zip\r\n"
    head += b"Content-Length: 1000\r\n\r\nPK"
    address = bounded.base_url.host, bounded.base_url.port or 0
    problem(upload(), 422)
    with ExitStack() as stack:
        senders = [stack.enter_context(socket.create_connection(address)) for _ in range(MAX_UPLOADS + 1)]
        for sender in senders:
            sender.sendall(head)
        # The others are waited for.
        answered, _, _ = select.select(senders, [], [], 60)
        assert [sender.recv(12) for sender in answered] == [b"HTTP/1.1 429"]
        assert f"{MAX_UPLOADS} robots are being uploaded" in problem(upload(), 429)["detail"]
    until(lambda: upload().status_code == 422)


def test_jobs_are_so_many_and_a_page_of_long_ones_is_short(bounded: httpx.Client) -> None:
    # Works on for longer than this takes; the others wait, and are never made.
    working = bounded.post("/v1/jobs", json=LONG_BODY).raise_for_status().json()["id"]
    turn = [math.cos(1.0), math.sin(1.0), 0.0, math.sin(1.0), -math.cos(1.0), 0.0]
    poses = [{"position": [1 / 3, n / 3000, 2 / 3], "rotation_6d": turn} for n in range(1000)]
    long = {"robot": "panda", "count": 1, "workspace": {"kind": "poses", "poses": poses}}
    kept = [DENSE.dataset_id, working]
    for seed in range(JOBS - len(kept)):
        kept.append(bounded.post("/v1/jobs", json={**long, "seed": seed}).raise_for_status().json()["id"])
    refused = problem(bounded.post("/v1/jobs", json={**long, "seed": JOBS}), 507)
    assert f"{JOBS} jobs are kept already" in refused["detail"]
    assert "delete" in refused["detail"]
    # One that is there is not refused.
    assert bounded.post("/v1/jobs", json=long).status_code == 202

    seen: list[str] = []
    pages, url = 0, "/v1/jobs?limit=500"
    while url:
        page = bounded.get(url).raise_for_status()
        longest = max(len(bounded.get(f"/v1/jobs/{job['id']}").content) for job in page.json()["jobs"])
        assert len(page.content) < MAX_PAGE_BYTES + longest + 1000
        seen += [job["id"] for job in page.json()["jobs"]]
        pages, url = pages + 1, page.links.get("next", {}).get("url", "")
    assert pages > 1
    assert sorted(seen) == sorted(kept)

    bounded.post(f"/v1/jobs/{kept[-1]}:cancel").raise_for_status()
    bounded.delete(f"/v1/jobs/{kept[-1]}").raise_for_status()
    assert bounded.post("/v1/jobs", json={**long, "seed": JOBS}).status_code == 202
