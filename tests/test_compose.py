"""The images, built and run by a real Docker engine. Asked for with `-m compose`, they fail without one: no skips."""

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from services.catalogue import ARMS
from tests.test_docs import check_curl_lines, curl_lines

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parent.parent
REQUEST = {"robot": "panda", "count": 2000, "workspace": {"kind": "reachable"}, "shard_rows": 500}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Stack:
    """What `docker compose up` started, under a project name and ports of its own."""

    def __init__(self) -> None:
        self.port, self.tensorboard_port = _free_port(), _free_port()
        self.environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": f"headstart-test-{uuid.uuid4().hex[:8]}",
            "HEADSTART_PORT": str(self.port),
            "HEADSTART_TENSORBOARD_PORT": str(self.tensorboard_port),
        }
        self.key = ""

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Output of `docker compose ...`."""
        done = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"docker compose {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def inside(self, service: str, *command: str, check: bool = True) -> str:
        """Output of a command in a running container."""
        return self.compose("exec", "-T", service, *command, check=check).strip()

    def curl(self, path: str, *more: str, keyed: bool = True) -> bytes:
        """What curl gets from the service, as the documentation has it."""
        header = ["-H", f"Authorization: Bearer {self.key}"] if keyed else []
        url = f"http://localhost:{self.port}{path}"
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", *header, *more, url], capture_output=True, check=True)
        return done.stdout

    def get(self, path: str) -> Any:
        """JSON from the service."""
        return json.loads(self.curl(path))

    def wait_healthy(self, service: str, seconds: float = 180) -> None:
        """Waits for a container's health check."""
        deadline = time.monotonic() + seconds
        while True:
            container = self.compose("ps", "-q", service).strip()
            command = ["docker", "inspect", "--format", "{{.State.Health.Status}}", container]
            status = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
            if status == "healthy":
                return
            assert time.monotonic() < deadline, f"{service} is {status}\n{self.compose('logs', service)}"
            time.sleep(1)

    def wait_until_ended(self, job_id: str) -> Any:
        """A job once it has ended."""
        deadline = time.monotonic() + 300
        while True:
            job = self.get(f"/v1/jobs/{job_id}")
            if job["state"] in ("succeeded", "failed", "cancelled"):
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.5)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        pytest.fail("no Docker engine answers; start one, or leave these tests out with -m 'not compose'")
    stack = Stack()
    try:
        stack.compose("up", "--build", "--detach")
        stack.wait_healthy("service")
        stack.wait_healthy("trainer")
        stack.key = stack.inside("service", "cat", "/data/api-key")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "10", check=False)


def _submit(stack: Stack, request: dict[str, Any]) -> Any:
    return json.loads(stack.curl("/v1/jobs", "-H", "Content-Type: application/json", "-d", json.dumps(request)))


def test_a_job_over_rest_and_its_shards_read_back(stack: Stack) -> None:
    job = stack.wait_until_ended(_submit(stack, REQUEST)["id"])
    assert job["state"] == "succeeded", job
    shards = stack.get(f"/v1/jobs/{job['id']}/shards")["shards"]
    assert [shard["rows"] for shard in shards] == [500] * 4
    ids: list[int] = []
    for shard in shards:
        content = stack.curl(shard["url"])
        assert hashlib.sha256(content).hexdigest() == shard["file_sha256"]
        ids += pq.read_table(io.BytesIO(content), columns=["trajectory_id"]).column(0).to_pylist()
    assert ids == list(range(2000))
    assert "0 violations" in stack.inside("service", "python", "-m", "services", "audit", f"/data/{job['id']}")


def test_the_curl_lines_of_the_readme(stack: Stack, tmp_path: Path) -> None:
    environment = {**os.environ, "HEADSTART_API_KEY": stack.key, "NO_PROXY": "localhost"}
    subprocess.run(["bash", "-c", curl_lines(stack.port)], cwd=tmp_path, env=environment, check=True)
    check_curl_lines(tmp_path)


def test_the_key_is_asked_for_and_the_trainer_has_it(stack: Stack) -> None:
    assert json.loads(stack.curl("/v1/jobs", keyed=False))["status"] == 401
    script = "from shared.client import Client; import os; print(len(Client(os.environ['HEADSTART_URL']).robots()))"
    assert stack.inside("trainer", "python", "-c", script) == str(len(ARMS))


def test_containers_run_without_privileges_and_with_only_what_they_need(stack: Stack) -> None:
    for service, absent in (("service", "torch"), ("trainer", "pinocchio")):
        assert stack.inside(service, "id", "-u") == "1000"
        # An init reaps what Ray's workers leave behind.
        assert "init" in stack.inside(service, "cat", "/proc/1/comm")
        script = f"import importlib.util; print(importlib.util.find_spec('{absent}'))"
        assert stack.inside(service, "python", "-c", script) == "None"
    # Nothing but loopback is published.
    for service, port in (("service", "8000"), ("trainer", "6006")):
        assert stack.compose("port", service, port).startswith("127.0.0.1:")


def test_tensorboard_is_served(stack: Stack) -> None:
    url = f"http://localhost:{stack.tensorboard_port}/"
    page = subprocess.run(["curl", "-sS", "--noproxy", "*", url], capture_output=True, check=True).stdout
    assert b"TensorBoard" in page


def test_a_service_that_is_restarted_goes_on_where_it_stopped(stack: Stack) -> None:
    request = {**REQUEST, "seed": 1, "shard_rows": 100}
    job = _submit(stack, request)
    while stack.get(f"/v1/jobs/{job['id']}")["progress"]["shards_committed"] < 3:
        time.sleep(0.1)
    stack.compose("kill", "-s", "SIGKILL", "service")
    stack.compose("up", "--detach", "service")
    stack.wait_healthy("service")
    ended = stack.wait_until_ended(job["id"])
    assert (ended["state"], ended["progress"]["accepted"]) == ("succeeded", 2000)
    assert stack.inside("service", "cat", "/data/api-key") == stack.key


def test_the_recipe_runs_in_the_trainer_container(stack: Stack) -> None:
    output = stack.compose("run", "--rm", "-T", "trainer", "make", "train-decoupled", "PRESET=tiny")
    assert "http://service:8000/v1/jobs/" in output
    report = json.loads(stack.inside("trainer", "cat", "runs/tiny/report.json"))
    assert [(result["mode"], result["episodes"]) for result in report["results"]] == [("decoupled", 2), ("normal", 2)]
