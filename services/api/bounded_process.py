"""A process beside the service for what takes seconds or may crash: neither the event loop nor a job waits for it."""

import importlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from services.api.problems import ProblemError
from services.engine.worker import Worker, WorkerDiedError

_WAIT_S = 10.0
_MAX_WAITING = 8
"""More would take the threads that other calls need."""
_START_S = 60.0
_Result = TypeVar("_Result")


class BoundedProcess:
    """Makes one call at a time, and ends its process when one takes too long."""

    def __init__(self, seconds: float, what: str) -> None:
        """A call that takes longer than `seconds` is dropped; `what` is what messages call one."""
        self._seconds = seconds
        self._what = what
        self._lock = threading.Lock()
        self._places = threading.Semaphore(_MAX_WAITING + 1)
        # Held for moments, where `_lock` is held for as long as a call.
        self._ending = threading.Lock()
        self._closed = False
        self._worker: Worker | None = None

    def call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """What `function`, of a module, returns in that process.

        Raises:
            ProblemError: it took too long, the process died, or others wait for theirs already.
        """
        busy = ProblemError(503, f"other {self._what}s are being made; try again in a few seconds")
        if not self._places.acquire(blocking=False):
            raise busy
        try:
            if not self._lock.acquire(timeout=_WAIT_S):
                raise busy
            try:
                return self._call(function, *arguments)
            finally:
                self._lock.release()
        finally:
            self._places.release()

    def _call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        try:
            worker = self._worker or self._start(function.__module__)
            worker.send(function, *arguments)
            if not worker.connection.poll(self._seconds):
                self._end()
                raise ProblemError(422, f"this {self._what} takes longer than {self._seconds:g} s; ask for less")
            answer: _Result = worker.receive()
            return answer
        except WorkerDiedError:
            self._worker = None
            why = "because the service stops" if self._closed else "perhaps for lack of memory; try again"
            raise ProblemError(503, f"the process of the {self._what} ended, {why}") from None

    def _start(self, module: str) -> Worker:
        """A process that has what it needs imported: those seconds are not the call's."""
        with self._ending:
            if self._closed:
                raise ProblemError(503, "the service stops")
            worker = self._worker = Worker()
        worker.send(load, module)
        if not worker.connection.poll(_START_S):
            self._end()
            raise ProblemError(503, f"the process of the {self._what} does not start; is this machine very busy?")
        worker.receive()
        return worker

    def close(self) -> None:
        """Ends the process at once. A call under way raises ProblemError, and so do those that wait."""
        with self._ending:
            self._closed = True
            worker = self._worker
            if worker is not None:
                worker.end()
        # Those have no process any more, and are over in a moment.
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


def load(module: str) -> None:
    """Runs in the process: imports a module."""
    importlib.import_module(module)
