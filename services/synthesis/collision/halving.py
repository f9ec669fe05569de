"""Intervals of motions in which pairs have yet to be shown apart, and their halves.

A pair that is some distance apart at both ends of an interval can't meet in it unless it moves as far as the two
distances together. Where it might, the middle is looked at, and the two halves, if these don't show it either.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.collision.gaps import MEETS, Pairs, gap, make_frames, place_bodies, travelled
from services.synthesis.compiled import compiled
from services.synthesis.motion.turns import Timeline, posture_at

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

CLEAR = -1
"""No pair of a motion collides."""


class Intervals(NamedTuple):
    """I intervals of motions, in each of which every joint goes one way, and E pairs that may meet in one of them.

    Attributes:
        motion: which motion each interval is of, shape (I,).
        times: when it begins and ends [s], shape (I, 2).
        q: configurations there, shape (I, 2, dof).
        first: first pair of each interval, and E, shape (I + 1,).
        pair: index into Pairs, shape (E,).
        gaps: how far it is apart at least where the interval begins, and where it ends [m], shape (E, 2).
        line: in which it was seen apart, in the frame of the first's joint, or zero, shape (E, 3).
    """

    motion: IntArray
    times: FloatArray
    q: FloatArray
    first: IntArray
    pair: IntArray
    gaps: FloatArray
    line: FloatArray


class Middles(NamedTuple):
    """The middles of intervals.

    Attributes:
        q: configurations, shape (I, dof).
        gap: how far each pair is apart at least, shape (E,) [m].
        travel: how far it moves together, at most, from the beginning to the middle, and from there on, shape (E, 2).
        asked: which pairs only Coal can tell of, shape (E,).
    """

    q: FloatArray
    gap: FloatArray
    travel: FloatArray
    asked: BoolArray


def begin(pairs: Pairs, motions: Timeline, first: IntArray, times: FloatArray, collision: IntArray) -> Intervals:
    """The intervals between the given times of each motion, as turns.turning_times gives them, and all pairs that
    their ends don't show to be apart; fills in which pair collides in each motion that is seen to, shape (m,)."""
    size, dof = len(times) - len(motions.first), motions.start.shape[1]
    room = size * len(pairs.travel)
    intervals = Intervals(
        np.empty(size, np.int64),
        np.empty((size, 2)),
        np.empty((size, 2, dof)),
        np.zeros(size + 1, np.int64),
        np.empty(room, np.int64),
        np.empty((room, 2)),
        np.zeros((room, 3)),
    )
    used = _begin(pairs, motions, first, times, collision, intervals)
    return intervals._replace(pair=intervals.pair[:used], gaps=intervals.gaps[:used], line=intervals.line[:used])


def middles(pairs: Pairs, motions: Timeline, intervals: Intervals, collision: IntArray) -> Middles:
    """Looks at the middles of intervals; fills in which pair collides in each motion that is seen to, shape (m,)."""
    entries = len(intervals.pair)
    found = Middles(
        np.empty((len(intervals.motion), motions.start.shape[1])),
        np.zeros(entries),
        np.empty((entries, 2)),
        np.zeros(entries, np.bool_),
    )
    _look(pairs, motions, intervals, collision, found)
    return found


def halves(pairs: Pairs, intervals: Intervals, middle: Middles, collision: IntArray) -> Intervals:
    """The halves of intervals, of motions that are not known to collide, in which pairs may still meet."""
    size, entries = 2 * len(intervals.motion), 2 * len(intervals.pair)
    halved = Intervals(
        np.empty(size, np.int64),
        np.empty((size, 2)),
        np.empty((size, 2, intervals.q.shape[2])),
        np.zeros(size + 1, np.int64),
        np.empty(entries, np.int64),
        np.empty((entries, 2)),
        np.empty((entries, 3)),
    )
    size, entries = _halve(pairs, intervals, middle, collision, halved)
    motion, times, q, first, pair, gaps, line = halved
    return Intervals(
        motion[:size], times[:size], q[:size], first[: size + 1], pair[:entries], gaps[:entries], line[:entries]
    )


@compiled
def _begin(
    pairs: Pairs, motions: Timeline, first: IntArray, times: FloatArray, collision: IntArray, intervals: Intervals
) -> int:
    """The loop of `begin`; returns how many pairs there are in the intervals."""
    bodies, travel, clearance = pairs.bodies, pairs.travel, pairs.bodies.clearance
    frames, other_frames = make_frames(pairs), make_frames(pairs)
    ends, other_ends = np.empty((bodies.joint.size, 6)), np.empty((bodies.joint.size, 6))
    motion, moments, q, first_pair, in_pair, gaps, _ = intervals
    end = np.empty((times.size, q.shape[2]))
    used, i = 0, 0
    for m in range(first.size - 1):
        for k in range(first[m], first[m + 1] - 1):
            motion[i], moments[i, 0], moments[i, 1] = m, times[k], times[k + 1]
            posture_at(motions, m, times[k], q[i, 0])
            posture_at(motions, m, times[k + 1], end[i])
            place_bodies(pairs, q[i, 0], frames, ends)
            place_bodies(pairs, end[i], other_frames, other_ends)
            for j in range(end.shape[1]):
                q[i, 1, j] = end[i, j]
            for pair in range(clearance.size):
                needed = travelled(travel, pair, q, i, 0, end) + clearance[pair]
                one = gap(bodies, pair, frames, ends, 0.5 * needed, 0.0, 0.0, 0.0)
                other = gap(bodies, pair, other_frames, other_ends, needed - one, 0.0, 0.0, 0.0)
                if one == MEETS or other == MEETS:
                    collision[m] = pair
                if one + other < needed:
                    in_pair[used], gaps[used, 0], gaps[used, 1] = pair, one, other
                    used += 1
            i += 1
            first_pair[i] = used
    return used


@compiled
def _look(pairs: Pairs, motions: Timeline, intervals: Intervals, collision: IntArray, middle: Middles) -> None:
    """The loop of `middles`."""
    bodies, travel, clearance = pairs.bodies, pairs.travel, pairs.bodies.clearance
    frames, ends = make_frames(pairs), np.empty((bodies.joint.size, 6))
    motion, times, q, first, in_pair, gaps, line = intervals
    middle_q, middle_gap, moved, asked = middle
    for i in range(motion.size):
        m = motion[i]
        if collision[m] != CLEAR:
            continue
        posture_at(motions, m, 0.5 * (times[i, 0] + times[i, 1]), middle_q[i])
        place_bodies(pairs, middle_q[i], frames, ends)
        for e in range(first[i], first[i + 1]):
            pair = in_pair[e]
            moved[e, 0] = travelled(travel, pair, q, i, 0, middle_q)
            moved[e, 1] = travelled(travel, pair, q, i, 1, middle_q)
            before, after = gaps[e, 0] - moved[e, 0], gaps[e, 1] - moved[e, 1]
            enough = clearance[pair] - min(before, after)
            near = gap(bodies, pair, frames, ends, enough, line[e, 0], line[e, 1], line[e, 2])
            if near == MEETS:
                collision[m] = pair
                break
            middle_gap[e] = max(near, before, after)
            asked[e] = middle_gap[e] <= clearance[pair]


@compiled
def _halve(
    pairs: Pairs, intervals: Intervals, middle: Middles, collision: IntArray, halved: Intervals
) -> tuple[int, int]:
    """The loop of `halves`; returns how many halves there are, and how many pairs in them."""
    motion, times, q, first, in_pair, gaps, line = intervals
    half_motion, half_times, half_q, half_first, half_pair, half_gaps, half_line = halved
    middle_q, middle_gap, moved, _ = middle
    clearance = pairs.bodies.clearance
    size = used = 0
    for i in range(motion.size):
        if collision[motion[i]] != CLEAR:
            continue
        for side in range(2):
            begins = used
            for e in range(first[i], first[i + 1]):
                if gaps[e, side] + middle_gap[e] < moved[e, side] + clearance[in_pair[e]]:
                    half_pair[used] = in_pair[e]
                    half_gaps[used, side], half_gaps[used, 1 - side] = gaps[e, side], middle_gap[e]
                    for r in range(3):
                        half_line[used, r] = line[e, r]
                    used += 1
            if used > begins:
                half_motion[size] = motion[i]
                half_times[size, side], half_times[size, 1 - side] = times[i, side], 0.5 * (times[i, 0] + times[i, 1])
                for j in range(middle_q.shape[1]):
                    half_q[size, side, j], half_q[size, 1 - side, j] = q[i, side, j], middle_q[i, j]
                size += 1
                half_first[size] = used
    return size, used
