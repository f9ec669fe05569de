"""Collisions of motions and postures: bounds in compiled code decide most of them, Coal the rest.

A motion is halved again and again, breadth first, so that a collision is found early; a pair of bodies is left out as
soon as its distances at both ends of an interval, less how far it moves in it, show it apart: by half its clearance,
at every moment. What comes within the clearance where it is looked at counts as colliding. Motions are looked at
along their profiles, whatever rate they are sampled at.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.collision.capsules import link_frames
from services.synthesis.collision.gaps import MEETS, Bodies, Pairs, gap, make_frames, place_bodies
from services.synthesis.collision.halving import CLEAR, Intervals, Middles, begin, halves, middles
from services.synthesis.collision.separations import Separations
from services.synthesis.compiled import compiled
from services.synthesis.motion.timing import Profiles
from services.synthesis.motion.turns import timeline, turning_times

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_TOGETHER = 512
"""Motions looked at together, which bounds the memory for pairs of them."""


def collisions(
    robot: RobotModel, apart: Separations, profiles: Profiles, first: IntArray, chosen: IntArray
) -> IntArray:
    """A pair of `apart` that collides in each of n motions, or CLEAR, shape (n,).

    Args:
        robot: the arm.
        apart: what has to stay apart.
        profiles: of the motions, one after the other.
        first: first segment of each motion, and the number of segments, shape (n + 1,).
        chosen: which motions to look at; the others are CLEAR.
    """
    found, pairs = np.full(len(first) - 1, CLEAR), _pairs(robot, apart)
    for some in (chosen[k : k + _TOGETHER] for k in range(0, len(chosen), _TOGETHER)):
        motions, collision = timeline(profiles, first, some), np.full(len(some), CLEAR)
        intervals = begin(pairs, motions, *turning_times(motions), collision)
        _ask_of_ends(apart, pairs, intervals, collision)
        while len(intervals.motion):
            middle = middles(pairs, motions, intervals, collision)
            _ask_of_middles(apart, pairs, intervals, middle, collision)
            intervals = halves(pairs, intervals, middle, collision)
        found[some] = collision
    return found


def colliding_postures(robot: RobotModel, apart: Separations, q: FloatArray) -> IntArray:
    """The first pair of `apart` that collides in each configuration (n, dof), or CLEAR, shape (n,)."""
    pairs, collision, due = _pairs(robot, apart), np.full(len(q), CLEAR), np.zeros(len(q), np.int64)
    rows = np.arange(len(q))
    while True:
        _check_postures(pairs, q, rows, due, collision)
        rows = rows[(collision[rows] == CLEAR) & (due[rows] < len(apart.first))]
        if not len(rows):
            return collision
        for row in rows.tolist():
            pair = int(due[row])
            if _distance(apart, pairs, pair, q[row])[0] <= apart.clearance[pair]:
                collision[row] = pair
            due[row] += 1


def _ask_of_ends(apart: Separations, pairs: Pairs, intervals: Intervals, collision: IntArray) -> None:
    """Has Coal decide of which pairs that may be near where intervals begin or end; fills in what `_ask` does."""
    near = np.argwhere(intervals.gaps <= apart.clearance[intervals.pair, None])
    interval = np.searchsorted(intervals.first, near[:, 0], side="right") - 1
    for (entry, side), i in zip(near.tolist(), interval.tolist(), strict=True):
        if collision[intervals.motion[i]] == CLEAR:
            intervals.gaps[entry, side] = _ask(apart, pairs, intervals, i, entry, intervals.q[i, side], collision)


def _ask_of_middles(
    apart: Separations, pairs: Pairs, intervals: Intervals, middle: Middles, collision: IntArray
) -> None:
    """Has Coal decide of which pairs only it can tell in the middles of intervals; fills in what `_ask` does."""
    asked = np.flatnonzero(middle.asked)
    interval = np.searchsorted(intervals.first, asked, side="right") - 1
    for entry, i in zip(asked.tolist(), interval.tolist(), strict=True):
        if collision[intervals.motion[i]] == CLEAR:
            middle.gap[entry] = _ask(apart, pairs, intervals, i, entry, middle.q[i], collision)


def _ask(
    apart: Separations, pairs: Pairs, intervals: Intervals, i: int, entry: int, q: FloatArray, collision: IntArray
) -> float:
    """The distance of a pair of interval i in a configuration; fills in its line, and whether the motion collides."""
    pair = int(intervals.pair[entry])
    distance, intervals.line[entry] = _distance(apart, pairs, pair, q)
    if distance <= apart.clearance[pair]:
        collision[intervals.motion[i]] = pair
    return distance


def _distance(apart: Separations, pairs: Pairs, pair: int, q: FloatArray) -> tuple[float, FloatArray]:
    """Coal's distance of a pair [m], and the line in which it is apart, in the frame of the first's joint, (3,)."""
    frames = np.empty((1 + len(q) + len(pairs.followers.parent), 12))
    link_frames(pairs.chain, pairs.followers, q, frames)
    first, second = int(apart.first[pair]), int(apart.second[pair])
    frame, other = frames[pairs.bodies.joint[first] + 1], frames[pairs.bodies.joint[max(second, 0)] + 1]
    distance, normal = apart.distance(pair, frame, other)
    # Not by BLAS, whose last digits depend on the processor.
    return distance, (normal[:, None] * frame[:9].reshape(3, 3)).sum(0)


def _pairs(robot: RobotModel, apart: Separations) -> Pairs:
    parts = apart.bodies
    bodies = Bodies(
        parts.joint,
        parts.capsules,
        parts.corners,
        parts.first_corner,
        apart.solids,
        apart.first,
        apart.second,
        apart.clearance,
    )
    return Pairs(robot.chain, robot.followers, bodies, apart.travel)


@compiled
def _check_postures(pairs: Pairs, q: FloatArray, rows: IntArray, due: IntArray, collision: IntArray) -> None:
    """Goes through the pairs of some postures from the one that is due, up to one that only Coal can tell of."""
    bodies, clearance = pairs.bodies, pairs.bodies.clearance
    frames, ends = make_frames(pairs), np.empty((bodies.joint.size, 6))
    for row in rows:
        place_bodies(pairs, q[row], frames, ends)
        while due[row] < clearance.size:
            pair = due[row]
            near = gap(bodies, pair, frames, ends, 0.0, 0.0, 0.0, 0.0)
            if near <= clearance[pair]:
                if near == MEETS:
                    collision[row] = pair
                break
            due[row] += 1
