"""A process that runs what it is sent, one call at a time, and can be ended at any moment."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from shared.errors import EngineError

# Spawned, never forked: Arrow's and Ray's threads do not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")
_FAREWELL_S = 2.0


class WorkerDiedError(EngineError):
    """The process ended without an answer."""


class Worker:
    """One such process. What it is sent and what it answers is pickled, so functions are those of modules."""

    def __init__(self) -> None:
        """Starts it; it imports what it needs with its first call."""
        # Inherited: one thread each, or the workers' BLAS pools fight over the cores.
        os.environ["OMP_NUM_THREADS"] = "1"
        self.connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(theirs,), name="headstart-worker", daemon=True)
        with _sigint_blocked():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid

    def send(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Has it call `function`. If it has died, `receive` says so."""
        with contextlib.suppress(OSError):
            self.connection.send((function, arguments))

    def receive(self) -> Any:
        """Waits for what the call returned, or raises what it raised. Raises WorkerDiedError if it died."""
        try:
            returned, value = self.connection.recv()
        except (EOFError, OSError):
            self.kill()
            raise WorkerDiedError("a worker process died") from None
        if returned:
            return value
        raise value

    def kill(self) -> None:
        """Ends it. Killed, not asked: it may be inside a long native call."""
        self._process.kill()
        self.connection.close()
        self._process.join(_FAREWELL_S)


def _work(connection: Connection) -> None:
    """Answers calls until the pipe ends, which also happens when the parent dies."""
    # Ctrl-C reaches the whole process group; what to do about it is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
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


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Children started meanwhile hold Ctrl-C back until they have said that they ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
