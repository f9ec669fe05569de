"""SIGTERM while calls are open: they end, the service ends in order, and the next one goes on."""

import contextlib
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from services.engine import InlineEngine
from services.jobs import begin, make_dataset
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from tests.services.api.conftest import DENSE, wait_until_ended
from tests.services.example import BODY, RunningService, child_processes, contents, running_service

_ENGINE = ("--engine", "process", "--workers", "1")
_MANY = {**BODY, "count": 1000}


class _Calls:
    """Calls in threads of their own, and what became of each."""

    def __init__(self, api: httpx.Client) -> None:
        self._api = api
        self._threads: list[threading.Thread] = []
        self.ends: dict[str, httpx.Response | httpx.HTTPError] = {}

    def begin(self, name: str, method: str, path: str, **options: Any) -> threading.Event:
        """Begins a call. What is returned is set once something of its answer is there."""
        answered = threading.Event()
        thread = threading.Thread(target=self._call, args=(answered, name, method, path, options), daemon=True)
        self._threads.append(thread)
        thread.start()
        return answered

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _call(self, answered: threading.Event, name: str, method: str, path: str, options: dict[str, Any]) -> None:
        try:
            with self._api.stream(method, path, **options) as response:
                for _ in response.iter_bytes():
                    answered.set()
                self.ends[name] = response
        except httpx.HTTPError as error:
            self.ends[name] = error


def test_calls_end_the_service_ends_and_the_next_one_goes_on(tmp_path: Path, dense: Dataset) -> None:
    data = tmp_path / "data"
    shutil.copytree(dense.root, data / DENSE.dataset_id)
    limits = {"HEADSTART_PREVIEW_SECONDS": "300"}
    with running_service(data, *_ENGINE, env=limits, is_warm=False) as service, contextlib.ExitStack() as stack:
        connections = httpx.Limits(max_connections=None)
        api = stack.enter_context(httpx.Client(base_url=service.url, timeout=120, trust_env=False, limits=connections))
        job = _begun(api, service)
        calls = _Calls(api)
        begun = [
            calls.begin("stream", "GET", f"{job}/stream"),
            calls.begin("events", "GET", f"{job}/events"),
        ]
        calls.begin("wait", "GET", f"{job}/manifest", params={"after": 9999, "wait": 30})
        calls.begin("preview", "POST", "/v1/preview", json={**BODY, "count": 1})
        # Taken by nobody: the service waits for its caller.
        unread = api.send(api.build_request("GET", f"/v1/jobs/{DENSE.dataset_id}/shards/0"), stream=True)
        assert all(event.wait(60) for event in begun)
        while "headstart_streams 4.0" not in api.get("/metrics").text:
            time.sleep(0.05)
        children = psutil.Process(service.pid).children(recursive=True)
        assert service.stop() == 0
        calls.join()
        with contextlib.suppress(httpx.HTTPError):
            unread.read()
    assert isinstance(calls.ends["stream"], httpx.RemoteProtocolError)
    assert isinstance(calls.ends["events"], httpx.RemoteProtocolError)
    assert unread.num_bytes_downloaded < dense.commits()[0].bytes
    for name in ("wait", "preview"):
        answer = calls.ends[name]
        assert isinstance(answer, httpx.Response)
        assert answer.status_code == 503
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    log = service.log.read_text()
    assert "Traceback" not in log
    steps = ("Shutting down", "Waiting for application shutdown", "Application shutdown complete", "Finished server")
    assert sorted(steps, key=log.index) == list(steps)
    _goes_on(data, job)


def _begun(api: httpx.Client, service: RunningService) -> str:
    """The path of a job that runs, in a service whose previews never end."""
    before = {process.pid for process in child_processes("spawn_main", service.pid)}
    api.post("/v1/preview", json={**BODY, "count": 1}).raise_for_status()
    for process in child_processes("spawn_main", service.pid):
        if process.pid not in before:
            process.suspend()
    path = f"/v1/jobs/{api.post('/v1/jobs', json=_MANY).raise_for_status().json()['id']}"
    while api.get(path).json()["progress"]["shards_committed"] < 2:
        time.sleep(0.05)
    return path


def _goes_on(data: Path, job: str) -> None:
    """A service that is started again finishes the job, with the bytes of one that was never stopped."""
    kept = len(Dataset(data / job.rpartition("/")[2]).commits())
    assert 2 <= kept < 50
    with running_service(data, *_ENGINE, is_warm=False) as service:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api:
            ended = wait_until_ended(api, job.rpartition("/")[2])
        assert (ended["state"], ended["progress"]["accepted"]) == ("succeeded", 1000)
    request = TrajectoryRequest.parse(_MANY)
    undisturbed = begin(request, data.with_name("undisturbed"))
    assert make_dataset(request, undisturbed, InlineEngine())
    assert contents(Dataset(data / request.dataset_id)) == contents(undisturbed)
