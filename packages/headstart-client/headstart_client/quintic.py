"""The polynomial of fifth degree between two states: of all motions between them, the one with least jerk squared."""

import functools
import math

import numpy as np

from headstart_client.limits import Array

_POWERS = np.arange(6.0)
_LOWERED = np.maximum(np.arange(6) - np.arange(4)[:, None], 0)
_FACTORS = np.array([[float(math.perm(power, order)) for power in range(6)] for order in range(4)])
"""Of each derivative of each power: 0 where the order is higher."""


def _monomials(places: Array) -> Array:
    """1, t, ... t^5 and their three derivatives at places t, (places, 4, 6)."""
    powers: Array = places[:, None] ** _POWERS
    monomials: Array = _FACTORS * powers[:, _LOWERED]
    return monomials


_COEFFICIENTS = np.linalg.inv(_monomials(np.array([0.0, 1.0]))[:, :3].reshape(6, 6))
"""From (q0, v0, a0, q1, v1, a1) over one second to the polynomial's coefficients."""


def _basis(places: Array) -> Array:
    """(places, 4, 6): position and three derivatives at places in [0, 1], from both ends' states over one second."""
    basis: Array = _monomials(places) @ _COEFFICIENTS
    return basis


@functools.lru_cache(maxsize=1024)
def _even_basis(ticks: int) -> Array:
    return _basis(np.arange(ticks + 1) / ticks)


def samples(first: Array, last: Array, duration: float, places: Array | int) -> Array:
    """States on the way from one state to another, (places, 4, dof): position, velocity, acceleration and jerk.

    Args:
        first: (3, dof), position, velocity and acceleration.
        last: the same, `duration` seconds later.
        duration: [s]
        places: shares of the duration, (places,) in [0, 1]; or a number of ticks of equal length, whose ends are meant,
            the beginning of the first included.
    """
    scale = duration ** np.arange(4.0)
    ends = np.concatenate([first * scale[:3, None], last * scale[:3, None]])
    basis = _even_basis(places) if isinstance(places, int) else _basis(places)
    sampled: Array = (basis @ ends) / scale[:, None]
    return sampled
