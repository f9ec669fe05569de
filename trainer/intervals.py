"""Intervals of success rates of policies that were rolled out from the same initial states.

Rollouts of several seeds from one initial state are no independent trials: what is hard for one is hard for the
others. So initial states are resampled, each with the outcomes of every seed (cluster bootstrap, Davison and Hinkley
1997). What differs between trainings is not in these intervals; the successes of each seed stand beside them.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

Outcomes = NDArray[np.integer]
"""0 or 1 for each rollout, (seeds, initial states)."""

_RESAMPLES = 10_000
_SEED = 0


def wilson(successes: int, episodes: int) -> tuple[float, float]:
    """95 % Wilson score interval of a success rate, as shares."""
    interval = binomtest(successes, episodes).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def rate_interval(outcomes: Outcomes) -> tuple[float, float]:
    """95 % interval of the success rate, as shares.

    Of one seed it is Wilson's, since its rollouts are independent trials. Where all or none of several seeds succeeded
    there is nothing to resample: then it is Wilson's for as many rollouts as states.
    """
    seeds, states = outcomes.shape
    rate = float(outcomes.mean())
    if seeds == 1 or rate in (0.0, 1.0):
        return wilson(round(rate * states), states)
    return _percentiles(outcomes.mean(0))


def difference_interval(ours: Outcomes, others: Outcomes) -> tuple[float, float]:
    """95 % interval of the difference of two success rates from the same initial states, as shares."""
    return _percentiles(ours.mean(0) - others.mean(0))


def _percentiles(of_states: NDArray[np.floating]) -> tuple[float, float]:
    rng = np.random.default_rng(_SEED)
    states = len(of_states)
    means = of_states[rng.integers(states, size=(_RESAMPLES, states))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
