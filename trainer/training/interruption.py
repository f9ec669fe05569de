"""Ctrl-C, SIGTERM and SIGHUP during training: finish the step, save, then stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """While entered, these signals only set `requested`; while `waiting`, they raise KeyboardInterrupt at once.

    One that is ignored, as SIGHUP under nohup, stays so. Python delivers signals to the main thread alone, so elsewhere
    this does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._waiting = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._previous = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A stretch that may last long and that nothing is lost by breaking off; not begun where that is requested."""
        self._waiting = True
        try:
            # After the line above: a signal between the two would be missed.
            if self.requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._waiting = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if self._waiting:
            # Once: the next signal may come while what this one broke off is being saved.
            self._waiting = False
            raise KeyboardInterrupt
