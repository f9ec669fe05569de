"""The motion families: their names, how many segments each has, and how its waypoints are arrived at."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

Family = Literal["point_to_point", "via_points", "hold"]
FAMILIES: tuple[Family, ...] = ("point_to_point", "via_points", "hold")
"""A request's families are drawn in this order, so a new one goes to the end."""
DEFAULT_FAMILIES: dict[Family, float] = {"point_to_point": 0.5, "via_points": 0.5}

SEGMENTS: dict[Family, tuple[int, int]] = {"point_to_point": (1, 1), "via_points": (2, 5), "hold": (2, 4)}
"""Fewest and most segments; a trajectory has one more waypoint than segments. A hold's segments only differ in what
the gripper does."""

DRAWN, SOLVED, SAME = range(3)
"""How the configuration of a waypoint is found: it was drawn; by IK of its pose; it is that of the waypoint before."""


def is_family(family: IntArray, name: Family) -> NDArray[np.bool_]:
    """Which of these indices into FAMILIES are the named one."""
    return np.asarray(family == FAMILIES.index(name))


def draw_families(weights: dict[Family, float], u: NDArray[np.float64]) -> IntArray:
    """Indices into FAMILIES, shape (n,), from uniform numbers (n,)."""
    share = np.cumsum([weights.get(name, 0.0) for name in FAMILIES])
    return np.asarray(np.searchsorted(share / share[-1], u, side="right"), np.int64)


def draw_segments(family: IntArray, u: NDArray[np.float64]) -> IntArray:
    """Number of segments of each candidate, shape (n,), from uniform numbers (n,)."""
    fewest, most = np.array([SEGMENTS[name] for name in FAMILIES]).T
    return np.asarray(fewest[family] + np.floor(u * (most - fewest + 1)[family]), np.int64)
