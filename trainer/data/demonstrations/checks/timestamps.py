"""Whether the times of an episode's steps are those of the rate that it is read at."""

from collections.abc import Sequence

import numpy as np

from trainer.data.demonstrations.episode import FloatArray
from trainer.data.demonstrations.mapping.motion import RawEpisode

RATE_TOLERANCE = 0.1
"""Half of the steps may take longer or shorter than the rate says by this share of it."""
GAP = 1.75
"""A step that takes this many times as long as half of them do is a gap: a whole frame is missing, and no jitter."""


def check_times(episodes: Sequence[RawEpisode], rate_hz: float, *, said: bool) -> None:
    """Raises ValueError at the first episode whose timestamps contradict the rate, naming the step and both rates.

    Args:
        episodes: those without timestamps are passed over.
        rate_hz: that they are read at.
        said: whether the user says that rate: then only gaps and times that go back are looked for.
    """
    for episode in episodes:
        times = episode.times
        if times is None or len(times) < 2:
            continue
        if not np.isfinite(times).all():
            step = int(np.argmax(~np.isfinite(times)))
            raise ValueError(f"{episode.name}: the timestamp of step {step} is {times[step]}")
        problem = _problem(times, rate_hz, said)
        if problem is not None:
            raise ValueError(f"{episode.name}: {problem}")


def _problem(times: FloatArray, rate_hz: float, said: bool) -> str | None:
    steps = np.diff(times)
    if not steps.any():
        return None if said else f"all timestamps are {times[0]:g}; at {rate_hz:g} Hz they are {1 / rate_hz:g} s apart"
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0))
        how = "goes back" if steps[at] < 0 else "stands still"
        return (
            f"time {how} between steps {at} and {at + 1}, from {times[at]:.6g} s to {times[at + 1]:.6g} s; at "
            f"{rate_hz:g} Hz it goes on by {1 / rate_hz:g} s"
        )
    usual = float(np.median(steps))
    if not said and abs(usual * rate_hz - 1) > RATE_TOLERANCE:
        at = int(np.argmin(np.abs(steps - usual)))
        return (
            f"its steps are {usual:.4g} s apart by their timestamps, as steps {at} and {at + 1} are, which is "
            f"{1 / usual:.4g} Hz; the data set's rate is {rate_hz:g} Hz, {1 / rate_hz:.4g} s"
        )
    if steps.max() > GAP * usual:
        at = int(np.argmax(steps))
        return (
            f"{steps[at]:.4g} s pass between steps {at} and {at + 1}, which is {1 / steps[at]:.4g} Hz, where the rate "
            f"is {rate_hz:g} Hz and the other steps take {usual:.4g} s: frames are missing there"
        )
    return None
