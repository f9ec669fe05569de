"""Processes beside the service for what takes seconds or may crash: neither the event loop nor a job waits for them."""

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from services.api.problems import ProblemError
from services.engine.worker import Worker, WorkerDiedError, kill_all

_WAIT_S = 10.0
_MAX_WAITING = 8
"""More would take the threads that other calls need. Of calls that take long, half as many."""
_PATIENCE_S = 1.0
"""A process that will soon be free answers sooner than another starts, which takes seconds of every core's time."""
_START_S = 120.0
"""What is imported may have to be compiled first."""
_Result = TypeVar("_Result")


class BoundedProcesses:
    """Makes a few calls at once, each in a process of its own, and ends the process of one that takes too long."""

    def __init__(self, seconds: float, what: str, most: int = 1, prepare: Callable[[], None] | None = None) -> None:
        """Starts nothing yet.

        Args:
            seconds: a call that takes longer is dropped.
            what: messages call a call so.
            most: processes at once; started when a call would wait long for those there are, and then kept.
            prepare: a function of a module that each process runs first; those seconds are not the first call's.
        """
        self._seconds, self._what, self._most, self._prepare = seconds, what, most, prepare
        self._changed = threading.Condition()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._waiting = 0
        self._closed = False

    @property
    def calls(self) -> int:
        """How many are under way."""
        return len(self._busy)

    def call(self, function: Callable[..., _Result], *arguments: Any, is_long: bool = False) -> _Result:
        """What `function`, of a module, returns in one of these processes.

        Args:
            function: to call.
            arguments: that it is given.
            is_long: it takes long, so that it leaves one process to calls that don't, where there are several.

        Raises:
            ProblemError: it took too long, its process died, or others wait for theirs already.
        """
        with self._process(is_long) as (worker, is_new):
            try:
                if is_new:
                    self._load(worker, function.__module__)
                if not _answers(worker, self._seconds, function, *arguments):
                    worker.kill()
                    raise ProblemError(422, f"this {self._what} takes longer than {self._seconds:g} s; ask for less")
                answer: _Result = worker.receive()
                return answer
            except WorkerDiedError:
                why = "because the service stops" if self._closed else "perhaps for lack of memory; try again"
                raise ProblemError(503, f"the process of the {self._what} ended, {why}") from None

    def close(self) -> None:
        """Ends the processes at once. Calls under way raise ProblemError, and so do those that wait."""
        with self._changed:
            self._closed = True
            for worker in (*self._busy, *self._idle):
                worker.end()
            self._changed.notify_all()
            # Those have no process any more, and are over in a moment.
            self._changed.wait_for(lambda: not self._busy)
            kill_all(self._idle)
            self._idle.clear()

    def _load(self, worker: Worker, module: str) -> None:
        """Has a new process import what it needs, and prepare: those seconds are not the call's."""
        prepare = (self._prepare,) if self._prepare else (load, module)
        if not _answers(worker, _START_S, *prepare):
            worker.kill()
            raise ProblemError(503, f"the process of the {self._what} does not start; is this machine very busy?")
        worker.receive()

    @contextmanager
    def _process(self, is_long: bool) -> Iterator[tuple[Worker, bool]]:
        """Waits for a process, has it for the time of a block, and keeps it after that if it lives.

        Yields the process, and whether it is new.
        """
        with self._changed:
            self._wait(is_long)
            is_new = not self._idle
            worker = Worker() if is_new else self._idle.pop()
            self._busy.add(worker)
        try:
            yield worker, is_new
        finally:
            with self._changed:
                self._busy.discard(worker)
                if worker.is_alive:
                    self._idle.append(worker)
                self._changed.notify_all()

    def _wait(self, is_long: bool) -> None:
        """Waits until a call may begin."""
        busy = ProblemError(503, f"other {self._what}s are being made; try again in a few seconds")
        most, most_waiting = max(1, self._most - is_long), _MAX_WAITING // 2 if is_long else _MAX_WAITING
        if len(self._busy) >= most and self._waiting >= most_waiting:
            raise busy
        self._waiting += 1
        try:
            if self._busy and len(self._busy) < most:
                self._changed.wait_for(lambda: self._closed or self._idle, _PATIENCE_S)
            if not self._changed.wait_for(lambda: self._closed or len(self._busy) < most, _WAIT_S):
                raise busy
        finally:
            self._waiting -= 1
        if self._closed:
            raise ProblemError(503, "the service stops")


def _answers(worker: Worker, seconds: float, function: Callable[..., Any], *arguments: Any) -> bool:
    """Sends a call, and says whether its answer, or the process's end, is there in time."""
    worker.send(function, *arguments)
    return worker.connection.poll(seconds)


def load(module: str) -> None:
    """Runs in the process: imports a module."""
    importlib.import_module(module)
