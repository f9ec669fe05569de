"""An engine's workers, shared by the runs that want one: each has a shard made in turn."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Share:
    """What one run has of the workers. For that run's thread.

    Attributes:
        busy: shards that it has in the making.
    """

    def __init__(self, sharing: "FairShare", priority: Callable[[], int]) -> None:
        self.busy = 0
        self._sharing, self.priority = sharing, priority
        self.wants, self.turn = False, 0

    def take(self, wait_s: float = 0.0) -> bool:
        """Takes a worker, once one is free and no other run goes first; False after `wait_s` seconds without."""
        return self._sharing.take(self, wait_s)

    def give_back(self, workers: int = 1, wants_more: bool = True) -> None:
        """Gives workers back."""
        self._sharing.give_back(self, workers, wants_more)


class FairShare:
    """Gives a free worker to the run of the highest priority, among those to the one with the fewest shards in the
    making, among those to the one whose last turn is longest ago.
    """

    def __init__(self, workers: Callable[[], int]) -> None:
        """Takes what says how many workers there are."""
        self._workers = workers
        self._changed = threading.Condition()
        self._shares: list[Share] = []
        self._turns = 0

    @property
    def busy(self) -> int:
        """Shards in the making, of all runs."""
        return sum(share.busy for share in list(self._shares))

    @contextmanager
    def joined(self, priority: Callable[[], int]) -> Iterator[Share]:
        """A run's share for the time of a block; `priority` is asked at each turn."""
        share = Share(self, priority)
        with self._changed:
            self._shares.append(share)
        try:
            yield share
        finally:
            with self._changed:
                self._shares.remove(share)
                self._changed.notify_all()

    def take(self, share: Share, wait_s: float) -> bool:
        """See Share.take."""
        deadline = time.monotonic() + wait_s
        with self._changed:
            # Until it has one: whoever asks meanwhile leaves it its turn.
            share.wants = True
            while self.busy >= self._workers() or self._first() is not share:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            share.wants = False
            share.busy += 1
            self._turns += 1
            share.turn = self._turns
            # There may be another worker for the next.
            self._changed.notify_all()
            return True

    def give_back(self, share: Share, workers: int, wants_more: bool) -> None:
        """See Share.give_back."""
        with self._changed:
            share.busy -= workers
            share.wants = wants_more
            self._changed.notify_all()

    def _first(self) -> Share:
        wanting = (share for share in self._shares if share.wants)
        return min(wanting, key=lambda share: (-share.priority(), share.busy, share.turn))
