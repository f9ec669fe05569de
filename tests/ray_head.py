"""A Ray cluster in processes of its own, as an operator starts one: on loopback and with a key."""

import ctypes
import os
import secrets
import signal
import sysconfig
import tempfile
import time
from pathlib import Path

import psutil

from tests.pages import free_port

_START_S = 120.0


class RayHead:
    """The head of a cluster, with workers of its own."""

    def __init__(self, workers: int, port: int = 0) -> None:
        """Starts it; `wait` until it can be joined."""
        # Ray's sockets lie in there, and the path of a socket has at most 107 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)
        self.token = Path(self._folder.name) / "token"
        self.token.write_text(secrets.token_hex(32))
        self.port = port or free_port()
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token)}
        command = [
            str(Path(sysconfig.get_path("scripts")) / "ray"),
            "start",
            "--head",
            "--block",
            "--disable-usage-stats",
        ]
        command += ["--node-ip-address", "127.0.0.1", "--port", str(self.port), "--num-cpus", str(workers)]
        command += ["--include-dashboard", "false", "--object-store-memory", "100000000"]
        command += ["--temp-dir", self._folder.name]
        self.log = Path(self._folder.name) / "log"
        with self.log.open("wb") as log:
            environment = {**os.environ, **self.environment}
            self._process = psutil.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True, preexec_fn=end_with_parent
            )

    @property
    def address(self) -> str:
        """For RAY_ADDRESS."""
        return f"127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Until it is up."""
        deadline = time.monotonic() + _START_S
        while b"Ray runtime started" not in self.log.read_bytes():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends the head and all that it started, without a farewell."""
        kill_all(self._process)

    def close(self) -> None:
        """Ends it, and removes its files."""
        if self._process.is_running():
            self.kill()
        self._folder.cleanup()


def kill_all(process: psutil.Process) -> None:
    """Kills a process and all that it started, and waits for their end."""
    started = [process, *process.children(recursive=True)]
    for one in started:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(started, timeout=10)


def end_with_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """A test run that is killed leaves no cluster behind: `ray start --block` ends what it started when it is ended."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, by)
