"""Demonstrated chains of waypoints as arrays, and what of them is a pick_and_place."""

import functools
import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.plain_sum import plain_sum
from shared.rotation import quat_xyzw_to_matrix
from shared.summary import Chain, DemonstrationSummary

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Chains:
    """Waypoints of C demonstrated chains and, after those, of P that are what of one of them is a pick_and_place.

    They lie one chain after the other, M in all. Each chain has at least two.

    Attributes:
        first: first waypoint of each chain, and M, shape (C + P + 1,).
        demonstrated: C.
        position: of the tool [m], shape (M, 3).
        rotation: of the tool, shape (M, 3, 3).
        time: how long the segment that ends at each waypoint takes [s]; 0 for a chain's first, shape (M,).
        still: whether that segment goes nowhere, so that only time passes, shape (M,).
        dwell: rest at each waypoint after the segment that ends there [s], shape (M,).
        gripper: command from each waypoint on, +1 or -1, shape (M,).
    """

    first: IntArray
    demonstrated: int
    position: FloatArray
    rotation: FloatArray
    time: FloatArray
    still: BoolArray
    dwell: FloatArray
    gripper: FloatArray

    @property
    def places(self) -> int:
        """P."""
        return len(self.first) - 1 - self.demonstrated

    @functools.cached_property
    def moving(self) -> IntArray:
        """Waypoints of demonstrated chains at which a motion ends, ascending."""
        moving = ~self.still
        moving[self.first[:-1]] = False
        return np.flatnonzero(moving[: self.first[self.demonstrated]])


class _Waypoint(NamedTuple):
    """One waypoint of `Chains`; `of` is its place in the demonstrated chain."""

    of: int
    time: float
    still: bool
    dwell: float
    gripper: float


@functools.lru_cache(maxsize=4)
def demonstrated_chains(summary: DemonstrationSummary) -> Chains:
    """The chains of a summary. A gripper that changes during a rest cuts it in two: before, and after."""
    found = [(chain, _waypoints(chain)) for chain in summary.chains]
    parts = found + [(chain, place) for chain, place in ((chain, _place(one)) for chain, one in found) if place]
    pairs = [(chain, np.array([waypoint.of for waypoint in part])) for chain, part in parts]
    flat = [waypoint for _, part in parts for waypoint in part]
    return Chains(
        first=np.cumsum([0, *(len(part) for _, part in parts)]),
        demonstrated=len(found),
        position=np.concatenate([chain.position[of] for chain, of in pairs]),
        rotation=quat_xyzw_to_matrix(np.concatenate([chain.quat_xyzw[of] for chain, of in pairs])),
        time=np.array([waypoint.time for waypoint in flat]),
        still=np.array([waypoint.still for waypoint in flat]),
        dwell=np.array([waypoint.dwell for waypoint in flat]),
        gripper=np.array([waypoint.gripper for waypoint in flat]),
    )


def _waypoints(chain: Chain) -> list[_Waypoint]:
    found = [_Waypoint(0, 0.0, False, float(chain.dwell[0]), float(chain.gripper[0]))]
    for k in range(1, len(chain.gripper)):
        before, time = found[-1], float(chain.duration[k - 1])
        here = _Waypoint(k, time, False, float(chain.dwell[k]), float(chain.gripper[k]))
        same = np.array_equal(chain.position[k], chain.position[k - 1])
        same &= np.array_equal(chain.quat_xyzw[k], chain.quat_xyzw[k - 1])
        if same and time + before.dwell > 0:
            found[-1:] = [before._replace(dwell=0.0), here._replace(time=time + before.dwell, still=True)]
        elif same:
            found[-1] = before._replace(dwell=here.dwell, gripper=here.gripper)
        else:
            found.append(here)
    start = found[0]
    if start.dwell > 0:
        found[:1] = [start._replace(dwell=0.0), start._replace(time=start.dwell, still=True, dwell=0.0)]
    return found


def _place(chain: list[_Waypoint]) -> list[_Waypoint]:
    """The waypoints of a pick_and_place (see families), or none if the chain is no such thing.

    The gripper closes, at least three motions later it opens: the first lifts, the last goes down. What is passed
    between is left out, its time is not. Where nothing follows, the tool retreats to where it came from.
    """
    pairs = enumerate(itertools.pairwise(point.gripper for point in chain))
    changes = [(k + 1, after) for k, (before, after) in pairs if before != after]
    closes = next((k for k, command in changes if command > 0), len(chain))
    opens = next((k for k, command in changes if command < 0 and k > closes), None)
    if opens is None:
        return []
    pick, place = (k - 1 if chain[k].still else k for k in (closes, opens))
    lifted, above = closes + 1, place - 1
    if pick < 1 or above <= lifted or any(chain[k].still for k in (lifted, above, place)):
        return []
    retreat = opens + 1 < len(chain) and not chain[opens + 1].still
    retreated = chain[opens + 1] if retreat else chain[above]._replace(time=chain[place].time)
    across = plain_sum(point.time + point.dwell for point in chain[lifted + 1 : above + 1])
    grasp, release = (
        plain_sum(point.dwell + point.time * point.still for point in chain[begin : end + 1])
        for begin, end in ((pick, closes), (place, opens))
    )
    return [
        chain[max(pick - 2, 0)]._replace(time=0.0, dwell=0.0, gripper=-1.0),
        chain[pick - 1]._replace(dwell=0.0, gripper=-1.0),
        chain[pick]._replace(dwell=grasp, gripper=1.0),
        chain[lifted]._replace(dwell=0.0, gripper=1.0),
        chain[above]._replace(time=across, dwell=0.0, gripper=1.0),
        chain[place]._replace(dwell=release, gripper=-1.0),
        retreated._replace(dwell=0.0, gripper=-1.0),
    ]
