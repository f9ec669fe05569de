"""Processes beside this one: fed through a pipe, and ended at any moment."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from shared.errors import EngineError

# Spawned, never forked: Arrow's and Ray's threads do not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")
_FAREWELL_S = 2.0
_STARTING = threading.Lock()


class WorkerDiedError(EngineError):
    """The process ended without an answer."""


class Child:
    """A process that runs `target(connection, *arguments)`; whatever goes through the pipe is pickled."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        """Starts it. `target` is a function of a module."""
        # Inherited: one thread each, or the workers' BLAS pools fight over the cores.
        os.environ["OMP_NUM_THREADS"] = "1"
        self.connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=target, args=(theirs, *arguments), name="headstart-worker", daemon=True)
        with _sigint_blocked(), _main_hidden():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def give(self, message: Any) -> None:
        """Sends it a message. If it has died, `take` says so."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def take(self) -> Any:
        """Waits for a message. Raises WorkerDiedError if it died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.kill()
            raise WorkerDiedError("a worker process died") from None

    def join(self, seconds: float) -> None:
        """Waits until it has ended by itself."""
        self._process.join(seconds)

    def end(self) -> None:
        """Ends it under a thread that waits for its answer, which then raises WorkerDiedError."""
        self._process.kill()

    def kill(self) -> None:
        """Ends it. Killed, not asked: it may be inside a long native call."""
        self.end()
        self.connection.close()
        self._process.join(_FAREWELL_S)


def kill_all(children: Iterable[Child]) -> None:
    """Ends them all and then waits, so that it takes no longer than for one of them."""
    ended = list(children)
    for child in ended:
        child.end()
    for child in ended:
        child.kill()


class Worker(Child):
    """A process that runs the calls it is sent, one at a time. Functions are those of modules."""

    def __init__(self) -> None:
        """Starts it; it imports what it needs with its first call."""
        super().__init__(_work)

    def send(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Has it call `function`. If it has died, `receive` says so."""
        self.give((function, arguments))

    def receive(self) -> Any:
        """Waits for what the call returned, or raises what it raised. Raises WorkerDiedError if it died."""
        returned, value = self.take()
        if returned:
            return value
        raise value


def _work(connection: Connection) -> None:
    """Answers calls until the pipe ends, which also happens when the parent dies."""
    ignore_interrupts()
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = True, function(*arguments)
        except Exception as error:
            answer = False, error
        try:
            connection.send(answer)
        except OSError:
            return


def ignore_interrupts() -> None:
    """Ctrl-C reaches the whole process group; what to do about it is the parent's decision."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Children started meanwhile hold Ctrl-C back until they have said that they ignore it."""
    # It would be started beside the first child, and lets Ctrl-C through as it is.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _main_hidden() -> Iterator[None]:
    """Children started meanwhile do not run the program's main module again.

    They need functions of modules only, and a script that is not guarded by `if __name__ == "__main__"` would start
    children of its own in each.
    """
    main = vars(sys.modules["__main__"])
    with _STARTING:
        told: dict[str, Any] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
        for name in told:
            main[name] = None
        try:
            yield
        finally:
            main.update(told)
