"""Sets of data that are drawn from together, each by its share: datasets in Stage 1, demonstrations in Stage 2."""

from collections.abc import Sequence

import numpy as np

from shared.order import IntArray
from shared.plain_sum import plain_sum
from trainer.settings import check_numbers

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: its multiples, modulo 2^64, spread more evenly than those of any other number."""


def shares_of(weights: Sequence[float] | None, sets: int) -> tuple[float, ...]:
    """The share of each of so many sets, above 0, with a sum of 1; equal without weights.

    Raises ConfigError where there is not one weight above 0 for each.
    """
    given = [1.0] * sets if weights is None else weights
    check_numbers("weights", given, sets, above=0)
    # By the greatest first: a sum of very large weights would not be finite.
    parts = [weight / max(given) for weight in given]
    return tuple(part / plain_sum(parts) for part in parts)


def windows_of_each(shares: Sequence[float], first: int, count: int) -> IntArray:
    """How many of the windows `first` to `first` + `count` - 1 of all are of each set, (sets,).

    Which set a window is of is a function of its number alone. In any stretch of windows, each set's part is its share
    to within a few windows.
    """
    # One more than their numbers: the first would be at the edge.
    turns = np.arange(first + 1, first + count + 1, dtype=np.uint64) * _GOLDEN
    points = (turns >> np.uint64(11)) * 2.0**-53
    chosen = np.searchsorted(np.cumsum(shares)[:-1], points, side="right")
    return np.bincount(chosen, minlength=len(shares)).astype(np.int64)
