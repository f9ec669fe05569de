"""Imports a program once, and is forked for each start of it: `python -m tests.warm.server PROGRAM SOCKET`.

It ends when its standard input does, with every program that still runs, and removes the socket's folder.
"""

import contextlib
import fcntl
import gc
import importlib
import json
import multiprocessing
import os
import runpy
import selectors
import shutil
import signal
import socket
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


IMPORTED = {
    "services": (
        "multiprocessing.spawn",
        "pandas",
        "services.commands",
        "services.commands.audit",
        "services.commands.export",
        "services.commands.generate",
        "services.commands.report",
        "services.commands.serve",
        "services.synthesis.pipeline",
        "uvicorn.logging",
    ),
    "tests.warm.program": (),
    "trainer": (
        "multiprocessing.spawn",
        "robosuite",
        "torch._dynamo",
        "torch.utils.tensorboard",
        "trainer.stages.adapt",
        "trainer.stages.pretrain",
        "trainer.simulation.collect",
        "trainer.simulation.rollout",
        "tyro",
    ),
}
"""What each program's commands import, most of it at their first use."""
_SURVIVE = ("jemalloc_bg_thd",)
"""Threads that are started anew in a fork: Arrow's allocator sees to its own."""
_OWN_PATH = _python_path()
"""What this process was started with, which its forks are not."""


class Server:
    """Forks for every client, tells it the fork's process id and its end, and kills forks whose client is killed."""

    def __init__(self, place: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        # It is there once it can be connected to.
        new = place.with_suffix(".new")
        self._listener.bind(str(new))
        self._listener.listen(64)
        new.rename(place)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._running: dict[socket.socket, tuple[int, int]] = {}

    def serve(self) -> dict[str, Any] | None:
        """Returns in each fork what it is asked to do, and in the server nothing, once it is to end."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    for process, _ in self._running.values():
                        os.kill(process, signal.SIGKILL)
                    return None
                if key.fileobj is self._listener:
                    if (request := self._accept()) is not None:
                        return request
                elif isinstance(key.fileobj, socket.socket):
                    # A client says nothing more: it is gone.
                    self._end(key.fileobj, kill=True)
                else:
                    self._end(key.data, kill=False)

    def _accept(self) -> dict[str, Any] | None:
        connection, _ = self._listener.accept()
        head, descriptors, _, _ = socket.recv_fds(connection, 8, 250)
        with connection.makefile("rb") as reader:
            body = reader.read(int.from_bytes(head, "big"))
        try:
            request: dict[str, Any] = json.loads(body)
        except ValueError:
            # The client was killed before it had said everything.
            for descriptor in descriptors:
                os.close(descriptor)
            connection.close()
            return None
        process = os.fork()
        if process == 0:
            self._leave(connection)
            _take_descriptors(descriptors, request["descriptors"])
            return request
        for descriptor in descriptors:
            os.close(descriptor)
        ended = os.pidfd_open(process)
        self._running[connection] = process, ended
        self._selector.register(ended, selectors.EVENT_READ, connection)
        self._selector.register(connection, selectors.EVENT_READ)
        _tell(connection, process)
        return None

    def _end(self, connection: socket.socket, kill: bool) -> None:
        if connection not in self._running:
            return
        process, ended = self._running.pop(connection)
        if kill:
            os.kill(process, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        _tell(connection, code)
        for one in (connection, ended):
            self._selector.unregister(one)
        connection.close()
        os.close(ended)

    def _leave(self, connection: socket.socket) -> None:
        """In a fork: closes what is the server's."""
        for other, (_, ended) in self._running.items():
            other.close()
            os.close(ended)
        connection.close()
        self._selector.close()
        self._listener.close()


def _tell(connection: socket.socket, number: int) -> None:
    # A client that is gone is seen by its connection's end.
    with contextlib.suppress(OSError):
        connection.sendall(f"{number}\n".encode())


def _take_descriptors(given: list[int], numbers: list[int]) -> None:
    """Gives descriptors the numbers that they have in the client."""
    above = max(numbers) + 1
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, above) for descriptor in given]
    for descriptor in given:
        os.close(descriptor)
    for descriptor, number in zip(high, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _run(request: dict[str, Any]) -> None:
    """As `python -m MODULE` does in the client's place, or `python -c CODE`."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in request["ignored"] else usual)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    given = _python_path()
    sys.path[:] = [request["folder"], *given, *(path for path in sys.path[1:] if path not in {*given, *_OWN_PATH})]
    sys.argv[1:] = request["arguments"]
    sys.executable = request["python"]
    multiprocessing.set_executable(sys.executable)
    if request["unbuffered"]:
        for stream in (sys.stdout, sys.stderr):
            assert isinstance(stream, TextIOWrapper)
            stream.reconfigure(write_through=True)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
    if request["code"]:
        sys.argv[0] = "-c"
        exec(request["code"], {"__name__": "__main__"})
    else:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    """Imports, serves, and in forks runs the program."""
    program, place = sys.argv[1:]
    # Listens before it imports: who comes early waits.
    server = Server(Path(place))
    for name in IMPORTED[program]:
        importlib.import_module(name)
    threads = {Path(task, "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
    assert threads <= {Path("/proc/self/comm").read_text().strip(), *_SURVIVE}, (
        f"these do not survive a fork: {threads}"
    )
    # What is there is never collected: a fork shares its pages.
    gc.collect()
    gc.freeze()
    request = server.serve()
    if request is None:
        shutil.rmtree(Path(place).parent)
    else:
        _run(request)


if __name__ == "__main__":
    main()
