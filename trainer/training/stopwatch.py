"""The seconds that gradient steps take, without what happens between them."""

from time import perf_counter

import torch

from trainer.device import finish


class Stopwatch:
    """Runs and stands still; both calls may come twice in a row.

    A GPU computes behind the program, so the clock stops only when the device has done what it was given.
    """

    def __init__(self, device: torch.device, seconds: float = 0.0) -> None:
        """Stands still, with the seconds of earlier starts."""
        self._device, self._seconds = device, seconds
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds run so far, as of the last stop."""
        return self._seconds

    def start(self) -> None:
        """Goes on, once the device has done what it was given while the clock stood still."""
        if self._since is None:
            finish(self._device)
            self._since = perf_counter()

    def stop(self) -> None:
        """Stands still, once the device has done what it was given while the clock ran."""
        if self._since is not None:
            finish(self._device)
            self._seconds += perf_counter() - self._since
            self._since = None
