"""Rows cut into stretches of time, in each of which every joint has one jerk: the motion itself, whatever the rate."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled
from services.synthesis.motion.profiles import integrate
from services.synthesis.motion.timing import Profiles
from services.synthesis.numerics.offsets import offsets

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LONGEST = 0.1
"""Longest stretch [s]: bounds on how far a link travels in one are the tighter the shorter it is."""
_SHORTEST = 1e-9


class Stretches(NamedTuple):
    """K stretches of n rows, without the moments at which nothing moves; each row has at least one.

    Attributes:
        first: first stretch of each row, and K, shape (n + 1,).
        seconds: how long each takes, shape (K,).
        state: position [rad], velocity, acceleration and jerk of each joint where it begins, shape (K, dof, 4).
    """

    first: IntArray
    seconds: FloatArray
    state: FloatArray


def stretches(profiles: Profiles, first: IntArray, rows: IntArray) -> Stretches:
    """The stretches of some of the rows whose first segments are given, and the number of segments, in order."""
    counts = np.zeros(len(rows), np.int64)
    arrays = (
        first,
        rows,
        profiles.start,
        profiles.velocity,
        profiles.acceleration,
        profiles.time,
        profiles.jerk,
        profiles.duration,
    )
    _cut(*arrays, offsets(counts), counts, np.empty(0), np.empty((0, profiles.start.shape[1], 4)))
    first = offsets(counts)
    seconds, state = np.empty(first[-1]), np.empty((first[-1], profiles.start.shape[1], 4))
    _cut(*arrays, first, counts, seconds, state)
    return Stretches(first, seconds, state)


def resting(q: FloatArray) -> Stretches:
    """Rows that only rest, each in one of the configurations (n, dof)."""
    state = np.zeros((*q.shape, 4))
    state[..., 0] = q
    return Stretches(np.arange(len(q) + 1), np.zeros(len(q)), state)


@compiled
def posture_at(state: FloatArray, t: float, posture: FloatArray) -> None:
    """Fills the configuration (dof,) at a time t into a stretch that begins in a state (dof, 4)."""
    for j in range(posture.size):
        posture[j] = integrate(t, state[j, 0], state[j, 1], state[j, 2], state[j, 3])[0]


@compiled
def greatest_speed(seconds: float, v: float, a: float, j: float) -> float:
    """Greatest magnitude of a joint's velocity within a stretch, from its state where that begins."""
    fastest = max(abs(v), abs(integrate(seconds, 0.0, v, a, j)[1]))
    if j != 0.0 and 0.0 < -a / j < seconds:
        fastest = max(fastest, abs(v - a * a / (2.0 * j)))
    return float(fastest)


@compiled
def _cut(
    first_segment: IntArray,
    rows: IntArray,
    start: FloatArray,
    velocity: FloatArray,
    acceleration: FloatArray,
    time: FloatArray,
    jerk: FloatArray,
    duration: FloatArray,
    first: IntArray,
    counts: IntArray,
    seconds: FloatArray,
    state: FloatArray,
) -> None:
    """Counts the stretches of each row and, where there is room for them, fills them in."""
    dof = start.shape[1]
    now, piece, ends = np.empty((dof, 4)), np.empty(dof, np.int64), np.empty(dof)
    begins = np.empty(dof)
    for i in range(rows.size):
        count = 0
        for segment in range(first_segment[rows[i]], first_segment[rows[i] + 1]):
            for j in range(dof):
                now[j, 0], now[j, 1] = start[segment, j], velocity[segment, j]
                now[j, 2], now[j, 3] = acceleration[segment, j], jerk[segment, j, 0]
                piece[j], begins[j], ends[j] = 0, 0.0, time[segment, j, 0]
            t, last = 0.0, duration[segment]
            while last - t > _SHORTEST:
                until, moves = min(last, t + LONGEST), False
                for j in range(dof):
                    while piece[j] < 7 and ends[j] - t <= _SHORTEST:
                        _enter_next_piece(time[segment, j], jerk[segment, j], j, now, piece, begins, ends)
                    if piece[j] < 7:
                        until = min(until, ends[j])
                    moves |= now[j, 1] != 0.0 or now[j, 2] != 0.0 or now[j, 3] != 0.0
                if moves:
                    if seconds.size > 0:
                        _fill(now, t, until, begins, seconds, state, first[i] + count)
                    count += 1
                t = until
        if count == 0:
            if seconds.size > 0:
                seconds[first[i]] = 0.0
                state[first[i]] = 0.0
                for j in range(dof):
                    state[first[i], j, 0] = start[first_segment[rows[i]], j]
            count = 1
        counts[i] = count


@compiled
def _enter_next_piece(
    time: FloatArray,
    jerk: FloatArray,
    j: int,
    now: FloatArray,
    piece: IntArray,
    begins: FloatArray,
    ends: FloatArray,
) -> None:
    """Takes joint j to where its piece ends; past the last it holds its position."""
    t = time[piece[j]]
    now[j, 0], now[j, 1], now[j, 2] = integrate(t, now[j, 0], now[j, 1], now[j, 2], now[j, 3])
    piece[j] += 1
    begins[j] = ends[j]
    if piece[j] < 7:
        ends[j] += time[piece[j]]
        now[j, 3] = jerk[piece[j]]
    else:
        now[j, 1] = now[j, 2] = now[j, 3] = 0.0


@compiled
def _fill(
    now: FloatArray, t: float, until: float, begins: FloatArray, seconds: FloatArray, state: FloatArray, k: int
) -> None:
    """Writes stretch k, from t to `until`, given where each joint's piece begins and its state there."""
    seconds[k] = until - t
    for j in range(begins.size):
        since = t - begins[j]
        p, v, a = integrate(since, now[j, 0], now[j, 1], now[j, 2], now[j, 3])
        state[k, j, 0], state[k, j, 1], state[k, j, 2], state[k, j, 3] = p, v, a, now[j, 3]
