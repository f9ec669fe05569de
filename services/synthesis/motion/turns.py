"""Motions looked at as a whole: the moments at which a joint turns back, and the configuration at any moment."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled
from services.synthesis.motion.profiles import integrate
from services.synthesis.motion.timing import Profiles
from services.synthesis.numerics.offsets import offsets

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NO_TURN = 1e-9
"""How far [rad or m] a joint may go back without that counting as turning back: what rounding does."""


class Timeline(NamedTuple):
    """Motions, each a run of segments.

    Attributes:
        first: first segment of each of the m motions, shape (m,).
        last: the one after its last, shape (m,).
        start: joint positions where each of the S segments begins, shape (S, dof) [rad or m].
        velocity: likewise.
        acceleration: likewise.
        time: as in timing.Profiles, like `jerk` and `duration`.
        jerk: likewise.
        duration: likewise.
    """

    first: IntArray
    last: IntArray
    start: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    time: FloatArray
    jerk: FloatArray
    duration: FloatArray


def timeline(profiles: Profiles, first: IntArray, chosen: IntArray) -> Timeline:
    """Some of the motions whose first segments are given, and last the number of segments."""
    p = profiles
    arrays = (p.start, p.velocity, p.acceleration, p.time, p.jerk, p.duration)
    return Timeline(first[chosen], first[chosen + 1], *(np.ascontiguousarray(array) for array in arrays))


def turning_times(motions: Timeline) -> tuple[IntArray, FloatArray]:
    """When each motion begins, when a joint of its turns back, and when it ends [s], in order.

    Returns where the times of each motion begin, and the number of times N, shape (m + 1,), and the times, shape (N,).
    Between two of them every joint goes one way.
    """
    counts = np.zeros(len(motions.first), np.int64)
    _turning_times(motions, offsets(counts), counts, np.empty(0))
    first = offsets(counts)
    times = np.empty(first[-1])
    _turning_times(motions, first, counts, times)
    return first, times


@compiled
def posture_at(motions: Timeline, motion: int, t: float, posture: FloatArray) -> None:
    """Fills the configuration (dof,) at a time t into a motion; past its end, that at its end."""
    first, end, start, velocity, acceleration, time, jerk, duration = motions
    segment, last = first[motion], end[motion] - 1
    while segment < last and t >= duration[segment]:
        t -= duration[segment]
        segment += 1
    t = min(max(t, 0.0), duration[segment])
    for j in range(posture.size):
        p, v, a = start[segment, j], velocity[segment, j], acceleration[segment, j]
        rest, piece = t, 0
        while piece < 7 and rest > time[segment, j, piece]:
            p, v, a = integrate(time[segment, j, piece], p, v, a, jerk[segment, j, piece])
            rest -= time[segment, j, piece]
            piece += 1
        posture[j] = integrate(rest, p, v, a, jerk[segment, j, piece])[0] if piece < 7 else p


@compiled
def _turning_times(motions: Timeline, first: IntArray, counts: IntArray, times: FloatArray) -> None:
    """Counts the times of each motion and, where there is room for them, fills them in."""
    for m in range(motions.first.size):
        begin, end = motions.first[m], motions.last[m]
        total = 0.0
        for segment in range(begin, end):
            total += motions.duration[segment]
        found = np.empty(2 + 21 * motions.start.shape[1] * (end - begin))
        found[0] = 0.0
        count = 1
        for j in range(motions.start.shape[1]):
            count = _turns_of(motions, m, j, found, count)
        turns = np.sort(found[1:count])
        count = 1
        for t in turns:
            # Joints that turn back at one moment need one cut.
            if t > found[count - 1] and t < total:
                found[count] = t
                count += 1
        found[count] = total
        count += 1
        counts[m] = count
        if times.size > 0:
            for k in range(count):
                times[first[m] + k] = found[k]


@compiled
def _turns_of(motions: Timeline, m: int, j: int, found: FloatArray, count: int) -> int:
    """Adds the times at which joint j turns back; returns how many there are now."""
    begins = 0.0
    way, farthest, when = 0.0, motions.start[motions.first[m], j], 0.0
    places = np.empty(3)
    for segment in range(motions.first[m], motions.last[m]):
        p, v, a = motions.start[segment, j], motions.velocity[segment, j], motions.acceleration[segment, j]
        since, lasts = 0.0, motions.duration[segment]
        for piece in range(7):
            t = min(motions.time[segment, j, piece], lasts - since)
            if t <= 0.0:
                continue
            jerk = motions.jerk[segment, j, piece]
            size = _stops(t, v, a, jerk, places)
            places[size] = t
            for k in range(size + 1):
                there = integrate(places[k], p, v, a, jerk)[0]
                if way == 0.0:
                    if abs(there - farthest) > NO_TURN:
                        way = 1.0 if there > farthest else -1.0
                        farthest, when = there, begins + since + places[k]
                elif (there - farthest) * way >= 0.0:
                    farthest, when = there, begins + since + places[k]
                elif (farthest - there) * way > NO_TURN:
                    found[count] = when
                    count += 1
                    way, farthest, when = -way, there, begins + since + places[k]
            p, v, a = integrate(t, p, v, a, jerk)
            since += t
        begins += lasts
    return count


@compiled
def _stops(t: float, v: float, a: float, j: float, places: FloatArray) -> int:
    """Fills in, in order, the times within a piece at which its velocity v + a s + j s^2 / 2 is 0; how many."""
    count = 0
    discriminant = a * a - 2.0 * j * v
    if discriminant <= 0.0:
        return 0
    half = -(a + np.copysign(np.sqrt(discriminant), a))
    one = half / j if j != 0.0 else -1.0
    other = 2.0 * v / half if half != 0.0 else -1.0
    for root in (min(one, other), max(one, other)):
        if 0.0 < root < t:
            places[count] = root
            count += 1
    return count
