"""The motion families: their names, how many segments each has, and how its waypoints are arrived at."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

Family = Literal["point_to_point", "via_points", "hold", "cartesian_line", "pick_and_place", "demonstrated"]
FAMILIES: tuple[Family, ...] = get_args(Family)
"""A request's families are drawn in this order, so a new one goes to the end."""
DEFAULT_FAMILIES: dict[Family, float] = {"point_to_point": 0.5, "via_points": 0.5}
COPIES: dict[Family, float] = {"demonstrated": 1.0}
"""Those of a workspace of objects, by default and alone."""
WAYPOINT_FAMILIES: tuple[Family, ...] = tuple(name for name in FAMILIES if name not in COPIES)
"""Those whose motions go from waypoint to waypoint."""

DRAWN, SOLVED, SAME, LINE = range(4)
"""How the configuration of a waypoint is found: it was drawn; by IK of its pose; it is that of the waypoint before; at
the end of a straight line of the tool."""

ARRIVALS: dict[Family, tuple[int, ...]] = {
    "point_to_point": (SOLVED,),
    "via_points": (SOLVED,) * 5,
    "hold": (SAME,) * 4,
    "cartesian_line": (LINE,) * 3,
    "pick_and_place": (SOLVED, LINE, LINE, SOLVED, LINE, LINE),
    # Copies of demonstrations have no waypoints: services/synthesis/copies makes them.
    "demonstrated": (SAME,),
}
"""How the waypoints after the start are arrived at, of the longest trajectory of each family."""
FEWEST_SEGMENTS: dict[Family, int] = {
    "point_to_point": 1,
    "via_points": 2,
    "hold": 2,
    "cartesian_line": 1,
    "pick_and_place": 6,
    "demonstrated": 1,
}
"""A trajectory has one more waypoint than segments. A hold's segments differ only in what the gripper does."""
ABOVE_PICK, PICK, LIFTED, ABOVE_PLACE, PLACE, RETREATED = range(1, 7)
"""The waypoints of a pick_and_place after its start."""
AROUND = (ABOVE_PICK, LIFTED, ABOVE_PLACE, RETREATED)
"""Those whose poses follow from the poses at PICK and PLACE."""

MOST_SEGMENTS = max(len(arrivals) for arrivals in ARRIVALS.values())
"""Segments of the longest trajectory whose number of segments follows from its family."""
_MOST_SEGMENTS = np.array([len(ARRIVALS[name]) for name in FAMILIES])
_TOGETHER = np.array([0, ABOVE_PICK, ABOVE_PICK, ABOVE_PICK, ABOVE_PLACE, ABOVE_PLACE, ABOVE_PLACE])
_FEWEST_SEGMENTS = np.array([FEWEST_SEGMENTS[name] for name in FAMILIES])
_ARRIVALS = np.array([[*ARRIVALS[name], *[SAME] * (_MOST_SEGMENTS.max() - len(ARRIVALS[name]))] for name in FAMILIES])


def is_family(family: IntArray, *names: Family) -> NDArray[np.bool_]:
    """Which of these indices into FAMILIES are one of those named."""
    marked = np.zeros(family.shape, np.bool_)
    for name in names:
        marked |= family == FAMILIES.index(name)
    return marked


def draw_families(weights: dict[Family, float], u: NDArray[np.float64]) -> IntArray:
    """Indices into FAMILIES, shape (n,), from uniform numbers (n,)."""
    share = np.cumsum([weights.get(name, 0.0) for name in FAMILIES])
    return np.asarray(np.searchsorted(share / share[-1], u, side="right"), np.int64)


def draw_segments(family: IntArray, u: NDArray[np.float64]) -> IntArray:
    """Number of segments of each candidate, shape (n,), from uniform numbers (n,)."""
    choices = _MOST_SEGMENTS - _FEWEST_SEGMENTS + 1
    return np.asarray(_FEWEST_SEGMENTS[family] + np.floor(u * choices[family]), np.int64)


def arrivals(family: IntArray, waypoints: int) -> IntArray:
    """How each waypoint after the start is arrived at, shape (n, waypoints - 1)."""
    return np.asarray(_ARRIVALS[family, : waypoints - 1])


def ends(family: IntArray, waypoints: int) -> IntArray:
    """The first of the waypoints that each is drawn together with, shape (n, waypoints): itself, but where things are
    picked or placed."""
    alone = np.tile(np.arange(waypoints), (len(family), 1))
    together = _TOGETHER[np.minimum(alone, RETREATED)]
    return np.where(is_family(family, "pick_and_place")[:, None], together, alone)
