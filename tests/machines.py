"""Machines on one: each with an address, processes and Ray's files of its own, on one bridge with this process.

They are namespaces of Linux, made in one of this process's own, where it may do as it likes: `make test-cluster`.
"""

import functools
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.ray_head import end_with_parent, kill_all

HERE = "10.77.0.1"
"""This process's address on the bridge."""
_BRIDGE = "machines"
_RAYS_FILES = Path("/tmp/ray")
"""A folder of each machine's own."""


@contextmanager
def network() -> Iterator[None]:
    """The bridge, for the time of a block."""
    alone = [name for _, name in socket.if_nameindex()] == ["lo"]
    assert alone, "this test makes networks, and there is one here already: run it with `make test-cluster`"
    _ip("link set lo up")
    _ip(f"link add {_BRIDGE} type bridge")
    try:
        _ip(f"addr add {HERE}/24 dev {_BRIDGE}")
        _ip(f"link set {_BRIDGE} up")
        # Ray asks which of its addresses leads outside.
        _ip(f"route add default dev {_BRIDGE}")
        yield
    finally:
        _ip(f"link del {_BRIDGE}")


class Machine:
    """A machine that runs one command, again whenever it ends."""

    def __init__(self, number: int, command: str, environment: Mapping[str, str]) -> None:
        """Starts it.

        Args:
            number: of the machine, from 2 on: its address ends with it.
            command: for the shell; `{address}` is the machine's.
            environment: of the command.
        """
        self.address = f"10.77.0.{number}"
        self._folder = tempfile.TemporaryDirectory(prefix="machine-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name) / "log"
        _RAYS_FILES.mkdir(exist_ok=True)
        # Ray finds a machine's nodes among its processes. It waits for its cable.
        script = f"mount --bind {self._folder.name} {_RAYS_FILES} && read _ && "
        script += f"while :; do {command.format(address=self.address)}; sleep 1; done"
        apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with self._log.open("wb") as log:
            self._process = psutil.Popen(
                [*apart, "bash", "-c", script],
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=functools.partial(end_with_parent, signal.SIGKILL),
            )
        self._link = f"machine-{number}"
        self._connect(number)

    def _connect(self, number: int) -> None:
        while os.readlink(f"/proc/{self._process.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            assert self._process.poll() is None, self.log
        inside = f"nsenter --target {self._process.pid} --net ip"
        _ip(f"link add {self._link} type veth peer name eth0 netns {self._process.pid}")
        _ip(f"link set {self._link} master {_BRIDGE} up")
        # Another machine with its address is found at once by those that knew this one.
        _run(f"{inside} link set eth0 address 02:00:0a:4d:00:{number:02x}")
        _run(f"{inside} addr add {self.address}/24 dev eth0")
        for device in ("lo", "eth0"):
            _run(f"{inside} link set {device} up")
        _run(f"{inside} route add default via {HERE}")
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    @property
    def log(self) -> str:
        """What its command printed."""
        return self._log.read_text()

    def runs(self, mark: str) -> bool:
        """Whether a process of it has `mark` in its command line."""
        return any(mark in word for process in self._processes() for word in _words(process))

    def lose(self) -> None:
        """Takes it off the network, so that nobody hears of its end, and ends it."""
        _ip(f"link del {self._link}")
        self.close()

    def close(self) -> None:
        """Ends it, and removes its files."""
        if self._process.is_running():
            kill_all(self._process)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._folder.cleanup()

    def _processes(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def _ip(arguments: str) -> None:
    _run(f"ip {arguments}")


def _run(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
