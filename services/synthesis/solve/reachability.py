"""A robot's reachability table: seeded configurations and the poses of their tool, looked up for IK's starts."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.compiled import compiled
from services.synthesis.numerics.elementary import cube_root
from services.synthesis.request.goals import Goal
from shared.philox import philox_uniform

FloatArray = NDArray[np.float64]
FloatArray32 = NDArray[np.float32]
IntArray = NDArray[np.int64]

TABLE_SIZE = 100_000
TABLE_SEED = 0
ROTATION_WEIGHT = 0.3
"""Metres that a unit of difference between rotation columns counts for in the search for near poses."""
ENTRIES_PER_CELL = 4
"""Entries in a cell of the grid over tool positions, were they spread evenly over it."""
ENTRIES_SEEN = 100
"""Least number of entries that a search ranks. IK converges as well from the nearest of a hundred in place as from the
nearest of all, and finding it takes a fifth of the time."""

_COLUMNS: dict[Goal, slice] = {"pose": slice(0, 2), "position": slice(0, 0), "position_axis": slice(2, 3)}


@dataclass(frozen=True, eq=False)
class ReachabilityTable:
    """Configurations in the order of the cells of a grid that their tool positions are in.

    Attributes:
        q: configurations, shape (n, dof) [rad or m].
        features: tool position [m] and weighted columns of its rotation, shape (n, 3 + 3 columns).
        columns: which columns of the rotation.
        low: least tool position [m], shape (3,).
        cell: edge of a cell [m].
        first: first entry of each cell, and their number after the last, shape (x, y, z, 2).
    """

    q: FloatArray
    features: FloatArray32
    columns: slice
    low: FloatArray
    cell: float
    first: IntArray

    def nearest(self, position: FloatArray, rotation: FloatArray, begin: int, end: int) -> IntArray:
        """Entries ranked begin..end-1 by nearness to each pose, shape (m, end - begin).

        Ranked are those of the cells around the pose's own: of the smallest cube that has ENTRIES_SEEN of them.
        """
        found = np.empty((len(position), end - begin), np.int64)
        goals = _features(position, rotation, self.columns)
        _rank(self.features, self.first, self.low, self.cell, goals, begin, end, found)
        return found


@functools.lru_cache(maxsize=4)
def reachability_table(robot: RobotModel, goal: Goal = "pose") -> ReachabilityTable:
    """The robot's table for a goal; the last ones (some 10 MB each) are kept, and rebuilt in a tenth of a second."""
    q = seeded_configurations(robot)
    position, rotation = robot.tool_poses(q)
    low, high = position.min(0), position.max(0)
    cell = cube_root(float(np.prod(high - low)) * ENTRIES_PER_CELL / len(q))
    place = ((position - low) / cell).astype(np.int64)
    shape = tuple(place.max(0) + 1)
    flat = np.ravel_multi_index(tuple(place.T), shape)
    order = np.argsort(flat, kind="stable")
    first = np.searchsorted(flat[order], np.arange(np.prod(shape) + 1))
    columns = _COLUMNS[goal]
    features = _features(position[order], rotation[order], columns)
    ranges = np.stack([first[:-1], first[1:]], axis=-1).reshape(*shape, 2)
    return ReachabilityTable(q[order], features, columns, low, cell, ranges)


@functools.lru_cache(maxsize=4)
def seeded_configurations(robot: RobotModel) -> FloatArray:
    """TABLE_SIZE configurations uniform inside the robot's limits, the same on every machine, shape (n, dof) [rad]."""
    u = philox_uniform(TABLE_SEED, np.arange(TABLE_SIZE), 0, robot.dof)
    limits = robot.planning_limits
    q = limits.lower + u * (limits.upper - limits.lower)
    q.flags.writeable = False
    return q


def _features(position: FloatArray, rotation: FloatArray, columns: slice) -> FloatArray32:
    some = ROTATION_WEIGHT * np.swapaxes(rotation[..., columns], -1, -2).reshape(len(position), -1)
    return np.concatenate([position, some], axis=1).astype(np.float32)


@compiled
def _rank(
    features: FloatArray32,
    first: IntArray,
    low: FloatArray,
    cell: float,
    goals: FloatArray32,
    begin: int,
    end: int,
    found: IntArray,
) -> None:
    """The search of `nearest`."""
    least, greatest = np.empty(3, np.int64), np.empty(3, np.int64)
    best, entry = np.empty(end, np.float32), np.empty(end, np.int64)
    for goal in range(goals.shape[0]):
        _surround(first, low, cell, goals[goal], least, greatest)
        kept = 0
        for x in range(least[0], greatest[0] + 1):
            for y in range(least[1], greatest[1] + 1):
                here, there = first[x, y, least[2], 0], first[x, y, greatest[2], 1]
                for i in range(here, there):
                    square = np.float32(0.0)
                    for c in range(features.shape[1]):
                        off = features[i, c] - goals[goal, c]
                        square += off * off
                    if kept == end and square >= best[kept - 1]:
                        continue
                    kept = min(kept + 1, end)
                    rank = kept - 1
                    while rank > 0 and best[rank - 1] > square:
                        best[rank], entry[rank] = best[rank - 1], entry[rank - 1]
                        rank -= 1
                    best[rank], entry[rank] = square, i
        for rank in range(begin, end):
            found[goal, rank - begin] = entry[rank]


@compiled
def _surround(
    first: IntArray, low: FloatArray, cell: float, goal: FloatArray32, least: IntArray, greatest: IntArray
) -> None:
    """Least and greatest cell of the smallest cube around a goal's cell that holds ENTRIES_SEEN entries."""
    for ring in range(max(first.shape)):
        for r in range(3):
            middle = min(max(int((goal[r] - low[r]) / cell), 0), first.shape[r] - 1)
            least[r], greatest[r] = max(middle - ring, 0), min(middle + ring, first.shape[r] - 1)
        total = 0
        for x in range(least[0], greatest[0] + 1):
            for y in range(least[1], greatest[1] + 1):
                total += first[x, y, greatest[2], 1] - first[x, y, least[2], 0]
        if total >= ENTRIES_SEEN:
            return
