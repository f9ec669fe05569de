"""How fast steps are made, and how much of that is waiting for data."""

import time


class Meter:
    """Step rate and the share of time spent waiting for data, between two lines of the metrics."""

    def __init__(self) -> None:
        self._mark = self._step_end = time.perf_counter()
        self._steps, self._wait = 0, 0.0

    def data_arrived(self) -> None:
        """Called when a step has its batch."""
        self._wait += time.perf_counter() - self._step_end
        self._steps += 1

    def step_ended(self) -> None:
        """Called at the end of a step."""
        self._step_end = time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Steps per second and share of waiting since the last reading."""
        now = time.perf_counter()
        seconds = now - self._mark
        rate, wait = self._steps / seconds, self._wait / seconds
        self._mark, self._steps, self._wait = now, 0, 0.0
        return rate, wait
