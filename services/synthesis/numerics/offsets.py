"""Offsets of runs that lie one after another in one array."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def offsets(counts: IntArray) -> IntArray:
    """Where runs of these lengths begin, and where the last ends, shape (n + 1,)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def within_runs(first: IntArray) -> IntArray:
    """Each item's place in its run, shape (N,), from the offsets of the runs, shape (n + 1,)."""
    return np.arange(first[-1]) - np.repeat(first[:-1], np.diff(first))
