"""A small request and the commands that tests of the service run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from tests import warm

ROOT = Path(__file__).resolve().parents[2]
BODY: dict[str, Any] = {"robot": "panda", "count": 230, "seed": 5, "shard_rows": 20}
"""Twelve shards, the last one short."""
REQUEST = TrajectoryRequest.parse(BODY)
LONG_BODY: dict[str, Any] = {"robot": "panda", "count": 500_000, "rate_hz": 2, "seed": 6, "shard_rows": 48_000}
"""Shards that take many seconds each, and little room on a disk."""


def contents(dataset: Dataset) -> list[str]:
    """The content hash of every shard."""
    return [commit.content_sha256 for commit in dataset.commits()]


def _python(is_warm: bool) -> str:
    return warm.python("services") if is_warm else sys.executable


def child_processes(mark: str, of: int | None = None) -> list[psutil.Process]:
    """This process's children, or those of process `of`, theirs too, that have `mark` in their command line."""
    found = []
    for child in psutil.Process(of).children(recursive=True):
        try:
            if any(mark in word for word in child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def command(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """`python -m services ...` in a process group of its own, its output piped, warm unless `is_warm` is False."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADSTART_")}
    return subprocess.Popen(
        [_python(options.pop("is_warm", True)), "-m", "services", *arguments],
        cwd=ROOT,
        env={**environment, **options.pop("env", {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def write_request(folder: Path, body: dict[str, Any]) -> Path:
    """A request file in `folder`."""
    path = folder / "request.json"
    path.write_text(json.dumps(body))
    return path


class RunningService:
    """A real service in a process of its own, on a free port."""

    def __init__(
        self, data: Path, *arguments: str, port: int = 0, env: dict[str, str] | None = None, is_warm: bool = True
    ) -> None:
        """Starts it, and returns when it answers. One that is looked at as a process is not warm (tests/warm)."""
        self._is_warm = is_warm
        self.log = data.with_name(f"{data.name}.log")
        ready = data.with_name(f"{data.name}.url")
        ready.unlink(missing_ok=True)
        given = ["serve", "--data", str(data), "--ready-file", str(ready), "--port", str(port), *arguments]
        with self.log.open("ab") as log:
            environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADSTART_")}
            self.process = subprocess.Popen(
                [_python(is_warm), "-m", "services", *given], cwd=ROOT, env={**environment, **(env or {})}, stderr=log
            )
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        self.url = ready.read_text().strip()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert not self._is_warm
        return self.process.pid

    def kill(self) -> None:
        """As a crash would."""
        self.process.send_signal(warm.KILL if self._is_warm else signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """As an operator would. Returns the exit code."""
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def running_service(data: Path, *arguments: str, **options: Any) -> Iterator[RunningService]:
    """A service for the time of a block."""
    service = RunningService(data, *arguments, **options)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()
