"""What `docker compose up` starts, as its tests see it."""

import json
import os
import subprocess
import time
import uuid
from typing import Any

from tests.pages import ROOT, free_port

_RAY_STATUS = ("ray", "status", "--address", "ray-head:6379")


class Stack:
    """What `docker compose up` started, under a project name and ports of its own."""

    def __init__(self) -> None:
        self.port, self.tensorboard_port = free_port(), free_port()
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

    def submit(self, request: dict[str, Any]) -> Any:
        """The job of a request."""
        return json.loads(self.curl("/v1/jobs", "-H", "Content-Type: application/json", "-d", json.dumps(request)))

    def wait_for_shards(self, job_id: str, count: int, seconds: float = 300) -> None:
        """Until a job that goes on has so many."""
        deadline = time.monotonic() + seconds
        while (job := self.get(f"/v1/jobs/{job_id}"))["progress"]["shards_committed"] < count:
            assert job["state"] in ("queued", "running"), job
            assert time.monotonic() < deadline, job
            time.sleep(0.1)

    def wait_for_workers(self, count: int, seconds: float = 180) -> None:
        """Until so many workers of one core each have joined the cluster, which they then stay in."""
        deadline = time.monotonic() + seconds
        while f"/{count}.0 CPU" not in (said := self.inside("service", *_RAY_STATUS, check=False)):
            assert time.monotonic() < deadline, f"{said}\n{self.compose('logs', 'ray-worker')}"
            time.sleep(1)
