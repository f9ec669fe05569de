"""What a service answers beyond its limits, and when the processes beside it are busy, dead or slow."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.api import bounded_process
from services.api.bounded_process import BoundedProcesses
from services.api.preview_cost import expected_samples
from services.api.previews import make_preview
from services.api.problems import ProblemError
from services.synthesis.pipeline import ShardPlan, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import RequestError
from tests.services.api.conftest import problem
from tests.services.catalogue.own import GANTRY
from tests.services.example import BODY, LONG_BODY, RunningService, child_processes, running_service

_ENGINE = ("--engine", "process", "--workers", "1")
_XML = {"Content-Type": "application/xml"}
_FEW = {**BODY, "count": 1}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with room for one waiting job and one robot."""
    limits = {"HEADSTART_MAX_QUEUED_JOBS": "1", "HEADSTART_MAX_RUNNING_JOBS": "1", "HEADSTART_MAX_ROBOTS": "1"}
    limits |= {"HEADSTART_PREVIEW_SECONDS": "200", "HEADSTART_PREVIEW_PROCESSES": "1"}
    with running_service(tmp_path_factory.mktemp("small") / "data", *_ENGINE, env=limits, is_warm=False) as running:
        yield running


@pytest.fixture
def small_api(small: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=small.url, timeout=200, trust_env=False) as client:
        yield client


def test_a_full_queue_takes_no_other_job(small_api: httpx.Client) -> None:
    job = small_api.post("/v1/jobs", json=LONG_BODY).raise_for_status().json()
    while small_api.get(f"/v1/jobs/{job['id']}").json()["state"] == "queued":
        time.sleep(0.02)
    waiting = small_api.post("/v1/jobs", json=BODY).raise_for_status().json()
    refused = small_api.post("/v1/jobs", json=_FEW)
    assert "1 jobs are waiting already; submit again when some are done" in problem(refused, 429)["detail"]
    assert refused.headers["retry-after"] == "30"
    # Those that are known are no others.
    assert small_api.post("/v1/jobs", json=BODY).json()["id"] == waiting["id"]
    small_api.post(f"/v1/jobs/{waiting['id']}:cancel").raise_for_status()
    assert small_api.post("/v1/jobs", json=_FEW).status_code == 202
    small_api.post(f"/v1/jobs/{job['id']}:cancel").raise_for_status()


def test_a_full_shelf_takes_no_other_robot(small_api: httpx.Client) -> None:
    def upload(acceleration: str) -> httpx.Response:
        params = {"tip": "tool", "acceleration": acceleration}
        return small_api.post("/v1/robots", params=params, content=GANTRY, headers=_XML)

    assert upload("4").status_code == 201
    assert "1 robots were uploaded already; delete one first" in problem(upload("5"), 507)["detail"]
    assert upload("4").status_code == 200


def test_previews_wait_for_each_other_but_not_long_and_outlive_their_process(
    small: RunningService, small_api: httpx.Client
) -> None:
    before = {process.pid for process in child_processes("spawn_main", small.pid)}
    preview = small_api.post("/v1/preview", json=_FEW).raise_for_status().json()
    (previewer,) = [p for p in child_processes("spawn_main", small.pid) if p.pid not in before]
    previewer.suspend()
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(small_api.post, "/v1/preview", json=_FEW) for _ in range(10)]
        first, others = wait(calls, return_when=FIRST_COMPLETED)
        busy = first.pop().result()
        assert "other previews are being made; try again in a few seconds" in problem(busy, 503)["detail"]
        assert busy.headers["retry-after"] == "2"
        previewer.kill()
        answers = [call.result() for call in {*first, *others}]
    ended = [answer for answer in answers if "the process of the preview ended" in answer.text]
    assert len(ended) == 1
    assert "perhaps for lack of memory; try again" in problem(ended[0], 503)["detail"]
    # The others are made in a new process, unless that has them wait for too long.
    assert all(answer.status_code == 200 or "other previews" in answer.text for answer in answers if answer != ended[0])
    assert small_api.post("/v1/preview", json=_FEW).json() == preview


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that never has disk enough, nor time for a preview."""
    limits = {"HEADSTART_MIN_FREE_BYTES": str(1 << 60), "HEADSTART_PREVIEW_SECONDS": "0.001"}
    with running_service(tmp_path_factory.mktemp("strict") / "data", *_ENGINE, env=limits) as running:
        yield running


@pytest.fixture
def strict_api(strict: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=strict.url, timeout=200, trust_env=False) as client:
        yield client


def test_a_disk_without_room_takes_nothing(strict_api: httpx.Client) -> None:
    refused = strict_api.post("/v1/jobs", json=BODY)
    assert "MiB are required; free some space or choose another" in problem(refused, 507)["detail"]
    assert refused.headers["retry-after"] == "60"
    robot = strict_api.post("/v1/robots", params={"tip": "tool"}, content=GANTRY, headers=_XML)
    assert "MiB are required" in problem(robot, 507)["detail"]
    unready = problem(strict_api.get("/readyz"), 503)
    assert "/storage" in [item["pointer"] for item in unready["errors"]]
    assert strict_api.get("/v1/jobs").json()["jobs"] == []


def test_a_preview_that_takes_too_long_is_given_up(strict_api: httpx.Client) -> None:
    refused = problem(strict_api.post("/v1/preview", json={**BODY, "count": 64}), 422)
    assert refused["detail"] == "this preview takes longer than 0.001 s; ask for less"


def test_a_long_preview_leaves_room_for_short_ones(tmp_path: Path) -> None:
    limits = {"HEADSTART_PREVIEW_SECONDS": "300"}
    with (
        running_service(tmp_path / "data", *_ENGINE, env=limits, is_warm=False) as service,
        httpx.Client(base_url=service.url, timeout=300, trust_env=False) as api,
        ThreadPoolExecutor(8) as pool,
    ):
        before = {process.pid for process in child_processes("spawn_main", service.pid)}
        short = api.post("/v1/preview", json=_FEW).raise_for_status().json()
        (previewer,) = [p for p in child_processes("spawn_main", service.pid) if p.pid not in before]
        # The process that the next preview goes to takes for ever.
        previewer.suspend()
        try:
            long = pool.submit(api.post, "/v1/preview", json={**BODY, "count": 64, "rate_hz": 100.0})
            while "headstart_previews 1.0" not in api.get("/metrics").text:
                time.sleep(0.02)
            answers = [pool.submit(_patiently, api) for _ in range(6)]
            assert all(answer.result() == short for answer in answers)
            assert not long.done()
        finally:
            previewer.resume()
        assert len(long.result().json()["trajectories"]) == 64


def _patiently(api: httpx.Client) -> Any:
    """A short preview, asked for again where processes take longer to start than calls wait for them."""
    while (answer := api.post("/v1/preview", json=_FEW)).status_code == 503:
        time.sleep(0.02)
    return answer.raise_for_status().json()


def test_what_a_preview_will_cost_is_said_before_it_is_made() -> None:
    long = TrajectoryRequest.parse({**BODY, "robot": "ur5", "count": 64, "rate_hz": 1000.0, "shard_rows": 1})
    # 64 trajectories that are expected to last 17.9 s.
    assert expected_samples(long) == pytest.approx(64 * 17.9 * 1000, rel=0.005)
    cost = "some 1,100,000 samples are expected, and a preview has at most 200,000; "
    with pytest.raises(RequestError) as caught:
        make_preview(_no_process(), long)
    assert caught.value.problems == [
        ("/rate_hz", f"{cost}lower it to 170 or less, or go faster"),
        ("/count", f"{cost}ask for 11 or fewer"),
    ]
    slow = TrajectoryRequest.parse({**BODY, "count": 1, "rate_hz": 700.0, "speed_scale": [0.01, 0.01], "shard_rows": 1})
    assert expected_samples(slow) == pytest.approx(slow.expected_row_s * 700)
    with pytest.raises(RequestError, match="shard_rows"):
        TrajectoryRequest.parse({**BODY, "rate_hz": 1000.0, "speed_scale": [0.01, 0.01]})


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"families": {"hold": 1.0}, "speed_scale": [0.01, 0.02]},
        {"families": {"point_to_point": 1.0}, "tool_speed": [0.05, 0.1]},
        {"robot": "ur10", "workspace": {"kind": "reachable"}, "families": {"pick_and_place": 0.5, "via_points": 0.5}},
        {"workspace": {"kind": "box", "min": [0.4, -0.1, 0.2], "max": [0.6, 0.1, 0.4]}},
    ],
)
def test_the_estimate_is_within_the_factor_that_it_allows_for(change: dict[str, Any]) -> None:
    request = TrajectoryRequest.parse({"robot": "panda", "count": 64, **change})
    rows = synthesize(ShardPlan(request, 0, 0, 64)).table
    share = sum(rows.column("length").to_pylist()) / expected_samples(request)
    assert 0.25 < share < 2.5


def _no_process() -> BoundedProcesses:
    """Processes that must not be needed: of those there may be none."""
    processes = BoundedProcesses(1, "preview")
    processes.close()
    return processes


def test_a_call_waits_for_a_process_that_will_soon_be_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_process, "_PATIENCE_S", 300.0)
    begun, released = tmp_path / "begun", tmp_path / "released"
    processes = BoundedProcesses(600, "call", 3)
    wait = ["sh", "-c", f"touch {begun}; while ! [ -e {released} ]; do sleep 0.05; done"]
    with ThreadPoolExecutor(2) as pool:
        try:
            first = pool.submit(processes.call, subprocess.run, wait)
            while not begun.exists():
                time.sleep(0.02)
            second = pool.submit(processes.call, subprocess.run, ["true"])
            while not processes._waiting:
                assert not second.done()
                time.sleep(0.02)
        finally:
            released.touch()
        assert (first.result().returncode, second.result().returncode) == (0, 0)
    assert len(processes._idle) == 1
    processes.close()


def test_a_call_that_takes_long_leaves_a_process_to_others(tmp_path: Path) -> None:
    released = tmp_path / "released"
    processes = BoundedProcesses(600, "call", 2)
    wait = ["sh", "-c", f"while ! [ -e {released} ]; do sleep 0.05; done"]
    with ThreadPoolExecutor(2) as pool:
        try:
            calls = [pool.submit(processes.call, subprocess.run, wait, is_long=True) for _ in range(2)]
            # One of the two waits, and the second process is for this one.
            assert processes.call(subprocess.run, ["true"]).returncode == 0
            assert processes.call(subprocess.run, ["true"]).returncode == 0
            assert len(processes._busy) == 1
            assert not any(call.done() for call in calls)
        finally:
            released.touch()
        assert [call.result().returncode for call in calls] == [0, 0]
    processes.close()


def test_closing_waits_for_no_call(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    aside = BoundedProcesses(600, "call")
    failures: list[str] = []

    def call() -> None:
        with pytest.raises(ProblemError) as caught:
            aside.call(subprocess.run, ["sh", "-c", f"echo $$ > {begun}.part; mv {begun}.part {begun}; exec sleep 600"])
        failures.append(str(caught.value))

    callers = [threading.Thread(target=call, daemon=True) for _ in range(2)]
    try:
        callers[0].start()
        while not begun.exists():
            time.sleep(0.02)
        callers[1].start()
        aside.close()
        for caller in callers:
            caller.join(60)
        assert sorted(failures) == ["the process of the call ended, because the service stops", "the service stops"]
    finally:
        os.kill(int(begun.read_text()), signal.SIGKILL)
