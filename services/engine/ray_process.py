"""The process that speaks with Ray, as the engine sees it: started, and ended together with a Ray of its own."""

import os
import time
from collections.abc import Callable

from services.engine.engine import POLL_S
from services.engine.process_tree import ProcessTree, wait_until_gone
from services.engine.ray_driver import drive
from services.engine.worker import Child, WorkerDiedError
from shared.errors import EngineError

_START_S = 120.0
_LEAVE_S = 1.0
"""For a driver to leave a cluster in order."""
_EXIT_S = 1.0


class DriverProcess(Child):
    """A process that runs `drive`. A Ray that it brings ends with it, however it is ended."""

    def __init__(self, wanted: int | None) -> None:
        """Starts it; see `wait_until_ready`."""
        super().__init__(drive, wanted)
        self._brings_ray = not os.environ.get("RAY_ADDRESS")
        self._started = ProcessTree(self.pid)

    def wait_until_ready(self, should_stop: Callable[[], bool]) -> int:
        """Waits until Ray is started or joined, and returns its workers. Raises EngineError, and is ended then."""
        deadline = time.monotonic() + _START_S
        try:
            while not self.connection.poll(POLL_S):
                if should_stop():
                    raise EngineError("stopped before Ray was up")
                if time.monotonic() > deadline:
                    raise EngineError(f"Ray is not up after {_START_S:.0f} s; `--engine process` needs no Ray")
            answer, value = self.take()
            if answer == "failed":
                raise EngineError(value)
        except WorkerDiedError:
            raise EngineError("Ray ended the process that started it; its logs are in /tmp/ray") from None
        except BaseException:
            self.kill()
            raise
        workers: int = value
        return workers

    def end(self) -> None:
        """See Child.end. Killed alone, it would leave two of Ray's processes behind for a minute."""
        if self._brings_ray:
            self._started.kill()
        super().end()

    def leave(self) -> None:
        """Ends it: a Ray of its own at once, whose shards are safe; a cluster is left in order, if that is quick.

        `ray.shutdown` would end a Ray of its own in a second or two, one process after another.
        """
        if self._brings_ray:
            killed = self._started.kill()
            super().end()
            wait_until_gone(killed)
        else:
            self.give(("end",))
            self.join(_LEAVE_S)
            super().end()
        self.join(_EXIT_S)
