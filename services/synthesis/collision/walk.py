"""A motion looked at from its beginning to its end, as closely as it takes to show its pairs apart at every moment.

A pair that is some distance apart at both ends of an interval can't meet in it unless it moves as far as the two
distances together. Where it might, the middle is looked at, and then both halves, if this doesn't show it either.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.collision.distances import MEETS
from services.synthesis.collision.gaps import (
    CLEAR,
    HULLS_TELL,
    Pairs,
    Posture,
    capsules_apart,
    hulls_apart,
    look,
    make_posture,
    place_bodies,
    travelled,
)
from services.synthesis.compiled import compiled
from services.synthesis.motion.turns import Timeline, posture_at

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PROBES = 8
"""Parts of equal length into which a motion is cut at first: most that collide do so where two of these meet."""
_MOST_HALVINGS = 64
"""More than there are numbers between two moments of a motion."""


class Intervals(NamedTuple):
    """Intervals of a motion that have yet to be looked at, in each of which every joint goes one way.

    Attributes:
        times: when each begins and ends [s], shape (I, 2).
        q: configurations there, shape (I, 2, dof).
        size: how many pairs may meet in it, shape (I,).
        pair: which, shape (I, C).
        gaps: how far each of them is apart at least where the interval begins, and where it ends [m], shape (I, C, 2).
    """

    times: FloatArray
    q: FloatArray
    size: IntArray
    pair: IntArray
    gaps: FloatArray


@compiled
def walk(pairs: Pairs, motions: Timeline, first: IntArray, times: FloatArray, met: IntArray) -> None:
    """Fills in a pair that collides in each of m motions, or CLEAR, shape (m,).

    Args:
        pairs: what has to stay apart.
        motions: which to look at.
        first: where the times of each motion begin, and the number of times, as turns.turning_times gives them.
        times: when each motion begins, when a joint of its turns back, and when it ends [s].
        met: filled in.
    """
    posture, count, dof = make_posture(pairs), pairs.bodies.first.size, motions.start.shape[1]
    room = _MOST_HALVINGS + 1
    intervals = Intervals(
        np.empty((room, 2)),
        np.empty((room, 2, dof)),
        np.empty(room, np.int64),
        np.empty((room, count), np.int64),
        np.empty((room, count, 2)),
    )
    for m in range(met.size):
        # What is found of a motion depends on no other.
        posture.line[:] = 0.0
        cuts = _cuts(times[first[m] : first[m + 1]])
        q, gaps = np.empty((cuts.size, dof)), np.empty((cuts.size, count))
        met[m] = _probe(pairs, motions, m, cuts, posture, q, gaps)
        for i in range(cuts.size - 1):
            if met[m] != CLEAR:
                break
            _begin(pairs, cuts, q, gaps, i, intervals)
            met[m] = _halve(pairs, motions, m, posture, intervals)


@compiled
def _cuts(turns: FloatArray) -> FloatArray:
    """The times at which joints turn back, with those that cut the motion into equal parts, in order."""
    cuts = np.empty(turns.size + PROBES - 1)
    begins, ends = turns[0], turns[turns.size - 1]
    cuts[: turns.size] = turns
    for k in range(1, PROBES):
        cuts[turns.size + k - 1] = begins + k * (ends - begins) / PROBES
    return np.sort(cuts)


@compiled
def _probe(
    pairs: Pairs, motions: Timeline, m: int, cuts: FloatArray, posture: Posture, q: FloatArray, gaps: FloatArray
) -> int:
    """Looks at a motion at some times, those in the middle first; a pair that collides at one of them, or CLEAR.

    Fills in configurations (n, dof), and how far each pair is apart there at least (n, C) [m].
    """
    last = cuts.size - 1
    step = 1
    while step < last:
        step *= 2
    while step > 1:
        for i in range(step // 2, last, step):
            met = _look(pairs, motions, m, cuts[i], posture, q[i], gaps[i])
            if met != CLEAR:
                return met
        step //= 2
    for i in (0, last):
        met = _look(pairs, motions, m, cuts[i], posture, q[i], gaps[i])
        if met != CLEAR:
            return met
    return CLEAR


@compiled
def _look(
    pairs: Pairs, motions: Timeline, m: int, time: float, posture: Posture, q: FloatArray, gaps: FloatArray
) -> int:
    """Looks at all pairs at one time: fills in the configuration and the gaps; a pair that collides, or CLEAR."""
    posture_at(motions, m, time, q)
    place_bodies(pairs, q, posture)
    return look(pairs.bodies, posture, gaps)


@compiled
def _begin(pairs: Pairs, cuts: FloatArray, q: FloatArray, gaps: FloatArray, i: int, intervals: Intervals) -> None:
    """Puts the interval between two cuts in the first place, with the pairs that may meet in it."""
    travel, clearance = pairs.travel, pairs.bodies.clearance
    size = 0
    for pair in range(clearance.size):
        if gaps[i, pair] + gaps[i + 1, pair] < travelled(travel, pair, q[i], q[i + 1]) + clearance[pair]:
            intervals.pair[0, size] = pair
            intervals.gaps[0, size, 0], intervals.gaps[0, size, 1] = gaps[i, pair], gaps[i + 1, pair]
            size += 1
    intervals.size[0] = size
    for side in range(2):
        intervals.times[0, side] = cuts[i + side]
        for j in range(q.shape[1]):
            intervals.q[0, side, j] = q[i + side, j]


@compiled
def _halve(pairs: Pairs, motions: Timeline, m: int, posture: Posture, intervals: Intervals) -> int:
    """Halves the interval in the first place until its pairs are shown apart; one that collides, or CLEAR."""
    bodies, travel, ends = pairs.bodies, pairs.travel, posture.ends
    _, capsules, _, _, solids, first, second, clearance = bodies
    times, q, sizes, in_pair, gaps = intervals
    count = 1 if sizes[0] else 0
    middle = np.empty(q.shape[2])
    while count:
        here = count - 1
        later = count
        if later == times.shape[0]:
            return int(in_pair[here, 0])
        time = 0.5 * (times[here, 0] + times[here, 1])
        posture_at(motions, m, time, middle)
        place_bodies(pairs, middle, posture)
        # The second half takes the place of the whole, and the first is looked at before it.
        before = after = 0
        for e in range(sizes[here]):
            pair = in_pair[here, e]
            one, other = gaps[here, e, 0], gaps[here, e, 1]
            to_middle = travelled(travel, pair, q[here, 0], middle)
            from_middle = travelled(travel, pair, middle, q[here, 1])
            least = max(one - to_middle, other - from_middle)
            enough = clearance[pair] - min(one - to_middle, other - from_middle)
            near = max(least, capsules_apart(ends, capsules, solids, first[pair], second[pair]))
            if near <= clearance[pair] or enough - HULLS_TELL < near < enough:
                apart = hulls_apart(bodies, pair, posture, enough)
                if apart == MEETS:
                    return int(pair)
                near = max(near, apart)
            if one + near < to_middle + clearance[pair]:
                in_pair[later, before] = pair
                gaps[later, before, 0], gaps[later, before, 1] = one, near
                before += 1
            if near + other < from_middle + clearance[pair]:
                in_pair[here, after] = pair
                gaps[here, after, 0], gaps[here, after, 1] = near, other
                after += 1
        sizes[here], sizes[later] = after, before
        times[later, 0], times[later, 1], times[here, 0] = times[here, 0], time, time
        for j in range(middle.size):
            q[later, 0, j], q[later, 1, j], q[here, 0, j] = q[here, 0, j], middle[j], middle[j]
        count += 1
        while count and sizes[count - 1] == 0:
            count -= 1
    return CLEAR
