"""Statistics that LeRobot keeps: of each feature, for each episode and for all of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.export.episodes import Episodes
from shared.statistics import merge_statistics, moments

STATISTICS = ("min", "max", "mean", "std", "count")


class Statistics:
    """Statistics of every feature over all steps, added up batch by batch in float64."""

    def __init__(self) -> None:
        self._moments: dict[str, dict[str, Any]] = {}

    def add(self, features: dict[str, NDArray[Any]]) -> None:
        """Counts some more steps: each feature's values, (N, width)."""
        for name, values in features.items():
            found = moments(values)
            self._moments[name] = merge_statistics(self._moments[name], found) if name in self._moments else found

    def to_json(self) -> dict[str, dict[str, Any]]:
        """{feature: {"min": [width], "max", "mean", "std", "count": [1]}}; std is that of the population."""
        return {
            name: {
                "min": found["min"],
                "max": found["max"],
                "mean": found["mean"],
                "std": np.sqrt(np.asarray(found["M2"]) / found["count"]).tolist(),
                "count": [found["count"]],
            }
            for name, found in self._moments.items()
        }


def episode_statistics(episodes: Episodes, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The same of one feature for each of n episodes.

    Args:
        episodes: whose steps these are.
        values: (N, width).

    Returns:
        min, max, mean and std, each (n, width), and count (n, 1).
    """
    starts, lengths = episodes.ends - episodes.lengths, episodes.lengths[:, None]
    mean = np.add.reduceat(values, starts, dtype=np.float64) / lengths
    deviation = values - np.repeat(mean, episodes.lengths, axis=0)
    return {
        "min": np.minimum.reduceat(values, starts).astype(np.float64),
        "max": np.maximum.reduceat(values, starts).astype(np.float64),
        "mean": mean,
        "std": np.sqrt(np.add.reduceat(deviation**2, starts) / lengths),
        "count": lengths,
    }
