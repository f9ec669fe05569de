"""A process together with all that it started, and what that started."""

import contextlib
import os

import psutil

_GONE_S = 1.0
"""For killed processes to be gone, of all together: a moment, but where the machine is busy."""


class ProcessTree:
    """What a process started, and what that started: ended at once, without being asked."""

    def __init__(self, pid: int | None = None) -> None:
        """Takes process `pid`, which must be running; by default this one."""
        # Remembers when it began: another process that has its number later is not taken for it.
        self._root = psutil.Process(os.getpid() if pid is None else pid)

    def kill(self) -> list[psutil.Process]:
        """Kills all of it but the process itself, and returns what was killed. Nothing if that has ended already."""
        try:
            started = self._root.children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return started


def wait_until_gone(processes: list[psutil.Process]) -> None:
    """Waits until killed processes are gone, side by side and for a second at most."""
    psutil.wait_procs(processes, _GONE_S)
