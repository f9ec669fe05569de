"""The steps of some episodes one after another, and which of them belong together."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trainer.data.demonstrations.mapping.mapping import State
from trainer.data.demonstrations.mapping.motion import RawEpisode, observed_motion
from trainer.poses import Pose

FloatArray = NDArray[np.float64]
Indices = NDArray[np.int64]

_MOST_DELAY = 0.5
_MOST_PAIRS = 400


class Steps:
    """N steps of all episodes."""

    def __init__(self, raws: Sequence[RawEpisode], rate_hz: float) -> None:
        self.raws = raws
        self.rate_hz = rate_hz
        self._lengths = np.array([len(next(iter(raw.columns.values()))) for raw in raws])

    @cached_property
    def starts(self) -> Indices:
        """First step of each episode, (n,)."""
        return np.concatenate([[0], np.cumsum(self._lengths)[:-1]]).astype(np.int64)

    @property
    def delays(self) -> range:
        """Steps by which what is observed may follow what is commanded."""
        return range(int(_MOST_DELAY * self.rate_hz) + 1)

    def values(self, columns: str) -> FloatArray:
        """(N, n) numbers."""
        return np.concatenate([raw.select(columns) for raw in self.raws])

    def poses(self, state: State) -> Pose:
        """What was observed: (N, 3) [m] and (N, 3, 3). Raises ValueError where it is none."""
        poses = [observed_motion(raw, state).pose for raw in self.raws]
        known = [pose for pose in poses if pose is not None]
        return np.concatenate([pose[0] for pose in known]), np.concatenate([pose[1] for pose in known])

    def pairs(self, delay: int, most: int = _MOST_PAIRS) -> tuple[Indices, Indices]:
        """Steps, and those `delay` later in their episodes, spread over all."""
        early = np.concatenate(
            [np.arange(start, start + length - delay) for start, length in zip(self.starts, self._lengths, strict=True)]
        )
        chosen = early[np.linspace(0, len(early) - 1, min(most, len(early))).astype(np.int64)] if len(early) else early
        return chosen, chosen + delay

    def spread(self, count: int) -> Indices:
        """So many steps, or all, at random but always the same."""
        total = int(self._lengths.sum())
        return np.sort(np.random.default_rng(0).permutation(total)[:count])
