"""Profiles evaluated: positions, velocities and accelerations at sample times, and their extrema over all time.

Ruckig's own recurrence, in its own order of operations, so that values equal its `at_time` bit for bit:
a + t*j, v + t*(a + t*j/2), p + t*(v + t*(a/2 + t*j/6)).
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled, inlined

FloatArray = NDArray[np.float64]

WITHIN, POSITION, VELOCITY, ACCELERATION, JERK = range(5)
"""What `first_violation` answers."""


@inlined
def _integrate(t: float, p: float, v: float, a: float, j: float) -> tuple[float, float, float]:
    """Position, velocity and acceleration a time t into a piece."""
    return p + t * (v + t * (a / 2 + t * j / 6)), v + t * (a + t * j / 2), a + t * j


@compiled
def row_durations(first_segment: NDArray[np.int64], duration: FloatArray, dwell: FloatArray) -> FloatArray:
    """Duration of rows made of segments with a dwell after each [s], shape (n,); arguments as in `sample_rows`."""
    total = np.zeros(first_segment.size - 1)
    for row in range(total.size):
        for segment in range(first_segment[row], first_segment[row + 1]):
            total[row] = total[row] + duration[segment] + dwell[segment]
    return total


@compiled
def sample_rows(
    first_segment: NDArray[np.int64],
    first_sample: NDArray[np.int64],
    rate_hz: float,
    start: FloatArray,
    time: FloatArray,
    jerk: FloatArray,
    duration: FloatArray,
    dwell: FloatArray,
    command: FloatArray,
    q: NDArray[np.floating],
    qd: NDArray[np.floating],
    qdd: NDArray[np.floating],
    gripper: NDArray[np.floating],
) -> None:
    """Samples rows made of segments with a dwell after each: sample k of a row is at k / rate_hz.

    Args:
        first_segment: first segment of each row, and the number of segments, shape (n + 1,).
        first_sample: first sample of each row, and the number of samples, shape (n + 1,).
        rate_hz: samples per second.
        start: as in timing.Profiles, like `time`, `jerk` and `duration`.
        time: likewise.
        jerk: likewise.
        duration: likewise.
        dwell: rest after each segment [s], shape (S,).
        command: gripper command during each segment, and from its end on, shape (S, 2).
        q: filled with positions, shape (N, dof); samples after a row's last segment hold its goal.
        qd: filled with velocities, shape (N, dof).
        qdd: filled with accelerations, shape (N, dof), unless it has no rows.
        gripper: filled with gripper commands, shape (N,).
    """
    dof = start.shape[1]
    for row in range(first_segment.size - 1):
        begins = 0.0
        here, last = first_sample[row], first_sample[row + 1]
        for segment in range(first_segment[row], first_segment[row + 1]):
            ends = begins + duration[segment]
            next_begins = ends + dwell[segment]
            moving = here
            while moving < last and (moving - first_sample[row]) / rate_hz < ends:
                moving += 1
            resting = moving
            if segment + 1 == first_segment[row + 1]:
                resting = last
            while resting < last and (resting - first_sample[row]) / rate_hz < next_begins:
                resting += 1
            for joint in range(dof):
                p, v, a = start[segment, joint], 0.0, 0.0
                piece, piece_ends = 0, time[segment, joint, 0]
                piece_begins = 0.0
                for sample in range(here, moving):
                    t = (sample - first_sample[row]) / rate_hz - begins
                    while piece < 7 and t >= piece_ends:
                        p, v, a = _integrate(time[segment, joint, piece], p, v, a, jerk[segment, joint, piece])
                        piece += 1
                        piece_begins = piece_ends
                        if piece < 7:
                            piece_ends += time[segment, joint, piece]
                    j = jerk[segment, joint, piece] if piece < 7 else 0.0
                    q[sample, joint], qd[sample, joint], x = _integrate(t - piece_begins, p, v, a, j)
                    if qdd.shape[0] > 0:
                        qdd[sample, joint] = x
                while piece < 7:
                    p, v, a = _integrate(time[segment, joint, piece], p, v, a, jerk[segment, joint, piece])
                    piece += 1
                for sample in range(moving, resting):
                    q[sample, joint], qd[sample, joint] = p, 0.0
                    if qdd.shape[0] > 0:
                        qdd[sample, joint] = 0.0
            for sample in range(here, resting):
                gripper[sample] = command[segment, 0 if sample < moving else 1]
            here, begins = resting, next_begins


@compiled
def _position_range(t: float, p: float, v: float, a: float, j: float) -> tuple[float, float]:
    """Least and greatest position within a piece of duration t: at its ends, or where v + a*t + j*t^2/2 is 0."""
    end = _integrate(t, p, v, a, j)[0]
    low, high = min(p, end), max(p, end)
    discriminant = a * a - 2 * j * v
    if discriminant > 0.0:
        half = -(a + np.copysign(np.sqrt(discriminant), a))
        for root in (half / j if j != 0.0 else -1.0, 2 * v / half if half != 0.0 else -1.0):
            if 0.0 < root < t:
                turn = _integrate(root, p, v, a, j)[0]
                low, high = min(low, turn), max(high, turn)
    return low, high


@compiled
def first_violation(
    start: FloatArray,
    time: FloatArray,
    jerk: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    velocity: FloatArray,
    acceleration: FloatArray,
    jerk_limit: FloatArray,
    tolerance: float,
) -> NDArray[np.int64]:
    """Which limit each segment breaks first at any moment, not only at samples: one of WITHIN ... JERK, shape (S,).

    Position is extreme at the ends of a piece or where velocity passes 0, velocity at the ends or where acceleration
    passes 0, acceleration at the ends, and jerk is constant.

    Args:
        start: as in timing.Profiles, like `time` and `jerk`.
        time: likewise.
        jerk: likewise.
        lower: position limit, shape (dof,), like `upper`, `velocity`, `acceleration` and `jerk_limit`.
        upper: likewise.
        velocity: likewise.
        acceleration: likewise.
        jerk_limit: likewise.
        tolerance: relative slack for rounding; of the position range for positions.
    """
    verdicts = np.zeros(start.shape[0], np.int64)
    for segment in range(start.shape[0]):
        for joint in range(start.shape[1]):
            p, v, a = start[segment, joint], 0.0, 0.0
            slack = tolerance * (upper[joint] - lower[joint])
            low, high = lower[joint] - slack, upper[joint] + slack
            v_max, a_max = velocity[joint] * (1 + tolerance), acceleration[joint] * (1 + tolerance)
            j_max = jerk_limit[joint] * (1 + tolerance)
            for piece in range(7):
                t, j = time[segment, joint, piece], jerk[segment, joint, piece]
                p1, v1, a1 = _integrate(t, p, v, a, j)
                v_peak = v
                if (a < 0.0) != (a1 < 0.0) and j != 0.0:
                    v_peak = _integrate(-a / j, p, v, a, j)[1]
                p_low, p_high = _position_range(t, p, v, a, j)
                if abs(j) > j_max or not t >= 0.0:
                    verdicts[segment] = JERK
                elif abs(a1) > a_max:
                    verdicts[segment] = ACCELERATION
                elif max(abs(v1), abs(v_peak)) > v_max:
                    verdicts[segment] = VELOCITY
                elif not (low <= p_low and p_high <= high):
                    verdicts[segment] = POSITION
                p, v, a = p1, v1, a1
            if verdicts[segment] != WITHIN:
                break
    return verdicts
