"""Saving beside the training: a copy is taken, which training waits for, and written in a thread of its own."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic

Write = Callable[[], None]


class Saver:
    """Writes one thing after the other.

    Training stands still while a copy is taken, and where the one before is still being written. So that this takes no
    more than a share of the time, `is_due` says no for as long.
    """

    def __init__(self, share: float, seconds: float) -> None:
        """Args: share: of the time that training may stand still. seconds: after which something is to be saved."""
        self._share, self._seconds = share, seconds
        self._thread = ThreadPoolExecutor(1, "saving")
        self._writing: Future[None] | None = None
        self._since, self._stood_still = monotonic(), 0.0

    @property
    def may_save(self) -> bool:
        """Whether saving now keeps to the share, as far as the last time tells."""
        return self._stood_still <= self._share * (monotonic() - self._since)

    @property
    def is_due(self) -> bool:
        """Whether it may save and nothing has been saved for long."""
        return monotonic() - self._since >= self._seconds and self.may_save

    def save(self, take: Callable[[], Write]) -> None:
        """Calls `take`, and in the thread what it returns.

        Raises what went wrong in writing the last time.
        """
        begin = monotonic()
        self.wait()
        self._writing = self._thread.submit(take())
        self._since = monotonic()
        self._stood_still = self._since - begin

    def wait(self) -> None:
        """Returns when everything is written; raises what went wrong."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Ends the thread, after what it is writing."""
        self._thread.shutdown()
