"""Finds the trajectory service, or starts one on a free loopback port and ends it afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from shared.client import Client
from shared.errors import ServiceError

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


class Service:
    """The service a recipe uses: the one HEADSTART_URL names, else one of its own, started when first needed."""

    def __init__(self, data: Path, log: Path, console: Console) -> None:
        self._data = data
        self._log = log
        self._console = console
        self._process: subprocess.Popen[bytes] | None = None
        self._url = os.environ.get("HEADSTART_URL", "").rstrip("/")

    def client(self) -> Client:
        """A client of a service that is ready. Raises ServiceError when it can't be reached or started."""
        if not self._url:
            self._url = self._start()
        client = Client(self._url)
        client.wait_ready(_START_SECONDS)
        return client

    @property
    def url(self) -> str:
        """Where it listens; empty while it has not been needed."""
        return self._url

    def stop(self) -> None:
        """Ends the service if this object started it. Its jobs resume when it is started again."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._url = ""

    def _start(self) -> str:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        ready = self._log.with_suffix(".url")
        ready.unlink(missing_ok=True)
        arguments = ["serve", "--port", "0", "--data", str(self._data), "--ready-file", str(ready)]
        command = [sys.executable, "-m", "services", *arguments]
        self._console.print(f"[bold]service[/bold] [dim]python -m services {' '.join(arguments)}[/dim]", soft_wrap=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if ready.exists() and (url := ready.read_text().strip()):
                return url
            time.sleep(0.1)
        self.stop()
        raise ServiceError(f"the service did not start; its log is {self._log}. Or set HEADSTART_URL to one that runs")
